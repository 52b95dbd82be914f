//! Reads parameters from the environment, then `~/.connectrc`, then `/etc/connectrc`.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use super::match_context::MatchContext;
use super::proxy_url::{self, ProxyUrl};
use super::rcfile::ParameterFile;
use super::scheme::Syntax;
use super::setting::{Origin, Setting, SettingRecord, masked, masked_bytes, without_line_end};
use crate::cli::SocksVersion;
use crate::error::Error;
use crate::parameters::{self, Kind};
use crate::plan::{Limits, Target};
use crate::secret::{Secret, UserName};
use crate::sys::{self, DumpGuard};
use crate::text::printable;

/// Everything that the configuration reads besides the command line.
///
/// Parameters are looked up one at a time. The parameter files are read on the first lookup of a
/// parameter that the environment does not set.
pub struct Sources<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    warn: &'a dyn Fn(&str),
    /// Files to read instead of the standard ones, for tests.
    paths: Option<Vec<PathBuf>>,
    files: OnceCell<Vec<ParameterFile>>,
    match_context: OnceCell<MatchContext>,
    /// The password that an option refers to, cached because its file or descriptor may be readable
    /// only once.
    password: OnceCell<Secret>,
    /// The tokens and keys that can be read only once, each with the place that held it.
    lines: RefCell<BTreeMap<String, Secret>>,
    /// The options that have an effect in this plan, of those that may have none.
    used: RefCell<BTreeSet<&'static str>>,
    records: Option<RefCell<Vec<SettingRecord>>>,
    /// Fields are dropped in order, so this must stay last: the others zero their passwords first.
    dump_guard: OnceCell<DumpGuard>,
}

/// The secrets that were read from files or descriptors that may be readable only once.
#[derive(Clone, Default)]
pub(super) struct ReadOnce {
    pub(super) password: Option<Secret>,
    /// The tokens and keys, each with the place that held it.
    pub(super) lines: BTreeMap<String, Secret>,
}

impl<'a> Sources<'a> {
    /// Creates sources that read the environment and the standard parameter files. Each problem
    /// with a file is passed to `warn` as one line.
    #[must_use]
    pub fn new(variable: &'a dyn Fn(&str) -> Option<OsString>, warn: &'a dyn Fn(&str)) -> Self {
        Self {
            variable,
            warn,
            paths: None,
            files: OnceCell::new(),
            match_context: OnceCell::new(),
            password: OnceCell::new(),
            lines: RefCell::default(),
            used: RefCell::default(),
            records: None,
            dump_guard: OnceCell::new(),
        }
    }

    /// Creates sources that read the environment and then these files, in order of precedence.
    #[must_use]
    pub fn with_files(
        variable: &'a dyn Fn(&str) -> Option<OsString>,
        warn: &'a dyn Fn(&str),
        paths: Vec<PathBuf>,
    ) -> Self {
        Self { paths: Some(paths), ..Self::new(variable, warn) }
    }

    /// Enables recording of the settings that the plan depends on.
    #[must_use]
    pub fn recording(self) -> Self {
        Self { records: Some(RefCell::default()), ..self }
    }

    /// Returns the recorded settings in lookup order. Empty unless recording was enabled with
    /// [`Sources::recording`].
    #[must_use]
    pub fn records(&self) -> Vec<SettingRecord> {
        self.records.as_ref().map(|records| records.borrow().clone()).unwrap_or_default()
    }

    /// Sets the target and the time limits for `Match` blocks.
    pub(super) fn set_target(&self, target: &Target, limits: Limits) {
        // Each `Sources` serves one plan, so a second call could only repeat the target.
        let _ = self.match_context.set(MatchContext::new(target, limits));
    }

    /// Sets the time limits for `Match` blocks in a run whose clients name the targets.
    pub(super) fn set_no_target(&self, limits: Limits) {
        let _ = self.match_context.set(MatchContext::without_target(limits));
    }

    /// Supplies the secrets that options refer to, if they were read for an earlier plan.
    pub(super) fn with_secrets(self, secrets: ReadOnce) -> Self {
        let ReadOnce { password, lines } = secrets;
        let password = password.map_or_else(OnceCell::new, OnceCell::from);
        Self { password, lines: RefCell::new(lines), ..self }
    }

    /// Returns the secrets that options refer to and that have been read.
    pub(super) fn secrets(&self) -> ReadOnce {
        ReadOnce { password: self.password.get().cloned(), lines: self.lines.borrow().clone() }
    }

    /// Returns the files to read instead of the standard ones.
    pub(super) fn files(&self) -> Option<Vec<PathBuf>> {
        self.paths.clone()
    }

    /// Records that an option has an effect.
    pub(super) fn mark_used(&self, option: &'static str) {
        self.used.borrow_mut().insert(option);
    }

    /// Returns `true` if the option has an effect.
    pub(super) fn is_used(&self, option: &str) -> bool {
        self.used.borrow().contains(option)
    }

    /// Reads an environment variable without checking its encoding.
    pub(super) fn raw_variable(&self, name: &str) -> Option<OsString> {
        (self.variable)(name)
    }

    /// Protects the memory and the environment until the sources are dropped. Call this before
    /// waiting for a password.
    pub(super) fn protect_memory(&self) {
        self.dump_guard.get_or_init(DumpGuard::engage);
    }

    /// Returns the callback for warnings.
    pub(super) fn warn(&self) -> &dyn Fn(&str) {
        self.warn
    }

    /// Reads an environment variable, ignoring parameter files. Under CGI, ignores `HTTP_*`, which
    /// the HTTP client controls ("httpoxy").
    ///
    /// Drops blanks and line endings around the value, which may come from a file of variables with
    /// the line endings of another system.
    pub(super) fn variable(&self, name: &str) -> Option<Vec<u8>> {
        if is_header(name, sys::VARIABLES_IGNORE_CASE) && self.is_variable_set("REQUEST_METHOD") {
            return None;
        }
        let value = (self.variable)(name)?.into_encoded_bytes();
        let trimmed = match parameters::kind(name.as_bytes()) {
            // A blank may be a part of these.
            Some(Kind::User | Kind::Secret) => without_line_end(&value),
            _ => value.trim_ascii(),
        };
        if trimmed.len() == value.len() { Some(value) } else { Some(trimmed.to_vec()) }
    }

    /// Looks up a parameter in the environment, then in the files.
    fn find(&self, name: &'static str) -> Option<Setting<Vec<u8>>> {
        match self.variable(name) {
            Some(value) => Some(Setting { name, value, origin: Origin::Variable(name) }),
            None => self.find_in_files(name),
        }
    }

    /// Looks up a parameter in the files. Skips a value that a file is not trusted to set.
    fn find_in_files(&self, name: &'static str) -> Option<Setting<Vec<u8>>> {
        let files = self.files.get_or_init(|| {
            let paths = self.paths.clone().unwrap_or_else(|| self.standard_paths());
            paths.iter().map(|path| ParameterFile::read(path, self.warn)).collect()
        });
        let context = self.match_context.get_or_init(MatchContext::default);
        files.iter().find_map(|file| {
            let Setting { value, origin, .. } = file.get(name, context, self.warn)?;
            let warn = |what: &str| (self.warn)(&format!("{origin}: {what}"));
            let value = file.trust().filter(name, value, &warn)?.into_owned();
            Some(Setting { name, value, origin })
        })
    }

    /// Returns the path of the user's file, if there is a home directory, and of the system-wide
    /// file, if the platform has one.
    fn standard_paths(&self) -> Vec<PathBuf> {
        let own = self.home().map(|home| home.join(".connectrc"));
        own.into_iter().chain(sys::SYSTEM_FILE.map(PathBuf::from)).collect()
    }

    /// Returns the user's home directory; `None` if the user has none.
    pub(super) fn home(&self) -> Option<PathBuf> {
        (self.variable)("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(sys::home)
    }

    /// Expands a leading `~/`, because no shell does that for the values in a parameter file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        let home = text.strip_prefix("~/").zip(self.home());
        home.map_or_else(|| text.into(), |(rest, home)| home.join(rest))
    }

    /// Returns the password that an option refers to. Calls `read` only the first time, because all
    /// proxies share the password and a pipe can be read only once.
    pub(super) fn read_once(&self, read: impl FnOnce() -> Result<Secret, Error>) -> Result<Secret, Error> {
        if let Some(password) = self.password.get() {
            return Ok(password.clone());
        }
        let password = read()?;
        Ok(self.password.get_or_init(|| password).clone())
    }

    /// Returns the token or key in this place. Calls `read` only the first time.
    pub(super) fn read_line_once(
        &self,
        place: &str,
        read: impl FnOnce() -> Result<Secret, Error>,
    ) -> Result<Secret, Error> {
        if let Some(line) = self.lines.borrow().get(place) {
            return Ok(line.clone());
        }
        let line = read()?;
        self.lines.borrow_mut().insert(place.to_owned(), line.clone());
        Ok(line)
    }

    /// Records a setting unless it is already recorded. Calls `value` only if recording is enabled.
    pub(super) fn record(&self, name: &'static str, origin: &Origin, value: impl FnOnce() -> String) {
        if let Some(records) = &self.records {
            let record = SettingRecord { name, value: value(), origin: origin.clone() };
            let mut records = records.borrow_mut();
            // Each hop of a chain may look up the same setting.
            if !records.contains(&record) {
                records.push(record);
            }
        }
    }

    /// Returns a setting whose value must be text, and records it.
    fn text(&self, setting: Setting<Vec<u8>>) -> Result<Setting, Error> {
        let Setting { name, value, origin } = self.recorded(setting);
        let value = match String::from_utf8(value) {
            Ok(text) => text,
            // Only the entries that are not UTF-8 are invalid.
            Err(error) if parameters::kind(name.as_bytes()) == Some(Kind::Targets) => {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
            // The value comes from a variable, because a file's parser ignores such a line.
            Err(_) => return Err(Error::Config(format!("invalid value for {name}: not UTF-8"))),
        };
        Ok(Setting { name, value, origin })
    }

    /// Records a setting, and returns it.
    fn recorded(&self, setting: Setting<Vec<u8>>) -> Setting<Vec<u8>> {
        self.record(setting.name, &setting.origin, || masked_bytes(setting.name, &setting.value));
        setting
    }

    /// Returns the first of these parameters that is set. As in the C program, a parameter with an
    /// empty value counts as set.
    pub(super) fn first(&self, names: &[&'static str]) -> Result<Option<Setting>, Error> {
        names.iter().find_map(|name| self.find(name)).map(|setting| self.text(setting)).transpose()
    }

    /// Returns the user name in the first of these parameters that is set.
    pub(super) fn user(&self, names: &[&'static str]) -> Option<UserName> {
        let setting = names.iter().find_map(|name| self.find(name))?;
        Some(UserName::new(self.recorded(setting).value))
    }

    /// Returns the first of these parameters that is not empty.
    pub(super) fn first_nonempty(&self, names: &[&'static str]) -> Result<Option<Setting>, Error> {
        self.find_nonempty(names).map(|setting| self.text(setting)).transpose()
    }

    /// Returns the first of these parameters that is not empty. Its value is the URL of a proxy, in
    /// which user and password need not be UTF-8.
    pub(super) fn first_proxy(&self, names: &[&'static str]) -> Option<Setting<Vec<u8>>> {
        self.find_nonempty(names).map(|setting| self.recorded(setting))
    }

    fn find_nonempty(&self, names: &[&'static str]) -> Option<Setting<Vec<u8>>> {
        names.iter().find_map(|name| self.find(name).filter(|setting| !setting.value.is_empty()))
    }

    /// Returns a command-line option as a setting.
    pub(super) fn option(&self, option: &'static str, value: &str) -> Setting {
        let setting = Setting { name: option, value: value.to_owned(), origin: Origin::Option(option) };
        self.record(option, &setting.origin, || masked(option, value));
        setting
    }

    /// Returns the option if it was given, otherwise the first of these parameters that is set.
    pub(super) fn option_or(
        &self,
        option: &'static str,
        value: Option<&String>,
        names: &[&'static str],
    ) -> Result<Option<Setting>, Error> {
        value.map_or_else(|| self.first(names), |value| Ok(Some(self.option(option, value))))
    }

    /// Returns the first of these parameters that is set, as bytes, because a secret need not be
    /// UTF-8.
    pub(super) fn secret(&self, names: &[&'static str]) -> Option<Secret> {
        let setting = names.iter().find_map(|name| self.find(name))?;
        self.record(setting.name, &setting.origin, || "****".into());
        Some(Secret::new(setting.value))
    }

    /// Returns the program that prompts for passwords, following OpenSSH's rules; `None` to prompt
    /// on the terminal.
    ///
    /// `SSH_ASKPASS` is used if there is a display, unless `SSH_ASKPASS_REQUIRE` is `never`. With
    /// `force`, it is used even without a display.
    pub(super) fn askpass(&self) -> Option<PathBuf> {
        let program = self.find("SSH_ASKPASS").filter(|program| !program.value.is_empty())?;
        let require = (self.variable)("SSH_ASKPASS_REQUIRE").unwrap_or_default();
        let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| self.is_variable_set(name));
        let requires = |value: &str| require.eq_ignore_ascii_case(value);
        if !requires("force") && (!has_display || requires("never")) {
            return None;
        }
        self.record(program.name, &program.origin, || printable(&program.value));
        Some(sys::os_string(program.value).into())
    }

    fn is_variable_set(&self, name: &str) -> bool {
        (self.variable)(name).is_some_and(|value| !value.is_empty())
    }

    /// Returns the proxy for `-h`.
    pub(super) fn http_proxy(&self) -> Result<ProxyUrl, Error> {
        let names = ["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy"];
        self.proxy(&names, &["ALL_PROXY", "all_proxy"], Syntax::Http)?.ok_or_else(|| {
            Error::Config("no proxy for -h: HTTP_PROXY is not set; set it, or use -H PROXY".into())
        })
    }

    /// Returns the proxy for `-s`.
    pub(super) fn socks_proxy(&self, version: Option<SocksVersion>) -> Result<ProxyUrl, Error> {
        let own = match version {
            Some(SocksVersion::V4) => "SOCKS4_SERVER",
            _ => "SOCKS5_SERVER",
        };
        self.proxy(&[own, "SOCKS_SERVER"], &["ALL_PROXY", "all_proxy"], Syntax::Socks)?.ok_or_else(|| {
            Error::Config(format!(
                "no proxy for -s: neither {own} nor SOCKS_SERVER is set; set one of them, or use -S PROXY"
            ))
        })
    }

    /// Returns the proxy for `-t`.
    pub(super) fn telnet_proxy(&self) -> Result<ProxyUrl, Error> {
        self.proxy(&["TELNET_PROXY"], &[], Syntax::Telnet)?.ok_or_else(|| {
            Error::Config("no proxy for -t: TELNET_PROXY is not set; set it, or use -T HOST".into())
        })
    }

    /// Returns the first of `names` that is not empty, otherwise the first of `general` whose
    /// scheme fits `syntax`.
    fn proxy(
        &self,
        names: &[&'static str],
        general: &[&'static str],
        syntax: Syntax,
    ) -> Result<Option<ProxyUrl>, Error> {
        let with_scheme = |name: &&'static str| {
            self.find(name).filter(|setting| proxy_url::has_scheme(&setting.value, syntax))
        };
        let general = || general.iter().find_map(with_scheme).map(|setting| self.recorded(setting));
        let setting = self.first_proxy(names).or_else(general);
        setting.map(|setting| ProxyUrl::parse(&setting.value, &setting.source(), syntax)).transpose()
    }
}

/// Returns `true` if a CGI server may set this variable from a header of the client's request (RFC
/// 3875 §4.1.18): the header `Proxy` becomes `HTTP_PROXY` ("httpoxy"). Pass `ignore_case` on
/// systems that ignore the case of variable names.
pub(super) fn is_header(name: &str, ignore_case: bool) -> bool {
    let start = name.get(..5).unwrap_or_default();
    start == "HTTP_" || ignore_case && start.eq_ignore_ascii_case("HTTP_")
}

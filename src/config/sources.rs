//! Where parameters come from besides the command line: the environment, then `~/.connectrc`, then `/etc/connectrc`.

use std::cell::{OnceCell, RefCell};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::origin::{Found, Origin, Record};
use super::rcfile::Parameters;
use super::spec::{self, Spec};
use super::surroundings::Here;
use crate::cli::SocksVersion;
use crate::error::Error;
use crate::plan::Target;
use crate::secret::{self, Secret};
use crate::sys;
use crate::text::printable;

/// Everything outside the command line, looked at one name at a time. The files are read when a name is asked for
/// that the environment does not have.
pub struct Sources<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    warn: &'a dyn Fn(&str),
    /// Other files than the two, for tests.
    paths: Option<Vec<PathBuf>>,
    files: OnceCell<Vec<Parameters>>,
    here: OnceCell<Here>,
    /// What was typed may name something that can be read only once.
    password: OnceCell<Secret>,
    records: Option<RefCell<Vec<Record>>>,
}

impl<'a> Sources<'a> {
    /// The environment and the two files. `warn` is told what is wrong with a file, one line a time.
    #[must_use]
    pub fn new(variable: &'a dyn Fn(&str) -> Option<OsString>, warn: &'a dyn Fn(&str)) -> Self {
        Self {
            variable,
            warn,
            paths: None,
            files: OnceCell::new(),
            here: OnceCell::new(),
            password: OnceCell::new(),
            records: None,
        }
    }

    /// The environment and these files, the first one first.
    #[must_use]
    pub fn with_files(
        variable: &'a dyn Fn(&str) -> Option<OsString>,
        warn: &'a dyn Fn(&str),
        paths: Vec<PathBuf>,
    ) -> Self {
        Self { paths: Some(paths), ..Self::new(variable, warn) }
    }

    /// Remembers which values mattered, and where they come from.
    #[must_use]
    pub fn recording(self) -> Self {
        Self { records: Some(RefCell::default()), ..self }
    }

    /// The values that mattered so far, in the order in which they were asked for; none unless it was to record them.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.as_ref().map(|records| records.borrow().clone()).unwrap_or_default()
    }

    /// Says where the way leads, and how long it may take: blocks of a file may depend on it.
    pub(super) fn head_for(&self, target: &Target, limit: Option<Duration>) {
        // One plan is made with it; another one's target would change nothing.
        let _ = self.here.set(Here::heading_for(target, limit));
    }

    /// Tells the user what is wrong.
    pub(super) fn warn(&self) -> &dyn Fn(&str) {
        self.warn
    }

    /// The value of a variable, whatever the files say. A visitor of a web server is not asked.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        if is_header(name, sys::VARIABLES_IGNORE_CASE) && self.is_variable("REQUEST_METHOD") {
            return None;
        }
        (self.variable)(name)
    }

    /// The value of a variable, or else of a parameter in a file.
    fn find(&self, name: &'static str) -> Option<Found<OsString>> {
        self.find_said(name, false)
    }

    /// The same; a command that is to be run counts only if the file is the user's own word.
    fn find_said(&self, name: &'static str, is_command: bool) -> Option<Found<OsString>> {
        match self.variable(name) {
            Some(value) => Some(Found { name, value, origin: Origin::Variable(name) }),
            None => self.in_files(name, is_command),
        }
    }

    fn in_files(&self, name: &'static str, is_command: bool) -> Option<Found<OsString>> {
        let files = self.files.get_or_init(|| {
            let paths = self.paths.clone().unwrap_or_else(|| self.standard_paths());
            paths.iter().map(|path| Parameters::read(path, self.warn)).collect()
        });
        let here = self.here.get_or_init(Here::default);
        files.iter().find_map(|file| {
            let found = file.get(name, here, self.warn)?;
            if is_command && !file.is_trusted() {
                (self.warn)(&format!(
                    "{}: {name} is not run from a file that others can write to, or that is another user's",
                    found.origin
                ));
                return None;
            }
            Some(found.map(OsString::from))
        })
    }

    /// The user's file, if there is a home to look in, and the system's, if it has one.
    fn standard_paths(&self) -> Vec<PathBuf> {
        let own = self.home().map(|home| home.join(".connectrc"));
        own.into_iter().chain(sys::SYSTEM_FILE.map(PathBuf::from)).collect()
    }

    /// The user's home directory.
    pub(super) fn home(&self) -> Option<PathBuf> {
        (self.variable)("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(sys::home)
    }

    /// A path in which `~/` is the user's home directory: no shell has seen it in a file.
    pub(super) fn path(&self, word: &str) -> PathBuf {
        let home = word.strip_prefix("~/").zip(self.home());
        home.map_or_else(|| word.into(), |(rest, home)| home.join(rest))
    }

    /// The password that was typed where to find, which is read once for all proxies.
    pub(super) fn read_once(&self, read: impl FnOnce() -> Result<Secret, Error>) -> Result<Secret, Error> {
        if let Some(known) = self.password.get() {
            return Ok(known.clone());
        }
        let password = read()?;
        Ok(self.password.get_or_init(|| password).clone())
    }

    /// Remembers a value that matters.
    pub(super) fn record(&self, name: &'static str, origin: &Origin, value: impl FnOnce() -> String) {
        if let Some(records) = &self.records {
            records.borrow_mut().push(Record { name, value: value(), origin: origin.clone() });
        }
    }

    fn accept(&self, found: Found<OsString>) -> Result<Found, Error> {
        let Found { name, value, origin } = found;
        // What a file sets is UTF-8.
        let value =
            value.into_string().map_err(|_| Error::Config(format!("the variable {name} is not UTF-8")))?;
        self.record(name, &origin, || shown(name, &value));
        Ok(Found { name, value, origin })
    }

    /// The first of these that is set, with its name. An empty one is set: that is how the C program sees it.
    pub(super) fn first_named(&self, names: &[&'static str]) -> Result<Option<Found>, Error> {
        names.iter().find_map(|name| self.find(name)).map(|found| self.accept(found)).transpose()
    }

    /// What was typed for an option.
    pub(super) fn typed(&self, option: &'static str, word: &str) -> Found {
        let found = Found { name: option, value: word.to_owned(), origin: Origin::Option(option) };
        self.record(option, &found.origin, || shown(option, word));
        found
    }

    /// What was typed for an option, or else the first of these that is set.
    pub(super) fn typed_or(
        &self,
        option: &'static str,
        typed: Option<&String>,
        names: &[&'static str],
    ) -> Result<Option<Found>, Error> {
        typed.map_or_else(|| self.first_named(names), |word| Ok(Some(self.typed(option, word))))
    }

    /// The first of these that is set.
    pub(super) fn first(&self, names: &[&'static str]) -> Result<Option<String>, Error> {
        Ok(self.first_named(names)?.map(|found| found.value))
    }

    /// The first of these that is not empty.
    pub(super) fn first_filled(&self, names: &[&'static str]) -> Result<Option<Found>, Error> {
        let filled = |name: &&'static str| self.find(name).filter(|found| !found.value.is_empty());
        names.iter().find_map(filled).map(|found| self.accept(found)).transpose()
    }

    /// A command for the shell: not from a file that somebody else may have written to.
    pub(super) fn command(&self, name: &'static str) -> Result<Option<Found>, Error> {
        let found = self.find_said(name, true);
        found.filter(|found| !found.value.is_empty()).map(|found| self.accept(found)).transpose()
    }

    /// The first of these that is set, byte by byte.
    pub(super) fn secret(&self, names: &[&'static str]) -> Option<Secret> {
        let found = names.iter().find_map(|name| self.find(name))?;
        self.record(found.name, &found.origin, || "****".into());
        Some(Secret::new(found.value.into_encoded_bytes()))
    }

    /// The program that asks for passwords, by OpenSSH's rules: there is one, and either there is a display for it or
    /// it is to be used in any case.
    pub(super) fn askpass(&self) -> Option<PathBuf> {
        let program = self.find("SSH_ASKPASS").filter(|program| !program.value.is_empty())?;
        let require = (self.variable)("SSH_ASKPASS_REQUIRE").unwrap_or_default();
        let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| self.is_variable(name));
        let is = |word: &str| require.eq_ignore_ascii_case(word);
        if !is("force") && (!display || is("never")) {
            return None;
        }
        let path = || printable(program.value.as_encoded_bytes());
        self.record(program.name, &program.origin, path);
        Some(program.value.into())
    }

    fn is_variable(&self, name: &str) -> bool {
        (self.variable)(name).is_some_and(|value| !value.is_empty())
    }

    /// The proxy for `-h`.
    pub(super) fn http_proxy(&self) -> Result<Spec, Error> {
        let names = ["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy"];
        self.proxy(&names, &["ALL_PROXY", "all_proxy"], &spec::HTTP)?.ok_or_else(|| {
            Error::Config(
                "-h needs an HTTP proxy, and HTTP_PROXY is not set; name one there, or with -H".into(),
            )
        })
    }

    /// The proxy for `-s`.
    pub(super) fn socks_proxy(&self, version: Option<SocksVersion>) -> Result<Spec, Error> {
        let own = match version {
            Some(SocksVersion::V4) => "SOCKS4_SERVER",
            _ => "SOCKS5_SERVER",
        };
        self.proxy(&[own, "SOCKS_SERVER"], &["ALL_PROXY", "all_proxy"], &spec::SOCKS)?.ok_or_else(|| {
            Error::Config(format!("-s needs a SOCKS proxy, and neither {own} nor SOCKS_SERVER is set; name one there, or with -S"))
        })
    }

    /// The proxy for `-t`.
    pub(super) fn telnet_proxy(&self) -> Result<Spec, Error> {
        self.proxy(&["TELNET_PROXY"], &[], &spec::TELNET)?.ok_or_else(|| {
            Error::Config(
                "-t needs a telnet-style proxy, and TELNET_PROXY is not set; name one there, or with -T"
                    .into(),
            )
        })
    }

    /// The first of `names` that is not empty, else the first of `any` whose scheme is of this kind.
    fn proxy(
        &self,
        names: &[&'static str],
        any: &[&'static str],
        kind: &spec::Kind,
    ) -> Result<Option<Spec>, Error> {
        let of_this_kind = |name: &&'static str| {
            self.find(name).filter(|found| found.value.to_str().is_none_or(|word| kind.has_scheme_of(word)))
        };
        let found = match self.first_filled(names)? {
            None => any.iter().find_map(of_this_kind).map(|found| self.accept(found)).transpose()?,
            found => found,
        };
        found.map(|found| Spec::parse(&found.value, &found.source(), kind)).transpose()
    }
}

/// A value without a password in it.
fn shown(name: &str, value: &str) -> String {
    let masked = match name {
        name if secret::is_password(name.as_bytes()) => "****".into(),
        "-x" | "CONNECT_PROXY" => secret::masked_chain(value),
        _ => secret::masked(value),
    };
    printable(masked.as_bytes())
}

/// Whether this is a variable into which a web server puts a header of its visitor's request (RFC 3875 §4.1.18), by
/// whatever name the system finds it: under CGI the header "Proxy" is found in `HTTP_PROXY` ("httpoxy").
pub(super) fn is_header(name: &str, ignore_case: bool) -> bool {
    let start = name.get(..5).unwrap_or_default();
    start == "HTTP_" || ignore_case && start.eq_ignore_ascii_case("HTTP_")
}

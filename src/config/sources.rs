//! Where parameters come from besides the command line: the environment, then `~/.connectrc`, then `/etc/connectrc`.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::PathBuf;

use super::rcfile::Parameters;
use super::spec::{self, Spec};
use crate::cli::SocksVersion;
use crate::error::Error;
use crate::secret::Secret;
use crate::sys;

/// Everything outside the command line, looked at one name at a time. The files are read when a name is asked for
/// that the environment does not have.
pub struct Sources<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    warn: &'a dyn Fn(&str),
    /// Other files than the two, for tests.
    paths: Option<Vec<PathBuf>>,
    files: OnceCell<Vec<Parameters>>,
}

impl<'a> Sources<'a> {
    /// The environment and the two files. `warn` is told what is wrong with a file, one line a time.
    #[must_use]
    pub fn new(variable: &'a dyn Fn(&str) -> Option<OsString>, warn: &'a dyn Fn(&str)) -> Self {
        Self { variable, warn, paths: None, files: OnceCell::new() }
    }

    /// The environment and these files, the first one first.
    #[must_use]
    pub fn with_files(
        variable: &'a dyn Fn(&str) -> Option<OsString>,
        warn: &'a dyn Fn(&str),
        paths: Vec<PathBuf>,
    ) -> Self {
        Self { variable, warn, paths: Some(paths), files: OnceCell::new() }
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
    fn value(&self, name: &str) -> Option<OsString> {
        self.variable(name).or_else(|| self.in_files(name).map(OsString::from))
    }

    fn in_files(&self, name: &str) -> Option<&str> {
        let files = self.files.get_or_init(|| {
            let paths = self.paths.clone().unwrap_or_else(|| self.standard_paths());
            paths.iter().map(|path| Parameters::read(path, self.warn)).collect()
        });
        files.iter().find_map(|file| file.get(name))
    }

    /// The user's file, if there is a home to look in, and the system's, if it has one.
    fn standard_paths(&self) -> Vec<PathBuf> {
        let home =
            (self.variable)("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(sys::home);
        let own = home.map(|home| home.join(".connectrc"));
        own.into_iter().chain(sys::SYSTEM_FILE.map(PathBuf::from)).collect()
    }

    /// The first of these that is set, with its name. An empty one is set: that is how the C program sees it.
    pub(super) fn first_named<'n>(&self, names: &[&'n str]) -> Result<Option<(&'n str, String)>, Error> {
        let Some((name, value)) = names.iter().find_map(|name| Some((*name, self.value(name)?))) else {
            return Ok(None);
        };
        match value.into_string() {
            Ok(value) => Ok(Some((name, value))),
            Err(_) => Err(Error::Usage(format!("the variable {name} is not UTF-8"))),
        }
    }

    /// The first of these that is set.
    pub(super) fn first(&self, names: &[&str]) -> Result<Option<String>, Error> {
        Ok(self.first_named(names)?.map(|(_, value)| value))
    }

    /// The first of these that is set, byte by byte.
    pub(super) fn secret(&self, names: &[&str]) -> Option<Secret> {
        names.iter().find_map(|name| match self.variable(name) {
            Some(value) => Some(Secret::new(value.into_encoded_bytes())),
            None => self.in_files(name).map(Secret::from),
        })
    }

    /// The program that asks for passwords, by OpenSSH's rules: there is one, and either there is a display for it or
    /// it is to be used in any case.
    pub(super) fn askpass(&self) -> Option<PathBuf> {
        let program = self.value("SSH_ASKPASS").filter(|program| !program.is_empty())?;
        let require = (self.variable)("SSH_ASKPASS_REQUIRE").unwrap_or_default();
        let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| self.is_variable(name));
        let is = |word: &str| require.eq_ignore_ascii_case(word);
        (is("force") || (display && !is("never"))).then(|| program.into())
    }

    /// Whether a parameter is set, and not to nothing.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !value.is_empty())
    }

    fn is_variable(&self, name: &str) -> bool {
        (self.variable)(name).is_some_and(|value| !value.is_empty())
    }

    /// The proxy for `-h`.
    pub(super) fn http_proxy(&self) -> Result<Spec, Error> {
        let names = ["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy"];
        self.proxy(&names, &["ALL_PROXY", "all_proxy"], &spec::HTTP)?.ok_or_else(|| {
            Error::Usage(
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
            Error::Usage(format!("-s needs a SOCKS proxy, and neither {own} nor SOCKS_SERVER is set; name one there, or with -S"))
        })
    }

    /// The proxy for `-t`.
    pub(super) fn telnet_proxy(&self) -> Result<Spec, Error> {
        self.proxy(&["TELNET_PROXY"], &[], &spec::TELNET)?.ok_or_else(|| {
            Error::Usage(
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
        for name in names.iter().filter(|name| self.is_set(name)) {
            if let Some((name, word)) = self.first_named(&[name])? {
                return Spec::parse(&word, name, kind).map(Some);
            }
        }
        for name in any.iter().filter(|name| self.is_set(name)) {
            if let Some((name, word)) = self.first_named(&[name])?
                && kind.has_scheme_of(&word)
            {
                return Spec::parse(&word, name, kind).map(Some);
            }
        }
        Ok(None)
    }
}

/// Whether this is a variable into which a web server puts a header of its visitor's request (RFC 3875 §4.1.18), by
/// whatever name the system finds it: under CGI the header "Proxy" is found in `HTTP_PROXY` ("httpoxy").
pub(super) fn is_header(name: &str, ignore_case: bool) -> bool {
    let start = name.get(..5).unwrap_or_default();
    start == "HTTP_" || ignore_case && start.eq_ignore_ascii_case("HTTP_")
}

//! The variables that name proxies, users and passwords.

use std::ffi::OsString;

use super::spec::{self, Spec};
use crate::cli::SocksVersion;
use crate::error::Error;
use crate::secret::Secret;

/// The environment, looked at one variable at a time.
pub(super) struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { variable }
    }

    /// The first of these that is set, with its name. An empty one is set: that is how the C program sees it.
    pub(super) fn first_named<'n>(&self, names: &[&'n str]) -> Result<Option<(&'n str, String)>, Error> {
        let Some((name, value)) = names.iter().find_map(|name| Some((*name, (self.variable)(name)?))) else {
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
        let value = names.iter().find_map(|name| (self.variable)(name))?;
        Some(Secret::new(value.into_encoded_bytes()))
    }

    fn is_set(&self, name: &str) -> bool {
        (self.variable)(name).is_some_and(|value| !value.is_empty())
    }

    /// The proxy for `-h`.
    pub(super) fn http_proxy(&self) -> Result<Spec, Error> {
        let mut names = vec!["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy"];
        // Under CGI it is what a web client sent as its header "Proxy", and not ours ("httpoxy").
        if self.is_set("REQUEST_METHOD") {
            names.remove(0);
        }
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

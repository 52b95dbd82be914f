//! The settings that a parameter file may contain if other users can write to it.
//!
//! The check is made here, for every value in a file, rather than in the code that uses the values.
//! Without it, another user could make `connect` run a program, or send a proxy the content of a
//! file that only the user can read.

use std::borrow::Cow;
use std::fs::Metadata;

use super::proxy_url;
use crate::parameters::{self, Kind};
use crate::sys;

/// The trust in a parameter file: full if the file belongs to the user or root and nobody else can
/// write to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// The file belongs to another user, or other users can write to it. Commands and paths in it
    /// are ignored.
    #[default]
    Limited,
    /// The file may set any parameter.
    Full,
}

impl Trust {
    /// Returns how far a file with this metadata is trusted.
    pub(super) fn from_metadata(metadata: &Metadata) -> Self {
        if sys::is_trusted(metadata) { Self::Full } else { Self::Limited }
    }

    /// Returns the part of a value that may be used; `None` if it must be ignored. Passes to `warn`
    /// what is ignored and why.
    pub(super) fn filter<'a>(
        self,
        name: &str,
        value: &'a [u8],
        warn: &dyn Fn(&str),
    ) -> Option<Cow<'a, [u8]>> {
        let what = match parameters::kind(name.as_bytes())? {
            _ if self == Self::Full || value.is_empty() => return Some(value.into()),
            Kind::Plain | Kind::Targets | Kind::User | Kind::Secret => return Some(value.into()),
            Kind::Header if !value.starts_with(b"@") => return Some(value.into()),
            Kind::Netrc if value.eq_ignore_ascii_case(b"no") => return Some(value.into()),
            Kind::Proxies if proxy_url::names_socket(value) => "the path of a socket",
            Kind::Proxies => {
                let warn = |option: &str| {
                    let why = self.require("a path").err().unwrap_or_default();
                    warn(&format!("{option}= in {name} ignored: {why}"));
                };
                return Some(proxy_url::without_paths(value, &warn));
            }
            Kind::Header | Kind::Path => "a path",
            Kind::Netrc => "a netrc file",
            Kind::Command => "a command",
        };
        self.require(what).map_err(|why| warn(&format!("{name} ignored: {why}"))).ok()?;
        Some(value.into())
    }

    /// Checks that the file may contain `what`, such as a command.
    ///
    /// # Errors
    /// A message for the user.
    pub(super) fn require(self, what: &str) -> Result<(), String> {
        match self {
            Self::Full => Ok(()),
            Self::Limited => Err(format!(
                "{what} is allowed only in a parameter file that no one but you or root can write to"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::parameters::{ALL, URL_OPTIONS};

    /// Returns the permitted value and the warnings.
    fn filtered(trust: Trust, name: &str, value: &str) -> (Option<String>, Vec<String>) {
        let warnings = RefCell::new(Vec::new());
        let warn = |warning: &str| warnings.borrow_mut().push(warning.to_owned());
        let permitted = trust.filter(name, value.as_bytes(), &warn);
        let permitted = permitted.map(|value| String::from_utf8_lossy(&value).into_owned());
        (permitted, warnings.into_inner())
    }

    /// Loops over the table of parameters, so that a new parameter is tested too.
    #[test]
    fn a_file_that_others_can_write_to_sets_no_command_and_no_path() {
        for parameter in ALL.iter().filter(|parameter| parameter.in_files) {
            let (value, what) = match parameter.kind {
                Kind::Plain | Kind::Targets | Kind::User | Kind::Secret | Kind::Proxies => ("x", None),
                Kind::Header => ("@/etc/shadow", Some("a path")),
                Kind::Path => ("/etc/shadow", Some("a path")),
                Kind::Netrc => ("yes", Some("a netrc file")),
                Kind::Command => ("/tmp/program", Some("a command")),
            };
            let name = parameter.name;
            let warning = what.map(|what| {
                format!("{name} ignored: {what} is allowed only in a parameter file that no one but you or root can write to")
            });
            let permitted = warning.is_none().then(|| value.to_owned());
            assert_eq!(filtered(Trust::Limited, name, value), (permitted, warning.into_iter().collect()));
            assert_eq!(filtered(Trust::Full, name, value), (Some(value.into()), vec![]));
            // An empty value overrides the system's file and does nothing else.
            assert_eq!(filtered(Trust::Limited, name, ""), (Some(String::new()), vec![]));
        }
        assert_eq!(filtered(Trust::Limited, "CONNECT_NETRC", "/x").0, None);
        for (name, value) in [("CONNECT_NETRC", "No"), ("CONNECT_HEADER", "X-Site: @north")] {
            assert_eq!(filtered(Trust::Limited, name, value), (Some(value.into()), vec![]));
        }
    }

    /// Without this rule, another user could make us send requests to a socket that only we may
    /// open.
    #[test]
    fn a_file_that_others_can_write_to_names_no_proxy_at_a_socket() {
        for value in
            ["unix:/run/docker.sock", "http://a|socks5h://unix:%2Frun%2Fx", "socks5://localhost/run/x"]
        {
            let (permitted, warnings) = filtered(Trust::Limited, "CONNECT_PROXY", value);
            assert_eq!(permitted, None, "{value}");
            let expected = "CONNECT_PROXY ignored: the path of a socket is allowed only in ";
            assert!(
                matches!(&warnings[..], [warning] if warning.starts_with(expected)),
                "{value}: {warnings:?}"
            );
            assert_eq!(filtered(Trust::Full, "CONNECT_PROXY", value), (Some(value.into()), vec![]));
        }
    }

    #[test]
    fn a_file_that_others_can_write_to_sets_no_path_in_the_url_of_a_proxy() {
        for (option, kind) in URL_OPTIONS {
            let url = format!("https://one?{option}=x");
            let (permitted, warnings) = filtered(Trust::Limited, "CONNECT_PROXY", &url);
            let is_path = *kind == Kind::Path;
            assert_eq!(permitted.as_deref(), Some(if is_path { "https://one?" } else { &*url }), "{option}");
            assert_eq!(warnings.len(), usize::from(is_path), "{warnings:?}");
            for warning in warnings {
                assert!(
                    warning.starts_with(&format!(
                        "{option}= in CONNECT_PROXY ignored: a path is allowed only in"
                    ))
                );
            }
            assert_eq!(filtered(Trust::Full, "CONNECT_PROXY", &url), (Some(url), vec![]));
        }
        for (url, expected) in [
            ("https://a?tls-ca=/x&insecure", "https://a?insecure"),
            ("https://a?insecure&tls%2Dca=/x&%74ls-key", "https://a?insecure"),
            (
                "https://a?tls-cert=/x,http://b?auth=basic|https://c?tls-ca=y | direct",
                "https://a?,http://b?auth=basic|https://c?| direct",
            ),
            // Only `-S` and similar options accept this. There, `a?tls-ca=b` is the password.
            ("me:a?tls-ca=b@host", "me:a?tls-ca=b@host"),
        ] {
            assert_eq!(filtered(Trust::Limited, "HTTP_PROXY", url).0.as_deref(), Some(expected));
        }
    }
}

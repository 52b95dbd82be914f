//! Every parameter that the program reads, in one table.
//!
//! A parameter is an environment variable; most can also be set in a parameter file. The file
//! reader, the masking of passwords and the tables in `docs/parameters.md` and connectrc(5) use
//! this table.

/// An environment variable or a setting in a parameter file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, which is case-sensitive.
    pub name: &'static str,
    /// `true` if the whole value is secret. `false` for proxy parameters, although their values may
    /// include a password.
    pub is_secret: bool,
    /// `true` if a parameter file may set this parameter; `false` if it is read only from the
    /// environment.
    pub in_files: bool,
    /// One line of documentation, in Markdown.
    pub doc: &'static str,
}

const fn setting(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, is_secret: false, in_files: true, doc }
}

const fn secret(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { is_secret: true, ..setting(name, doc) }
}

const fn variable(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { in_files: false, ..setting(name, doc) }
}

/// All parameters, in the order in which the documentation lists them.
#[rustfmt::skip]
pub const ALL: &[Parameter] = &[
    setting("CONNECT_PROXY", "proxies for `-A`, as for `-x`"),
    setting("SOCKS5_SERVER", "SOCKS5 proxy for `-s`"),
    setting("SOCKS4_SERVER", "SOCKS4 proxy for `-s -4`"),
    setting("SOCKS_SERVER", "SOCKS proxy for `-s` if the parameter for the version is not set"),
    setting("HTTP_PROXY", "HTTP proxy for `-h` and `-A`"),
    setting("TELNET_PROXY", "telnet-style proxy for `-t`"),
    setting("SOCKS5_DIRECT", "targets to reach without a SOCKS5 proxy"),
    setting("SOCKS4_DIRECT", "targets to reach without a SOCKS4 proxy"),
    setting("SOCKS_DIRECT", "targets to reach without a SOCKS proxy if the list for the version is not set"),
    setting("HTTP_DIRECT", "targets to reach without an HTTP proxy"),
    setting("CONNECT_DIRECT", "targets to reach without any proxy if no list above applies"),
    setting("SOCKS5_RESOLVE", "same as `-R`, for SOCKS5 proxies"),
    setting("SOCKS4_RESOLVE", "same as `-R`, for SOCKS4 proxies"),
    setting("SOCKS_RESOLVE", "same as `-R`, for SOCKS proxies if the parameter for the version is not set"),
    setting("SOCKS5_AUTH", "same as `-a`, for SOCKS5 proxies"),
    setting("HTTP_PROXY_AUTH", "same as `-a`, for HTTP proxies"),
    setting("SOCKS5_USER", "user name for SOCKS5 proxies"),
    setting("SOCKS4_USER", "user name for SOCKS4 proxies"),
    setting("SOCKS_USER", "user name for SOCKS proxies"),
    setting("HTTP_PROXY_USER", "user name for HTTP proxies"),
    setting("CONNECT_USER", "user name for all proxies"),
    secret("SOCKS5_PASSWD", "password for SOCKS5 proxies"),
    secret("SOCKS5_PASSWORD", "password for SOCKS5 proxies"),
    secret("SOCKS_PASSWORD", "password for SOCKS proxies"),
    secret("HTTP_PROXY_PASSWORD", "password for HTTP proxies"),
    secret("CONNECT_PASSWORD", "password for all proxies"),
    setting("CONNECT_PASSWORD_FILE", "same as `--password-file`"),
    setting("CONNECT_PASSWORD_COMMAND", "same as `--password-command`"),
    setting("CONNECT_NETRC", "`yes` is the same as `--netrc`; a path is the same as `--netrc-file`"),
    setting("SSH_ASKPASS", "program that asks for passwords"),
    secret("CONNECT_HEADER", "same as `--header`, for a single header"),
    setting("CONNECT_USER_AGENT", "same as `--user-agent`"),
    setting("CONNECT_TLS_CA", "same as `--tls-ca`"),
    setting("CONNECT_TLS_CERT", "same as `--tls-cert`"),
    setting("CONNECT_TLS_KEY", "same as `--tls-key`"),
    setting("CONNECT_TLS_PIN", "same as `--tls-pin`"),
    setting("CONNECT_TLS_SERVER_NAME", "same as `--tls-server-name`"),
    variable("ALL_PROXY", "proxy for `-A`, and for `-s` or `-h` if its scheme fits"),
    variable("all_proxy", "same as `ALL_PROXY`"),
    variable("HTTPS_PROXY", "HTTP proxy for `-h` and `-A`"),
    variable("https_proxy", "same as `HTTPS_PROXY`"),
    variable("http_proxy", "HTTP proxy for `-h` and `-A`"),
    variable("no_proxy", "targets to reach without the proxy, in curl's syntax"),
    variable("NO_PROXY", "same as `no_proxy`"),
    variable("NETRC", "file for `--netrc` instead of `~/.netrc`"),
    variable("SSH_ASKPASS_REQUIRE", "when to use `SSH_ASKPASS`: `never`, `prefer` or `force`, as for ssh"),
    variable("CONNECT_RELAY", "`copy` relays through user memory even where Linux could keep the data in the kernel (`splice`, the default)"),
];

/// Returns the parameter with this name; `None` if a parameter file cannot set it.
#[must_use]
pub fn find_for_file(name: &str) -> Option<&'static Parameter> {
    ALL.iter().find(|parameter| parameter.in_files && parameter.name == name)
}

/// Returns `true` if the whole value of this parameter is a secret.
#[must_use]
pub fn is_secret(name: &[u8]) -> bool {
    ALL.iter().any(|parameter| parameter.is_secret && parameter.name.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::{ALL, find_for_file, is_secret};

    #[test]
    fn each_parameter_has_one_row_and_one_line() {
        for (index, parameter) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.name != parameter.name), "{parameter:?}");
            assert!(!parameter.doc.is_empty() && !parameter.doc.contains(['\n', '|']), "{parameter:?}");
        }
    }

    #[test]
    fn a_password_is_a_secret_and_its_file_is_not() {
        assert!(is_secret(b"SOCKS5_PASSWD") && is_secret(b"CONNECT_HEADER"));
        assert!(!is_secret(b"CONNECT_PASSWORD_FILE") && !is_secret(b"HTTP_PROXY") && !is_secret(b"PATH"));
    }

    #[test]
    fn a_file_cannot_set_the_variables_of_other_programs() {
        assert!(find_for_file("HTTP_PROXY").is_some());
        assert!(find_for_file("http_proxy").is_none() && find_for_file("ALL_PROXY").is_none());
        assert!(find_for_file("CONNECT_RELAY").is_none());
    }
}

//! Every parameter that the program reads, in one table.
//!
//! A parameter is an environment variable; most can also be set in a parameter file. The file
//! reader, the trust rules for files, the masking of secrets, and the documentation in
//! `docs/parameters.md` and connectrc(5) are all based on this table.

use Kind::{Command, Header, Netrc, Path, Plain, Proxies, Secret, Targets, User};

/// The kind of a value. It decides whether the value is masked, and whether a parameter file that
/// other users can write to may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is harmless from any source.
    Plain,
    /// A list of targets, which is as harmless as [`Kind::Plain`].
    Targets,
    /// A user name. Like a secret, it may begin or end with a blank.
    User,
    /// A secret.
    Secret,
    /// A header field, which may be secret; or `@` and the path of a file with header fields.
    Header,
    /// The URLs of proxies. They may contain passwords, paths of sockets and [`URL_OPTIONS`].
    Proxies,
    /// The path of a file to read.
    Path,
    /// `yes` to read `~/.netrc`, `no`, or the path of a netrc file.
    Netrc,
    /// A command or a program to run.
    Command,
}

/// An environment variable or a setting in a parameter file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, which is case-sensitive.
    pub name: &'static str,
    /// The kind of the value.
    pub kind: Kind,
    /// `true` if a parameter file may set this parameter; `false` if it is read only from the
    /// environment.
    pub in_files: bool,
    /// One line of documentation, in Markdown.
    pub doc: &'static str,
}

const fn setting(kind: Kind, name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, kind, in_files: true, doc }
}

const fn variable(kind: Kind, name: &'static str, doc: &'static str) -> Parameter {
    Parameter { in_files: false, ..setting(kind, name, doc) }
}

/// All parameters, in the order in which the documentation lists them.
#[rustfmt::skip]
pub const ALL: &[Parameter] = &[
    setting(Proxies, "CONNECT_PROXY", "proxies for `-A`, as for `-x`"),
    setting(Proxies, "SOCKS5_SERVER", "SOCKS5 proxy for `-s`"),
    setting(Proxies, "SOCKS4_SERVER", "SOCKS4 proxy for `-s -4`"),
    setting(Proxies, "SOCKS_SERVER", "SOCKS proxy for `-s` if the parameter for the version is not set"),
    setting(Proxies, "HTTP_PROXY", "HTTP proxy for `-h` and `-A`"),
    setting(Proxies, "TELNET_PROXY", "telnet-style proxy for `-t`"),
    setting(Targets, "SOCKS5_DIRECT", "targets to reach without a SOCKS5 proxy"),
    setting(Targets, "SOCKS4_DIRECT", "targets to reach without a SOCKS4 proxy"),
    setting(Targets, "SOCKS_DIRECT", "targets to reach without a SOCKS proxy if the list for the version is not set"),
    setting(Targets, "HTTP_DIRECT", "targets to reach without an HTTP proxy"),
    setting(Targets, "CONNECT_DIRECT", "targets to reach without any proxy if no list above applies"),
    setting(Plain, "SOCKS5_RESOLVE", "same as `-R`, for SOCKS5 proxies"),
    setting(Plain, "SOCKS4_RESOLVE", "same as `-R`, for SOCKS4 proxies"),
    setting(Plain, "SOCKS_RESOLVE", "same as `-R`, for SOCKS proxies if the parameter for the version is not set"),
    setting(Plain, "SOCKS5_AUTH", "same as `-a`, for SOCKS5 proxies"),
    setting(Plain, "HTTP_PROXY_AUTH", "same as `-a`, for HTTP proxies"),
    setting(User, "SOCKS5_USER", "user name for SOCKS5 proxies"),
    setting(User, "SOCKS4_USER", "user name for SOCKS4 proxies"),
    setting(User, "SOCKS_USER", "user name for SOCKS proxies"),
    setting(User, "HTTP_PROXY_USER", "user name for HTTP proxies"),
    setting(User, "CONNECT_USER", "user name for all proxies"),
    setting(Secret, "SOCKS5_PASSWD", "password for SOCKS5 proxies"),
    setting(Secret, "SOCKS5_PASSWORD", "password for SOCKS5 proxies"),
    setting(Secret, "SOCKS_PASSWORD", "password for SOCKS proxies"),
    setting(Secret, "HTTP_PROXY_PASSWORD", "password for HTTP proxies"),
    setting(Secret, "CONNECT_PASSWORD", "password for all proxies"),
    setting(Path, "CONNECT_PASSWORD_FILE", "same as `--password-file`"),
    setting(Command, "CONNECT_PASSWORD_COMMAND", "same as `--password-command`"),
    setting(Netrc, "CONNECT_NETRC", "`yes` is the same as `--netrc`; a path is the same as `--netrc-file`"),
    setting(Command, "SSH_ASKPASS", "program that asks for passwords"),
    setting(Header, "CONNECT_HEADER", "same as `--header`, for a single header"),
    setting(Plain, "CONNECT_USER_AGENT", "same as `--user-agent`"),
    setting(Secret, "CONNECT_TOKEN", "token, see `--token-file`"),
    setting(Path, "CONNECT_TOKEN_FILE", "same as `--token-file`"),
    setting(Path, "CONNECT_KEY_FILE", "same as `--key-file`"),
    setting(Plain, "CONNECT_TLS_TARGET", "`yes` is the same as `--tls-target`, `no` is the default"),
    setting(Path, "CONNECT_TLS_CA", "same as `--tls-ca`"),
    setting(Path, "CONNECT_TLS_CERT", "same as `--tls-cert`"),
    setting(Path, "CONNECT_TLS_KEY", "same as `--tls-key`"),
    setting(Plain, "CONNECT_TLS_PIN", "same as `--tls-pin`"),
    setting(Plain, "CONNECT_TLS_SERVER_NAME", "same as `--tls-server-name`"),
    setting(Path, "CONNECT_SSH_IDENTITY", "same as `--ssh-identity`, for a single key"),
    setting(Path, "CONNECT_SSH_KNOWN_HOSTS", "same as `--ssh-known-hosts`, for a single file"),
    setting(Plain, "CONNECT_SSH_STRICT", "same as `--ssh-strict`"),
    setting(Path, "CONNECT_SSH_AGENT", "same as `--ssh-agent`"),
    setting(Plain, "CONNECT_SSH_PIN", "same as `--ssh-pin`"),
    setting(Secret, "CONNECT_SSH_PASSWORD", "password for SSH servers"),
    setting(Plain, "CONNECT_BIND", "same as `--bind`"),
    setting(Plain, "CONNECT_ADDRESS_FAMILY", "`ipv4` is the same as `--ipv4`, `ipv6` the same as `--ipv6`; `any`, the default, means both"),
    setting(Plain, "CONNECT_TCP_KEEPALIVE", "same as `--tcp-keepalive`"),
    variable(Proxies, "ALL_PROXY", "proxy for `-A`, and for `-s` or `-h` if its scheme fits"),
    variable(Proxies, "all_proxy", "same as `ALL_PROXY`"),
    variable(Proxies, "HTTPS_PROXY", "HTTP proxy for `-h` and `-A`"),
    variable(Proxies, "https_proxy", "same as `HTTPS_PROXY`"),
    variable(Proxies, "http_proxy", "HTTP proxy for `-h` and `-A`"),
    variable(Targets, "no_proxy", "targets to reach without the proxy, in curl's syntax"),
    variable(Targets, "NO_PROXY", "same as `no_proxy`"),
    variable(Path, "NETRC", "file for `--netrc` instead of `~/.netrc`"),
    variable(Plain, "SSH_ASKPASS_REQUIRE", "when to use `SSH_ASKPASS`: `never`, `prefer` or `force`, as for ssh"),
    variable(Plain, "CONNECT_RELAY", "`copy` relays through user memory even where Linux could keep the data in the kernel (`splice`, the default)"),
];

impl Parameter {
    /// Returns `true` if the value is used as bytes, in any encoding; `false` if it must be UTF-8.
    /// In a list of targets, only an entry that is not UTF-8 is invalid.
    #[must_use]
    pub fn allows_any_encoding(&self) -> bool {
        matches!(self.kind, User | Secret | Proxies | Targets) || self.name == "SSH_ASKPASS"
    }
}

/// Returns the parameter with this name; `None` if a parameter file cannot set it.
#[must_use]
pub fn find_for_file(name: &str) -> Option<&'static Parameter> {
    ALL.iter().find(|parameter| parameter.in_files && parameter.name == name)
}

/// Returns the kind of this parameter's value; `None` for an unknown name.
#[must_use]
pub fn kind(name: &[u8]) -> Option<Kind> {
    ALL.iter().find(|parameter| parameter.name.as_bytes() == name).map(|parameter| parameter.kind)
}

/// The options in the query of a proxy's URL.
pub const URL_OPTIONS: &[(&str, Kind)] = &[
    ("auth", Plain),
    ("command", Plain),
    ("dialect", Plain),
    ("eof", Plain),
    ("header", Secret),
    ("insecure", Plain),
    ("keepalive", Plain),
    // An error, because a key does not belong into a URL. Masked all the same.
    ("key", Secret),
    ("key-file", Path),
    ("resolve", Plain),
    ("ssh-agent", Path),
    ("ssh-cert", Path),
    ("ssh-ciphers", Plain),
    ("ssh-compress", Plain),
    ("ssh-config", Plain),
    ("ssh-identity", Path),
    ("ssh-known-hosts", Path),
    ("ssh-pin", Plain),
    ("ssh-strict", Plain),
    ("tls-ca", Path),
    ("tls-cert", Path),
    ("tls-key", Path),
    ("tls-pin", Plain),
    ("tls-server-name", Plain),
    // An error, because a token does not belong into a URL. Masked all the same.
    ("token", Secret),
    ("token-file", Path),
];

/// Returns the kind of this URL option's value; `None` for an unknown name.
#[must_use]
pub fn url_option(name: &[u8]) -> Option<Kind> {
    URL_OPTIONS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::{ALL, Kind, URL_OPTIONS, find_for_file, kind, url_option};

    #[test]
    fn each_parameter_has_one_row_and_one_line() {
        for (index, parameter) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.name != parameter.name), "{parameter:?}");
            assert!(!parameter.doc.is_empty() && !parameter.doc.contains(['\n', '|']), "{parameter:?}");
        }
    }

    #[test]
    fn a_password_is_a_secret_and_its_file_is_not() {
        assert_eq!(kind(b"SOCKS5_PASSWD"), Some(Kind::Secret));
        assert_eq!(kind(b"CONNECT_PASSWORD_FILE"), Some(Kind::Path));
        assert_eq!((kind(b"HTTP_PROXY"), kind(b"PATH")), (Some(Kind::Proxies), None));
        assert_eq!((url_option(b"tls-ca"), url_option(b"TLS-CA")), (Some(Kind::Path), None));
    }

    /// With the wrong kind, a secret could be printed, or a path could be accepted from a file that
    /// others can write to.
    #[test]
    fn the_name_of_a_parameter_fits_its_kind() {
        let all = ALL.iter().map(|parameter| (parameter.name, parameter.kind));
        for (name, kind) in all.chain(URL_OPTIONS.iter().copied()) {
            let name = name.to_ascii_uppercase().replace('-', "_");
            let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
            let expected = match name.as_str() {
                "CONNECT_NETRC" => Kind::Netrc,
                "CONNECT_HEADER" => Kind::Header,
                "HEADER" | "KEY" | "TOKEN" => Kind::Secret,
                // The command of a telnet-style proxy is sent to it, not run.
                "COMMAND" => Kind::Plain,
                "NO_PROXY" => Kind::Targets,
                _ if ends(&["_USER"]) => Kind::User,
                _ if ends(&["_DIRECT"]) => Kind::Targets,
                _ if ends(&["_PASSWD", "_PASSWORD", "_TOKEN", "_SECRET"]) => Kind::Secret,
                _ if ends(&["_PROXY", "_SERVER"]) => Kind::Proxies,
                _ if ends(&["_COMMAND", "_ASKPASS", "_PROGRAM", "_EXEC"]) => Kind::Command,
                _ if ends(&["SSH_IDENTITY", "SSH_KNOWN_HOSTS", "SSH_AGENT"]) => Kind::Path,
                _ if ends(&["_FILE", "_PATH", "_DIR", "_CA", "_CERT", "_KEY", "NETRC"]) => Kind::Path,
                _ => Kind::Plain,
            };
            assert_eq!(kind, expected, "{name}");
        }
    }

    #[test]
    fn a_file_cannot_set_the_variables_of_other_programs() {
        assert!(find_for_file("HTTP_PROXY").is_some());
        assert!(find_for_file("http_proxy").is_none() && find_for_file("ALL_PROXY").is_none());
        assert!(find_for_file("CONNECT_RELAY").is_none());
    }
}

//! Hosts, ports and endpoints: parsed once, valid ever after.
//!
//! Whatever holds a [`Host`] can be put into a SOCKS request or an HTTP request line as it stands: no
//! control character, no blank, at most 255 bytes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU16;

use crate::text::{escaped, printable, reorders_or_hides};

/// A TCP port, 1–65535.
pub type Port = NonZeroU16;

/// The longest host name, in bytes: what the length byte of a SOCKS5 request can say (RFC 1928 §5).
pub const MAX_NAME: usize = 255;

/// A host, by name or by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name for some resolver, here or at a proxy. An IPv6 literal with a zone (`fe80::1%eth0`) is
    /// one as well: only the local resolver can tell which interface is meant.
    Name(Name),
    /// An address literal.
    Ip(IpAddr),
}

/// A host name that is safe on the wire; see [`Host::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a word is no host, no port or no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddrError {
    /// Nothing where a host was expected.
    #[error("the host is empty")]
    EmptyHost,
    /// More than [`MAX_NAME`] bytes.
    #[error("the host name is {0} bytes long, and {MAX_NAME} is the limit")]
    LongName(usize),
    /// A blank, a control character or a delimiter of a URL in a name.
    #[error("the host '{host}' holds '{what}', which no host name can")]
    BadCharacter {
        /// The whole word, made printable.
        host: String,
        /// The offending character, made printable.
        what: String,
    },
    /// Brackets that do not hold an IPv6 address.
    #[error("'{0}' is not an IPv6 address in brackets")]
    BadBrackets(String),
    /// Neither a number from 1 to 65535 nor, where that is allowed, a service name.
    #[error("'{0}' is not a port: give a number from 1 to 65535 or a service name such as ssh")]
    BadPort(String),
}

impl Host {
    /// Reads a name, an IPv4 address, or an IPv6 address bare or in brackets.
    ///
    /// # Errors
    /// An empty word, a name over [`MAX_NAME`] bytes, brackets around anything but an IPv6 address, or a
    /// character that would change the meaning of a request.
    pub fn parse(word: &str) -> Result<Self, AddrError> {
        if let Some(rest) = word.strip_prefix('[') {
            return rest
                .strip_suffix(']')
                .and_then(Self::ipv6)
                .ok_or_else(|| AddrError::BadBrackets(printable(word.as_bytes())));
        }
        if let Some(host) = word.parse().ok().map(Self::Ip).or_else(|| Self::ipv6(word)) {
            return Ok(host);
        }
        if word.is_empty() {
            return Err(AddrError::EmptyHost);
        }
        if word.len() > MAX_NAME {
            return Err(AddrError::LongName(word.len()));
        }
        match word.chars().find(|&c| !allowed_in_name(c)) {
            None => Ok(Self::Name(Name(word.to_owned()))),
            Some(c) => Err(AddrError::BadCharacter { host: escaped(word), what: escaped(&c.to_string()) }),
        }
    }

    fn ipv6(word: &str) -> Option<Self> {
        let (address, zone) = word.split_once('%').map_or((word, None), |(a, z)| (a, Some(z)));
        let address: Ipv6Addr = address.parse().ok()?;
        match zone {
            None => Some(Self::Ip(address.into())),
            Some(zone) if zone.is_empty() || !zone.chars().all(allowed_in_name) => None,
            Some(_) => (word.len() <= MAX_NAME).then(|| Self::Name(Name(word.to_owned()))),
        }
    }
}

fn allowed_in_name(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !reorders_or_hides(c) && !"/\\@:?#[]<>\"'`|,".contains(c)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.0),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// Where to connect: a host and a port. Displayed as `host:port`, with IPv6 in brackets, which is also the
/// form of an HTTP authority (RFC 9112 §3.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: Port,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.to_string();
        if host.contains(':') {
            write!(f, "[{host}]:{}", self.port)
        } else {
            write!(f, "{host}:{}", self.port)
        }
    }
}

/// Splits `host`, `host:port`, `v6`, `[v6]` or `[v6]:port` into the host and, where there is one, the port.
///
/// A word with more than one colon and no brackets is an IPv6 address without a port.
#[must_use]
pub fn split_port(word: &str) -> (&str, Option<&str>) {
    if word.starts_with('[') {
        return match word.find(']').map(|end| word.split_at(end + 1)) {
            Some((host, port)) if port.starts_with(':') => (host, Some(&port[1..])),
            _ => (word, None),
        };
    }
    match word.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (word, None),
    }
}

/// Reads a port number, 1–65535.
#[must_use]
pub fn parse_port(word: &str) -> Option<Port> {
    // `u16::from_str` takes a leading '+', which no port has.
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "that is how a test fails")]
mod tests {
    use super::*;

    fn shown(word: &str) -> String {
        Host::parse(word).map_or_else(|error| format!("error: {error}"), |host| format!("{host:?}"))
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (word, expected) in [
            ("host.example", "Name(Name(\"host.example\"))"),
            ("under_score", "Name(Name(\"under_score\"))"),
            ("bücher.example", "Name(Name(\"bücher.example\"))"),
            ("192.0.2.1", "Ip(192.0.2.1)"),
            ("2001:db8::1", "Ip(2001:db8::1)"),
            ("[2001:db8::1]", "Ip(2001:db8::1)"),
            ("fe80::1%eth0", "Name(Name(\"fe80::1%eth0\"))"),
            ("[fe80::1%eth0]", "Name(Name(\"fe80::1%eth0\"))"),
        ] {
            assert_eq!(shown(word), expected);
        }
    }

    #[test]
    fn what_would_change_a_request_is_no_host() {
        for word in [
            "",
            " ",
            "a b",
            "a\tb",
            "a\r\nX: y",
            "a\0b",
            "a/b",
            "user@host",
            "a:b:c",
            "[::1",
            "[host]",
            "[]",
            "::1]",
            "fe80::1%",
            "fe80::1%a b",
            "a\u{a0}b",
            "a\u{85}b",
            "a\u{202e}b",
        ] {
            assert!(Host::parse(word).is_err(), "{word:?}");
        }
        assert!(Host::parse(&"x".repeat(255)).is_ok());
        assert_eq!(Host::parse(&"x".repeat(256)), Err(AddrError::LongName(256)));
    }

    /// A longer one would not fit into a SOCKS5 request.
    #[test]
    fn an_address_with_a_long_zone_is_no_longer_than_another_name() {
        let zone = |length: usize| format!("fe80::1%{}", "x".repeat(length - "fe80::1%".len()));
        assert!(Host::parse(&zone(255)).is_ok());
        assert_eq!(Host::parse(&zone(256)), Err(AddrError::LongName(256)));
        assert!(Host::parse(&format!("[{}]", zone(255))).is_ok());
        assert!(Host::parse(&format!("[{}]", zone(256))).is_err());
    }

    #[test]
    fn a_bad_host_is_shown_without_control_characters() {
        assert_eq!(
            Host::parse("evil\x1b[2J").unwrap_err().to_string(),
            "the host 'evil\\x1b[2J' holds '\\x1b', which no host name can"
        );
    }

    #[test]
    fn the_port_is_split_off_where_it_is_one() {
        for (word, expected) in [
            ("host", ("host", None)),
            ("host:22", ("host", Some("22"))),
            ("host:", ("host", Some(""))),
            (":22", ("", Some("22"))),
            ("::1", ("::1", None)),
            ("[::1]", ("[::1]", None)),
            ("[::1]:22", ("[::1]", Some("22"))),
            ("[::1]22", ("[::1]22", None)),
            ("[::1", ("[::1", None)),
            ("[::1]:", ("[::1]", Some(""))),
        ] {
            assert_eq!(split_port(word), expected, "{word}");
        }
    }

    #[test]
    fn ports_are_1_to_65535() {
        for word in ["", "0", "+22", "-1", "65536", "99999999999", "2 2", "ssh"] {
            assert_eq!(parse_port(word), None, "{word}");
        }
        for (word, port) in [("1", 1), ("0022", 22), ("65535", 65535)] {
            assert_eq!(parse_port(word).map(Port::get), Some(port));
        }
    }

    #[test]
    fn an_endpoint_is_shown_as_an_authority() {
        let port = parse_port("22").unwrap();
        for (host, expected) in [("h", "h:22"), ("192.0.2.1", "192.0.2.1:22"), ("::1", "[::1]:22")] {
            assert_eq!(Endpoint { host: Host::parse(host).unwrap(), port }.to_string(), expected);
        }
    }
}

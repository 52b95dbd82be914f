//! Hosts, ports and endpoints, validated when they are parsed.
//!
//! A [`Host`] can go into a SOCKS request or an HTTP request line without further checks: it is
//! ASCII, contains no control characters or blanks, and is at most 255 bytes long.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::secret::masked;
use crate::text::{escaped, printable, reorders_or_hides};

/// A TCP port, 1–65535.
pub type Port = NonZeroU16;

/// Maximum length of a host name in bytes: SOCKS5 sends the length in one byte (RFC 1928 §5).
pub const MAX_NAME: usize = 255;

/// A host name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name, to be resolved here or by a proxy. An IPv6 literal with a zone (`fe80::1%eth0`) is
    /// treated as a name, because only the local resolver knows the interface.
    Name(Name),
    /// An IP address literal.
    Ip(IpAddr),
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns `true` if an address belongs to the family.
    #[must_use]
    pub fn includes(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == (self == Self::V4)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A host name that is safe on the wire; see [`Host::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Returns the name as the user wrote it, or the ASCII form of an international name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the special use of the name's domain; `None` for a name that DNS can resolve.
    #[must_use]
    pub fn special_use(&self) -> Option<SpecialUse> {
        SpecialUse::of_domain(&self.0)
    }

    /// Returns `true` for `localhost`, with or without a final dot, and for the names below it.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.special_use() == Some(SpecialUse::Localhost)
    }

    /// Returns `true` for `localhost` itself, which the system's hosts file usually contains.
    #[must_use]
    pub fn is_plain_localhost(&self) -> bool {
        self.0.eq_ignore_ascii_case("localhost")
    }
}

/// The addresses of this machine for the names of [`Name::is_localhost`].
pub const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A domain whose names this machine never looks up in DNS (RFC 6761). The resolver, the search
/// list and the listeners decide by this type alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialUse {
    /// `localhost` and the names below it: this machine (RFC 6761 §6.3).
    Localhost,
    /// `invalid` and the names below it, which do not exist (RFC 6761 §6.4).
    Invalid,
    /// The names below `onion`, which only Tor can reach (RFC 7686).
    Onion,
}

impl SpecialUse {
    /// Returns the special use of a name's domain; `None` for a name that DNS can resolve.
    #[must_use]
    pub fn of_domain(name: &str) -> Option<Self> {
        // A name with a colon is an address with a zone.
        if name.contains(':') {
            return None;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let (parent, last) =
            name.rsplit_once('.').map_or((None, name), |(parent, last)| (Some(parent), last));
        let is = |domain: &str| last.eq_ignore_ascii_case(domain);
        match parent {
            // `onion` alone may be a host in a domain of the search list.
            Some(parent) if is("onion") && !parent.is_empty() => Some(Self::Onion),
            _ if is("localhost") => Some(Self::Localhost),
            _ if is("invalid") => Some(Self::Invalid),
            _ => None,
        }
    }

    /// Returns why this machine cannot resolve the names, as the cause of an error; `None` if it
    /// can.
    #[must_use]
    pub fn why_unresolvable(self) -> Option<&'static str> {
        match self {
            Self::Localhost => None,
            Self::Invalid => Some("names in .invalid do not exist (RFC 6761)"),
            Self::Onion => Some("names in .onion are not looked up in DNS (RFC 7686)"),
        }
    }
}

/// The reason why a host or port is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddrError {
    /// An empty host.
    #[error("missing host name")]
    EmptyHost,
    /// A host name of more than [`MAX_NAME`] bytes.
    #[error("invalid host name: {0} bytes long, the limit is {MAX_NAME}")]
    LongName(usize),
    /// A character that is not allowed in a host name, such as a blank or a URL delimiter.
    #[error("invalid host name '{host}': contains '{what}'")]
    BadCharacter {
        /// The host name, made printable.
        host: String,
        /// The offending character, made printable.
        what: String,
    },
    /// A name that is not ASCII and has no ASCII form.
    #[error("invalid host name '{0}': not a valid international name (IDNA)")]
    NotInternational(String),
    /// Brackets without an IPv6 address inside.
    #[error("invalid host name '{0}': expected an IPv6 address in brackets")]
    BadBrackets(String),
    /// Neither a number from 1 to 65535 nor a known service name. `None` for a port that must not
    /// be quoted, because it may be a password.
    #[error("invalid port{}; use a number from 1 to 65535 or a service name such as ssh", in_quotes(.0.as_deref()))]
    BadPort(Option<String>),
}

/// Returns a word in quotes, after a blank; empty if there is none.
fn in_quotes(word: Option<&str>) -> String {
    word.map(|word| format!(" '{word}'")).unwrap_or_default()
}

impl Host {
    /// Parses a name, an IPv4 address, or an IPv6 address with or without brackets. Converts an
    /// international name to ASCII ([`to_ascii`]).
    ///
    /// # Errors
    /// The host is empty, is longer than [`MAX_NAME`] bytes, has brackets without an IPv6 address
    /// inside, contains a character that would change the meaning of a request, or is not a valid
    /// international name.
    pub fn parse(word: &str) -> Result<Self, AddrError> {
        if let Some(rest) = word.strip_prefix('[') {
            return rest
                .strip_suffix(']')
                .and_then(Self::ipv6)
                .ok_or_else(|| AddrError::BadBrackets(printable(masked(word).as_bytes())));
        }
        if let Some(host) = word.parse().ok().map(Self::Ip).or_else(|| Self::ipv6(word)) {
            return Ok(host);
        }
        if word.is_empty() {
            return Err(AddrError::EmptyHost);
        }
        // Also limits the work of the conversion below.
        if word.chars().count() > MAX_NAME {
            return Err(AddrError::LongName(word.len()));
        }
        if let Some(c) = word.chars().find(|&c| !allowed_in_name(c) && !is_joiner(c)) {
            let (host, what) = (escaped(&masked(word)), escaped(&c.to_string()));
            return Err(AddrError::BadCharacter { host, what });
        }
        if !word.is_ascii() {
            let ascii = to_ascii(word).ok_or_else(|| AddrError::NotInternational(escaped(&masked(word))))?;
            // Full-width characters may have become digits of an address, or delimiters.
            return Self::parse(&ascii);
        }
        Ok(Self::Name(Name(word.to_owned())))
    }

    /// Returns the address of a literal, without its zone; `None` for a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(name) => name.0.split_once('%')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        }
    }

    /// Returns the zone of an address literal (`eth0` in `fe80::1%eth0`); `None` for an address
    /// without a zone, and for a name.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Name(name) if name.0.contains(':') => Some(name.0.split_once('%')?.1),
            Self::Name(_) | Self::Ip(_) => None,
        }
    }

    fn ipv6(word: &str) -> Option<Self> {
        let (address, zone) = word.split_once('%').map_or((word, None), |(a, z)| (a, Some(z)));
        let address: Ipv6Addr = address.parse().ok()?;
        match zone {
            None => Some(Self::Ip(address.into())),
            Some(zone) if zone.is_empty() || !zone.is_ascii() || !zone.chars().all(allowed_in_name) => None,
            Some(_) => (word.len() <= MAX_NAME).then(|| Self::Name(Name(word.to_owned()))),
        }
    }
}

fn allowed_in_name(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !reorders_or_hides(c) && !"/\\@:?#[]<>\"'`|,".contains(c)
}

/// Returns `true` for the two invisible characters that some scripts need in international names.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Returns the ASCII form of a host name, as in `xn--bcher-kva.example` (UTS #46, as browsers do);
/// `None` if there is none. ASCII names stay as they are, valid or not.
#[must_use]
pub fn to_ascii(name: &str) -> Option<Cow<'_, str>> {
    if name.is_ascii() {
        return Some(name.into());
    }
    let (length, hyphens) = (DnsLength::VerifyAllowRootDot, Hyphens::Allow);
    Uts46::new().to_ascii(name.as_bytes(), AsciiDenyList::EMPTY, hyphens, length).ok()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.0),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// A host and a port. Displayed as `host:port` with brackets around IPv6 addresses, which is also
/// the form of an HTTP authority (RFC 9112 §3.2.3).
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

/// Splits `host`, `host:port`, `v6`, `[v6]` or `[v6]:port` into the host and the optional port.
///
/// Text with several colons and no brackets is taken as an IPv6 address without a port.
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

/// Parses a port number. Returns `None` unless `word` is a number from 1 to 65535.
#[must_use]
pub fn parse_port(word: &str) -> Option<Port> {
    // `u16::from_str` accepts a leading '+'.
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "that is how a test fails")]
mod tests {
    use super::*;

    fn parsed(word: &str) -> String {
        Host::parse(word).map_or_else(|error| format!("error: {error}"), |host| format!("{host:?}"))
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (word, expected) in [
            ("host.example", "Name(Name(\"host.example\"))"),
            ("under_score", "Name(Name(\"under_score\"))"),
            ("bücher.example", "Name(Name(\"xn--bcher-kva.example\"))"),
            ("Bücher.Example.", "Name(Name(\"xn--bcher-kva.example.\"))"),
            ("straße_1.example", "Name(Name(\"xn--strae_1-3va.example\"))"),
            ("例え。テスト", "Name(Name(\"xn--r8jz45g.xn--zckzah\"))"),
            ("نامه\u{200c}ای.example", "Name(Name(\"xn--mgba3gch31f060k.example\"))"),
            ("ｈｏｓｔ．ｏｎｉｏｎ", "Name(Name(\"host.onion\"))"),
            ("１９２.0.2.1", "Ip(192.0.2.1)"),
            ("192.0.2.1", "Ip(192.0.2.1)"),
            ("2001:db8::1", "Ip(2001:db8::1)"),
            ("[2001:db8::1]", "Ip(2001:db8::1)"),
            ("fe80::1%eth0", "Name(Name(\"fe80::1%eth0\"))"),
            ("[fe80::1%eth0]", "Name(Name(\"fe80::1%eth0\"))"),
        ] {
            assert_eq!(parsed(word), expected);
        }
    }

    #[test]
    fn an_address_may_have_a_zone() {
        for (word, ip, zone) in [
            ("fe80::1%eth0", Some("fe80::1"), Some("eth0")),
            ("[fe80::1%2]", Some("fe80::1"), Some("2")),
            ("fe80::1", Some("fe80::1"), None),
            ("192.0.2.1", Some("192.0.2.1"), None),
            ("host.example", None, None),
            ("100%eth0", None, None),
        ] {
            let host = Host::parse(word).unwrap();
            assert_eq!(host.ip(), ip.map(|ip| ip.parse().unwrap()), "{word}");
            assert_eq!(host.zone(), zone, "{word}");
        }
        assert!(Family::V6.includes(Host::parse("fe80::1%lo").unwrap().ip().unwrap()));
    }

    #[test]
    fn characters_that_would_change_a_request_are_rejected() {
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
            "a\u{200b}b",
            // These become a delimiter, a blank or a control character.
            "a／b",
            "user＠host",
            "a：b：c",
            "a％b：c",
            "a\u{3000}b",
            "fe80::1%ü",
        ] {
            assert!(Host::parse(word).is_err(), "{word:?}");
        }
        assert!(Host::parse(&"x".repeat(255)).is_ok());
        assert_eq!(Host::parse(&"x".repeat(256)), Err(AddrError::LongName(256)));
    }

    #[test]
    fn a_name_without_a_valid_ascii_form_is_an_error_that_says_so() {
        let long = format!("{}.example", "ü".repeat(60));
        for word in ["ü..example", "\u{301}a.example", "a\u{200d}b.ü", "xn--ü.example", &long, ".ü"] {
            let error = Host::parse(word).unwrap_err().to_string();
            assert!(error.ends_with("': not a valid international name (IDNA)"), "{error}");
        }
        // 100 characters of 3 bytes each, which are fewer in ASCII.
        let compact = format!("{0}.{0}", "例".repeat(50));
        assert!(compact.len() > MAX_NAME && Host::parse(&compact).is_ok());
        assert_eq!(Host::parse(&"ü".repeat(256)), Err(AddrError::LongName(512)));
    }

    /// A longer host would not fit into a SOCKS5 request.
    #[test]
    fn an_address_with_a_zone_has_the_length_limit_of_a_name() {
        let zone = |length: usize| format!("fe80::1%{}", "x".repeat(length - "fe80::1%".len()));
        assert!(Host::parse(&zone(255)).is_ok());
        assert_eq!(Host::parse(&zone(256)), Err(AddrError::LongName(256)));
        assert!(Host::parse(&format!("[{}]", zone(255))).is_ok());
        assert!(Host::parse(&format!("[{}]", zone(256))).is_err());
    }

    #[test]
    fn some_domains_are_not_looked_up_in_dns() {
        use SpecialUse::{Invalid, Localhost, Onion};
        for (word, expected) in [
            ("localhost", Some(Localhost)),
            ("LocalHost", Some(Localhost)),
            ("localhost.", Some(Localhost)),
            ("b.a.LOCALHOST.", Some(Localhost)),
            ("invalid", Some(Invalid)),
            ("a.Invalid.", Some(Invalid)),
            ("a.onion", Some(Onion)),
            ("b.a.ONION.", Some(Onion)),
            ("onion", None),
            ("onion.", None),
            (".onion", None),
            ("a.onion.example", None),
            ("aonion", None),
            ("localhost.example", None),
            ("alocalhost", None),
            ("localhost..", None),
            ("fe80::1%a.localhost", None),
            ("fe80::1%a.onion", None),
            ("local", None),
            (".", None),
        ] {
            let Host::Name(name) = Host::parse(word).unwrap() else { unreachable!("{word}") };
            assert_eq!(name.special_use(), expected, "{word}");
        }
    }

    #[test]
    fn an_invalid_host_is_printed_without_control_characters() {
        assert_eq!(
            Host::parse("evil\x1b[2J").unwrap_err().to_string(),
            "invalid host name 'evil\\x1b[2J': contains '\\x1b'"
        );
    }

    #[test]
    fn a_port_is_split_off_if_there_is_one() {
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

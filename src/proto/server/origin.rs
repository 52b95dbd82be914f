//! The Origin header (RFC 6454), by which a browser names the site of the page that makes a
//! request.

use std::fmt;

use crate::addr::{Host, Port, parse_port, split_port};

/// The origin of a web page: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<Port>,
}

impl Origin {
    /// Parses an origin such as `https://www.example:8443`. A slash at the end is ignored. Returns
    /// `None` for other text, such as a URL with a path, and for the opaque origin `null`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let is_scheme = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme || authority.contains(['/', '?', '#', '@']) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(authority);
        let port = port.map(|port| parse_port(port).ok_or(())).transpose().ok()?;
        let default = match scheme.as_str() {
            "http" | "ws" => Port::new(80),
            "https" | "wss" => Port::new(443),
            _ => None,
        };
        let host = match Host::parse(host).ok()? {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.as_str().to_ascii_lowercase(),
        };
        Some(Self { scheme, host, port: port.or(default) })
    }

    /// Returns `true` if the value of an Origin header is one of these origins.
    #[must_use]
    pub fn is_in(header: &str, origins: &[Self]) -> bool {
        Self::parse(header).is_some_and(|origin| origins.contains(&origin))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_origin_is_allowed_if_scheme_host_and_port_are_equal() {
        let allowed = ["https://WWW.example", "http://localhost:8080/", "http://[::1]"];
        let allowed: Vec<_> = allowed.iter().map(|text| Origin::parse(text).unwrap()).collect();
        for (header, expected) in [
            ("https://www.example", true),
            ("https://www.example:443", true),
            ("HTTPS://www.EXAMPLE", true),
            ("http://localhost:8080", true),
            ("http://[::1]", true),
            ("http://www.example", false),
            ("https://www.example:8443", false),
            ("https://www.example.org", false),
            ("https://evil.example/https://www.example", false),
            ("https://www.example@evil.example", false),
            ("http://localhost", false),
            ("null", false),
            ("", false),
            ("https://", false),
        ] {
            assert_eq!(Origin::is_in(header, &allowed), expected, "{header}");
        }
    }

    #[test]
    fn a_value_that_is_no_origin_is_rejected() {
        for text in [
            "*",
            "www.example",
            "https://www.example/path",
            "https://a?b",
            "://a",
            "https://a:0",
            "https://a b",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
        assert_eq!(Origin::parse("https://a.example/").unwrap().to_string(), "https://a.example:443");
    }
}

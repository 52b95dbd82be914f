//! The X-Forwarded-For header, in which a web server in front names the client.

use std::net::IpAddr;

use httparse::{EMPTY_HEADER, Request, Status};

use crate::addr::{Host, split_port};
use crate::bypass::Prefix;

/// Maximum number of header fields in a head that is searched.
const MAX_SEARCHED_FIELDS: usize = 100;

/// Returns the value of X-Forwarded-For in the head of an HTTP request. Returns `None` if it has
/// none, or if the head is incomplete or malformed.
#[must_use]
pub fn forwarded_in(head: &[u8]) -> Option<String> {
    let mut fields = [EMPTY_HEADER; MAX_SEARCHED_FIELDS];
    let mut request = Request::new(&mut fields);
    let Ok(Status::Complete(_)) = request.parse(head) else { return None };
    let fields = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("x-forwarded-for"));
    let values: Vec<_> = fields.map(|field| String::from_utf8_lossy(field.value)).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Returns the address of the client. That is the last address in the X-Forwarded-For header that
/// is outside of the trusted networks, or the first one if there is none. The header counts only if
/// `peer`, which sent it, is in a trusted network; an invalid entry ends the search, because the
/// addresses before it may be forged.
///
/// Several X-Forwarded-For headers are one list, joined by commas (RFC 9110 §5.3).
#[must_use]
pub fn client_address(peer: IpAddr, header: Option<&str>, trusted: &[Prefix]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    let mut client = peer;
    for entry in header.unwrap_or_default().rsplit(',') {
        if !is_trusted(client) {
            break;
        }
        match parse(entry.trim()) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// Parses an address, which some servers write with brackets or a port.
fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| match Host::parse(split_port(text).0) {
        Ok(Host::Ip(ip)) => Some(ip),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_client_is_the_last_address_outside_of_the_trusted_networks() {
        let trusted = [Prefix::new("10.0.0.0".parse().unwrap(), 8).unwrap()];
        for (peer, header, expected) in [
            ("10.0.0.1", Some("192.0.2.1"), "192.0.2.1"),
            ("10.0.0.1", Some("203.0.113.9, 192.0.2.1, 10.2.3.4"), "192.0.2.1"),
            ("10.0.0.1", Some("203.0.113.9,192.0.2.1:1234"), "192.0.2.1"),
            ("10.0.0.1", Some("[2001:db8::1]:99"), "2001:db8::1"),
            ("10.0.0.1", Some("10.0.0.7,10.0.0.6"), "10.0.0.7"),
            // The entry before an invalid one may come from the client.
            ("10.0.0.1", Some("192.0.2.1, unknown, 10.0.0.2"), "10.0.0.2"),
            ("10.0.0.1", Some(""), "10.0.0.1"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("192.0.2.7", Some("203.0.113.9"), "192.0.2.7"),
        ] {
            let client = client_address(peer.parse().unwrap(), header, &trusted);
            assert_eq!(client.to_string(), expected, "{peer} {header:?}");
        }
        let client = client_address("10.0.0.1".parse().unwrap(), Some("192.0.2.1"), &[]);
        assert_eq!(client.to_string(), "10.0.0.1");
    }

    #[test]
    fn the_headers_of_a_head_are_one_list() {
        let found = |fields: &str| forwarded_in(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
        let two = "X-Forwarded-For: 192.0.2.1\r\nA: b\r\nx-forwarded-for: 192.0.2.2\r\n";
        assert_eq!(found(two).as_deref(), Some("192.0.2.1,192.0.2.2"));
        assert_eq!(found("X-Forwarded: 192.0.2.1\r\n"), None);
        assert_eq!(found(&format!("{two}nonsense\r\n")), None);
        assert_eq!(found(&two.repeat(40)), None);
        assert_eq!(forwarded_in(format!("GET / HTTP/1.1\r\n{two}").as_bytes()), None);
    }
}

//! The X-Forwarded-For header, in which a web server in front names the client.

use std::net::IpAddr;

use crate::addr::{Host, split_port};
use crate::bypass::Prefix;

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
}

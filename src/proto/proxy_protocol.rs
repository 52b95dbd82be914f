//! The PROXY protocol, versions 1 and 2 (`HAProxy`'s `proxy-protocol.txt`): a header that tells the
//! target the addresses of the original connection. The target does not reply.

use std::net::{IpAddr, SocketAddr};

/// The start of a version 2 header (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The first byte after the signature: version 2 and the command, LOCAL or PROXY.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Version 2, address family and transport: TCP over IPv4.
const TCP4: u8 = 0x11;
/// Version 2, address family and transport: TCP over IPv6.
const TCP6: u8 = 0x21;

/// The version of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The two addresses that the header reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The address of the client.
    pub source: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
}

impl Ends {
    /// Returns both addresses in the same family: IPv4 if both are IPv4 or IPv4-mapped, else IPv6.
    fn addresses(&self) -> (IpAddr, IpAddr) {
        let canonical = (self.source.ip().to_canonical(), self.destination.ip().to_canonical());
        let as_v6 = |ip| match ip {
            IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
            ip @ IpAddr::V6(_) => ip,
        };
        if canonical.0.is_ipv4() == canonical.1.is_ipv4() {
            canonical
        } else {
            (as_v6(canonical.0), as_v6(canonical.1))
        }
    }
}

impl ProxyProtocol {
    /// Returns the header. Without `ends`, the header contains no addresses (v1 UNKNOWN, v2 LOCAL).
    #[must_use]
    pub fn header(self, ends: Option<Ends>) -> Vec<u8> {
        match self {
            Self::V1 => line(ends).into_bytes(),
            Self::V2 => binary(ends),
        }
    }
}

fn line(ends: Option<Ends>) -> String {
    let Some(ends) = ends else { return "PROXY UNKNOWN\r\n".into() };
    let (source, destination) = ends.addresses();
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let ports = (ends.source.port(), ends.destination.port());
    format!("PROXY {family} {source} {destination} {} {}\r\n", ports.0, ports.1)
}

fn binary(ends: Option<Ends>) -> Vec<u8> {
    let Some(ends) = ends else { return [&SIGNATURE[..], &[LOCAL, 0, 0, 0]].concat() };
    let (family, addresses) = match ends.addresses() {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (TCP4, [source.octets(), destination.octets()].concat())
        }
        (source, destination) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            (TCP6, [octets(source), octets(destination)].concat())
        }
    };
    let ports = [ends.source.port(), ends.destination.port()].map(u16::to_be_bytes).concat();
    let length = if family == TCP4 { 12 } else { 36 };
    [&SIGNATURE[..], &[PROXY, family, 0, length], &addresses, &ports].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Ends, ProxyProtocol};

    /// The maximum line length (§2.1).
    const MAX_LINE: usize = 107;

    fn ends(source: &str, destination: &str) -> Ends {
        Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn line(ends: impl Into<Option<Ends>>) -> String {
        String::from_utf8(ProxyProtocol::V1.header(ends.into())).unwrap()
    }

    #[test]
    fn version_1_is_a_line_of_text() {
        // The examples in §2.1.
        let longest_v4 = ends("255.255.255.255:65535", "255.255.255.255:65535");
        assert_eq!(line(longest_v4), "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n");
        let example = ends("192.168.0.1:56324", "192.168.0.11:443");
        assert_eq!(line(example), "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
        assert_eq!(line(ends("[2001:db8::1]:1", "[::1]:22")), "PROXY TCP6 2001:db8::1 ::1 1 22\r\n");
        assert_eq!(line(None), "PROXY UNKNOWN\r\n");
    }

    #[test]
    fn no_line_exceeds_the_maximum_of_the_specification() {
        let all_ones = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
        let mapped = "[::ffff:255.255.255.255]:65535";
        for (source, destination) in
            [(all_ones, all_ones), (all_ones, "255.255.255.255:65535"), (mapped, all_ones)]
        {
            let line = line(ends(source, destination));
            assert!(line.len() <= MAX_LINE, "{line}");
            assert!(line.starts_with("PROXY TCP6 ") && !line.contains('%'), "{line}");
        }
    }

    #[test]
    fn both_addresses_have_the_same_family() {
        let mapped = ends("[::ffff:10.0.0.1]:1", "10.0.0.2:2");
        assert_eq!(line(mapped), "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
        let mixed = ends("10.0.0.1:1", "[2001:db8::2]:2");
        assert_eq!(line(mixed), "PROXY TCP6 ::ffff:10.0.0.1 2001:db8::2 1 2\r\n");
        assert_eq!(ProxyProtocol::V2.header(Some(mixed))[13..16], [0x21, 0, 36]);
        assert_eq!(
            ProxyProtocol::V2.header(Some(mixed))[16..32],
            *b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01"
        );
    }

    #[test]
    fn version_2_is_binary() {
        let signature = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a";
        let v4 = ProxyProtocol::V2.header(Some(ends("192.168.0.1:56324", "192.168.0.11:443")));
        assert_eq!(
            v4,
            [&signature[..], b"\x21\x11\x00\x0c\xc0\xa8\x00\x01\xc0\xa8\x00\x0b\xdc\x04\x01\xbb"].concat()
        );
        let v6 = ProxyProtocol::V2.header(Some(ends("[2001:db8::1]:1", "[::1]:22")));
        let source = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        let destination = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
        let expected = [&signature[..], b"\x21\x21\x00\x24", source, destination, b"\0\x01\0\x16"].concat();
        assert_eq!(v6, expected);
        assert_eq!(ProxyProtocol::V2.header(None), [&signature[..], b"\x20\0\0\0"].concat());
    }
}

//! Bypass lists: the targets that `connect` reaches without a proxy.

use std::net::IpAddr;

use crate::addr::{Endpoint, Host, Name, Port};

/// An ordered list of patterns. The first match decides. If no pattern matches, the proxy is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BypassList(Vec<Entry>);

/// A pattern with an optional port, and the effect of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `true` if matching targets bypass the proxy, `false` for an entry that begins with `!`.
    pub bypass: bool,
    /// The hosts that match.
    pub pattern: Pattern,
    /// The port that matches; `None` for any.
    pub port: Option<Port>,
}

/// A set of hosts. A network contains only addresses. A name or a domain contains only names,
/// whatever their addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every target.
    Everything,
    /// The addresses of a network.
    Network(Prefix),
    /// This name, in ASCII and lower case and without a final dot.
    Name(String),
    /// A domain, in ASCII and lower case, and all of its subdomains.
    Domain(String),
}

/// A network: the addresses that share their first `length` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl BypassList {
    /// Creates a list from `entries`, which are tried in order.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// Returns `true` if the list has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `Some(true)` if the target bypasses the proxy, `Some(false)` if an entry requires
    /// the proxy, and `None` if no entry matches.
    #[must_use]
    pub fn matches(&self, target: &Endpoint) -> Option<bool> {
        self.0.iter().find(|entry| entry.matches(target)).map(|entry| entry.bypass)
    }
}

impl Entry {
    fn matches(&self, target: &Endpoint) -> bool {
        self.port.is_none_or(|port| port == target.port) && self.pattern.matches(&target.host)
    }
}

impl Pattern {
    /// Returns `true` if the set contains the host.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host.ip(), host) {
            (Self::Everything, _, _) => true,
            (Self::Network(prefix), Some(ip), _) => prefix.contains(ip),
            (Self::Name(known), None, Host::Name(name)) => normalized(name) == *known,
            (Self::Domain(domain), None, Host::Name(name)) => is_within(&normalized(name), domain),
            _ => false,
        }
    }
}

/// Returns the name in the form that patterns have.
fn normalized(name: &Name) -> String {
    name.as_str().trim_end_matches('.').to_ascii_lowercase()
}

/// Returns `true` if `name` is `domain` or a subdomain of it. Only whole labels match:
/// `notexample.com` is not within `example.com`.
fn is_within(name: &str, domain: &str) -> bool {
    match name.strip_suffix(domain) {
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

impl Prefix {
    /// Creates a prefix of `length` bits. Returns `None` if `length` exceeds 32 for IPv4 or 128 for
    /// IPv6.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let max_length = if address.is_ipv4() { 32 } else { 128 };
        (length <= max_length).then_some(Self { address, length })
    }

    /// Returns `true` if the network contains an address. An IPv4 network also contains IPv4-mapped
    /// IPv6 addresses (`::ffff:10.0.0.1`).
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ours, theirs, width): (u128, u128, u32) = match (self.address, ip) {
            (IpAddr::V4(ours), ip) => match ip.to_canonical() {
                IpAddr::V4(theirs) => (ours.to_bits().into(), theirs.to_bits().into(), 32),
                IpAddr::V6(_) => return false,
            },
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        // `checked_shr` returns `None` for a shift by all 128 bits, so an IPv6 /0 compares 0 with 0
        // and always matches.
        let first_bits = |bits: u128| bits.checked_shr(width - u32::from(self.length)).unwrap_or_default();
        first_bits(ours) == first_bits(theirs)
    }
}

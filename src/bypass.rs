//! Which targets are reached without the proxy.

use std::net::IpAddr;

use crate::addr::{Endpoint, Host, Port};

/// An ordered list of patterns: the first that fits decides, and without one the proxy is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BypassList(Vec<Entry>);

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether what fits is reached directly; not, if the entry was written with a `!`.
    pub direct: bool,
    /// What fits.
    pub pattern: Pattern,
    /// With this port, or with any.
    pub port: Option<Port>,
}

/// What fits an entry. Addresses fit networks and names fit domains, never crosswise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every target.
    Everything,
    /// The addresses of a network.
    Network(Prefix),
    /// This name, in lower case, and every name under it.
    Domain(String),
}

/// The addresses that have their first bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl BypassList {
    /// A list of these entries, in this order.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// Whether it has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a target, by name or by address, is reached directly; `None` if no entry fits.
    #[must_use]
    pub fn verdict(&self, target: &Endpoint) -> Option<bool> {
        self.0.iter().find(|entry| entry.fits(target)).map(|entry| entry.direct)
    }
}

impl Entry {
    fn fits(&self, target: &Endpoint) -> bool {
        self.port.is_none_or(|port| port == target.port) && self.pattern.fits(&target.host)
    }
}

impl Pattern {
    fn fits(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Everything, _) => true,
            (Self::Network(prefix), Host::Ip(ip)) => prefix.contains(*ip),
            (Self::Domain(domain), Host::Name(name)) => is_within(name.as_str(), domain),
            _ => false,
        }
    }
}

/// Whether a name is a domain or under it, at the boundary of a label: `notexample.com` is not within `example.com`.
fn is_within(name: &str, domain: &str) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    match name.strip_suffix(domain) {
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

impl Prefix {
    /// A prefix of so many bits: up to 32 for IPv4, 128 for IPv6.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        (length <= most).then_some(Self { address, length })
    }

    /// Whether an address is one of these. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is an IPv4 address.
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
        // A shift by the whole width leaves nothing, which all addresses have in common.
        let first_bits = |bits: u128| bits.checked_shr(width - u32::from(self.length)).unwrap_or_default();
        first_bits(ours) == first_bits(theirs)
    }
}

//! The other end of a connection, in messages.

use std::fmt;
use std::net::IpAddr;

use crate::addr::{Endpoint, Host, SpecialUse};
use crate::plan::{Hop, Target};

/// The protocol whose servers are no proxies.
const SSH: &str = "SSH";

/// The other end of a connection. Displayed as `SOCKS5 proxy socks.example:1080`, with `(hop 2 of
/// 3)` in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The proxy protocol, or `None` for the target.
    pub protocol: Option<&'static str>,
    /// The address of the proxy or target.
    pub address: Target,
    /// The position in a chain of proxies, as (index from 1, count). `None` for the target and for
    /// a single proxy.
    pub hop: Option<(u8, u8)>,
}

impl Peer {
    /// Returns the target as a peer.
    #[must_use]
    pub fn target(target: &Target) -> Self {
        Self { protocol: None, address: target.clone(), hop: None }
    }

    /// Returns the proxy at `index`, counted from 0, in a chain of `hops` proxies.
    #[must_use]
    pub fn proxy(hop: &Hop, index: usize, hops: usize) -> Self {
        let number = |count| u8::try_from(count).unwrap_or(u8::MAX);
        Self {
            protocol: Some(hop.protocol.name()),
            address: hop.proxy.clone(),
            hop: (hops > 1).then(|| (number(index + 1), number(hops))),
        }
    }

    /// Returns `true` if the peer's address has a zone.
    pub(super) fn has_zone(&self) -> bool {
        matches!(&self.address, Target::Tcp(Endpoint { host, .. }) if host.zone().is_some())
    }

    /// Returns `true` if the peer's address is a link-local IPv6 address without a zone.
    pub(super) fn lacks_zone(&self) -> bool {
        let Target::Tcp(Endpoint { host: Host::Ip(IpAddr::V6(ip)), .. }) = &self.address else {
            return false;
        };
        ip.is_unicast_link_local()
    }

    /// Returns `true` if the peer's name is in `.onion`.
    pub(super) fn is_onion(&self) -> bool {
        let Target::Tcp(Endpoint { host: Host::Name(name), .. }) = &self.address else { return false };
        name.special_use() == Some(SpecialUse::Onion)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Some(protocol) if protocol == SSH => write!(f, "{protocol} server {}", self.address)?,
            Some(protocol) => write!(f, "{protocol} proxy {}", self.address)?,
            None => write!(f, "{}", self.address)?,
        }
        match self.hop {
            Some((index, count)) => write!(f, " (hop {index} of {count})"),
            None => Ok(()),
        }
    }
}

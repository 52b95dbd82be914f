//! The addresses of our own listeners, to which no connection may lead back.

use std::net::{IpAddr, SocketAddr};

use crate::addr::{Endpoint, Host, LOOPBACK};
use crate::sys::{self, InterfaceAddress};

/// The addresses that the listeners of this process are bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnListeners(Vec<SocketAddr>);

impl OwnListeners {
    /// Creates the set from the addresses that the listeners are bound to.
    #[must_use]
    pub fn new(bound: Vec<SocketAddr>) -> Self {
        Self(bound)
    }

    /// Returns `true` if a connection to this address would reach one of the listeners.
    #[must_use]
    pub fn include(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|bound| reaches(address, *bound))
    }

    /// Returns `true` if a target is certainly one of the listeners, wherever its name is resolved.
    #[must_use]
    pub fn include_target(&self, target: &Endpoint) -> bool {
        let includes = |ip| self.include(SocketAddr::new(ip, target.port.get()));
        match &target.host {
            Host::Ip(ip) => includes(*ip),
            Host::Name(name) if name.is_localhost() => LOOPBACK.into_iter().any(includes),
            Host::Name(_) => false,
        }
    }
}

/// Returns `true` if a connection to `address` reaches a listener that is bound to `bound`.
fn reaches(address: SocketAddr, bound: SocketAddr) -> bool {
    if address.port() != bound.port() {
        return false;
    }
    let (ip, bound) = (address.ip().to_canonical(), bound.ip().to_canonical());
    // A connection to 0.0.0.0 or :: goes to the loopback address.
    let is_this_machine = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    match (ip.is_unspecified(), bound.is_unspecified()) {
        (false, false) => ip == bound,
        (true, false) => bound.is_loopback(),
        // If listing the interfaces fails, descriptors or memory are short. Assume a loop, which
        // would use up the rest.
        (_, true) => {
            let is_own = |own: Vec<InterfaceAddress>| own.iter().any(|each| each.ip == ip);
            is_this_machine(ip) || sys::interface_addresses().map_or(true, is_own)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_way_to_write_this_machine_is_recognized() {
        let own = |bound: &str| OwnListeners::new(vec![bound.parse().unwrap()]);
        for (bound, address, expected) in [
            ("127.0.0.1:1080", "127.0.0.1:1080", true),
            ("127.0.0.1:1080", "0.0.0.0:1080", true),
            ("127.0.0.1:1080", "[::ffff:127.0.0.1]:1080", true),
            ("127.0.0.1:1080", "[::]:1080", true),
            ("127.0.0.1:1080", "127.0.0.1:1081", false),
            ("127.0.0.1:1080", "127.0.0.2:1080", false),
            ("127.0.0.1:1080", "192.0.2.1:1080", false),
            ("0.0.0.0:1080", "127.0.0.2:1080", true),
            ("[::]:1080", "127.0.0.1:1080", true),
            ("[::]:1080", "[::1]:1080", true),
            ("0.0.0.0:1080", "0.0.0.0:1080", true),
            ("0.0.0.0:1080", "192.0.2.1:1080", false),
            ("192.0.2.1:1080", "0.0.0.0:1080", false),
        ] {
            assert_eq!(own(bound).include(address.parse().unwrap()), expected, "{bound} {address}");
        }
        for ip in sys::own_addresses().unwrap() {
            assert!(own("0.0.0.0:1080").include(SocketAddr::new(ip, 1080)), "{ip}");
        }
    }

    #[test]
    fn the_name_localhost_is_this_machine() {
        let own = OwnListeners::new(vec!["127.0.0.1:1080".parse().unwrap()]);
        let target =
            |host: &str| Endpoint { host: Host::parse(host).unwrap(), port: 1080.try_into().unwrap() };
        for (host, expected) in [
            ("localhost", true),
            ("a.localhost.", true),
            ("127.0.0.1", true),
            ("::1", false),
            ("host.example", false),
        ] {
            assert_eq!(own.include_target(&target(host)), expected, "{host}");
        }
    }
}

//! The connections that have not carried a valid request yet.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Maximum number of such connections. Beyond that, the oldest is closed.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Maximum number of such connections from one address, or from one /64 network of IPv6.
pub(super) const MAX_PER_ADDRESS: usize = 256;

/// The connections, by their numbers, which grow with time.
#[derive(Debug)]
pub(crate) struct Unauthenticated {
    connections: BTreeMap<usize, Option<IpAddr>>,
    max: usize,
    max_per_address: usize,
}

impl Default for Unauthenticated {
    fn default() -> Self {
        Self::with_limits(MAX_CONNECTIONS, MAX_PER_ADDRESS)
    }
}

impl Unauthenticated {
    /// Limits the number of connections, and of those from one address.
    pub(crate) fn with_limits(max: usize, max_per_address: usize) -> Self {
        Self { connections: BTreeMap::new(), max, max_per_address }
    }

    /// Adds a connection. Returns another one that must be closed for it.
    pub(crate) fn add(&mut self, id: usize, address: Option<IpAddr>) -> Option<usize> {
        let network = address.map(network);
        let oldest = if self.connections.len() >= self.max {
            self.connections.first_key_value().map(|(id, _)| *id)
        } else if network.is_some() {
            let mut others = self.connections.iter().filter(|(_, other)| **other == network);
            let first = others.next().map(|(id, _)| *id);
            first.filter(|_| others.count() + 1 >= self.max_per_address)
        } else {
            None
        };
        oldest.inspect(|oldest| self.remove(*oldest));
        self.connections.insert(id, network);
        oldest
    }

    /// Removes a connection that is closed, or that has carried a valid request.
    pub(crate) fn remove(&mut self, id: usize) {
        self.connections.remove(&id);
    }
}

/// Returns the address under which a client is counted: for IPv6, that of its /64 network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_oldest_connection_of_an_address_makes_room() {
        let mut connections = Unauthenticated::default();
        let from = |text: &str| Some(text.parse().unwrap());
        assert_eq!(connections.add(0, from("192.0.2.1")), None);
        for id in 1..=MAX_PER_ADDRESS {
            assert_eq!(connections.add(id, from("2001:db8::1")), None);
        }
        assert_eq!(connections.add(1000, from("2001:db8::2")), Some(1));
        assert_eq!(connections.add(1001, from("2001:db8:0:1::1")), None);
        connections.remove(2);
        assert_eq!(connections.add(1002, from("2001:db8::3")), None);
        assert_eq!(connections.add(1003, from("2001:db8::3")), Some(3));
    }

    #[test]
    fn the_oldest_connection_of_all_makes_room() {
        let mut connections = Unauthenticated::default();
        for id in 0..MAX_CONNECTIONS {
            assert_eq!(connections.add(id, None), None);
        }
        assert_eq!(connections.add(MAX_CONNECTIONS, None), Some(0));
    }
}

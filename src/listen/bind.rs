//! Binds the addresses to listen on.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use crate::addr::{Host, LOOPBACK, SpecialUse};
use crate::error::Error;
use crate::plan::ListenAddress;
use crate::sys::{self, Listener};
use crate::trace::trace;

/// Maximum number of ports to try, because the system may choose one that is not free at every
/// address.
const MAX_PORTS_TRIED: usize = 32;

/// Opens the listeners for one address of the plan: several if a name has several addresses.
pub(crate) fn listen(at: &ListenAddress) -> Result<Vec<Listener>, Error> {
    trace!("Creating source port to forward.");
    let failed = |cause| Error::Listen { address: at.clone(), cause };
    let listeners = match at {
        ListenAddress::Unix(path) => vec![Listener::unix(path).map_err(failed)?],
        ListenAddress::Tcp { host, port } => {
            let addresses = addresses(host, *port).map_err(failed)?;
            let bound = bind_all(&addresses, &mut sys::bind_tcp);
            let bound = bound.map_err(|(address, cause)| {
                let (host, port) = (Host::Ip(address.ip()), address.port());
                let address =
                    if addresses.len() > 1 { ListenAddress::Tcp { host, port } } else { at.clone() };
                Error::Listen { address, cause }
            })?;
            bound.into_iter().map(Listener::tcp).collect::<Result<_, _>>().map_err(failed)?
        }
        ListenAddress::SystemdSocket(number) => vec![Listener::passed(*number).map_err(failed)?],
    };
    for bound in listeners.iter().filter_map(Listener::address) {
        trace!("waiting new connection at port {} ({bound})", bound.port());
    }
    Ok(listeners)
}

/// Returns the addresses of a host, all with this port.
fn addresses(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        // RFC 6761 §6.3: `localhost` is a loopback address, whatever name servers or the hosts file
        // say.
        Host::Name(name) if name.is_localhost() => Ok(LOOPBACK.map(|ip| SocketAddr::new(ip, port)).to_vec()),
        Host::Name(name) => {
            if let Some(why) = name.special_use().and_then(SpecialUse::why_unresolvable) {
                return Err(io::Error::other(why));
            }
            let mut addresses = Vec::new();
            for address in (name.as_str(), port).to_socket_addrs()? {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            Ok(addresses)
        }
    }
}

/// The listeners at all addresses of a host, or the address that could not be bound and the error.
type Bound = Result<Vec<TcpListener>, (SocketAddr, io::Error)>;

/// Binds the same port at each address, because some clients try only one of a name's addresses.
/// Skips addresses that this machine lacks, such as `::1` without IPv6, unless it lacks all of
/// them. For port 0, the system chooses a port that is free at each address.
///
/// # Errors
/// A port that another process uses at one of the addresses is an error, because clients could
/// reach that process instead of us.
fn bind_all(addresses: &[SocketAddr], bind: &mut dyn FnMut(SocketAddr) -> io::Result<TcpListener>) -> Bound {
    let is_chosen = addresses.first().is_some_and(|address| address.port() == 0);
    let is_taken = |cause: &io::Error| {
        matches!(cause.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
    };
    for _ in 1..MAX_PORTS_TRIED {
        match bind_once(addresses, bind) {
            Err((_, cause)) if is_chosen && is_taken(&cause) => {}
            bound => return bound,
        }
    }
    bind_once(addresses, bind)
}

/// Binds the addresses as [`bind_all`] does, but for port 0 tries only one port.
fn bind_once(addresses: &[SocketAddr], bind: &mut dyn FnMut(SocketAddr) -> io::Result<TcpListener>) -> Bound {
    let (mut listeners, mut port, mut missing) = (Vec::new(), None, None);
    for &(mut address) in addresses {
        address.set_port(port.unwrap_or(address.port()));
        match bind(address).and_then(|listener| Ok((listener.local_addr()?.port(), listener))) {
            Ok((bound, listener)) => {
                port = Some(bound);
                listeners.push(listener);
            }
            Err(error) if sys::is_missing_address(&error) => missing = missing.or(Some((address, error))),
            Err(error) => return Err((address, error)),
        }
    }
    missing.filter(|_| listeners.is_empty()).map_or(Ok(listeners), Err)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Calls [`bind_all`], and lets it fail where `fails` returns an error for an address. Returns
    /// the addresses that it tried to bind, too.
    fn bound_with(
        host: &str,
        mut fails: impl FnMut(SocketAddr) -> Option<io::ErrorKind>,
    ) -> (Bound, Vec<SocketAddr>) {
        let mut asked = Vec::new();
        let bound = bind_all(&addresses(&Host::parse(host).unwrap(), 0).unwrap(), &mut |address| {
            asked.push(address);
            fails(address).map_or_else(|| TcpListener::bind(address), |error| Err(error.into()))
        });
        (bound, asked)
    }

    #[test]
    fn a_port_that_is_free_at_one_address_only_was_not_replaced() {
        let mut taken = None;
        let (bound, asked) = bound_with("localhost", |address| {
            let is_first = address.is_ipv6() && taken.is_none();
            is_first.then(|| {
                taken = Some(address.port());
                io::ErrorKind::AddrInUse
            })
        });
        let bound: Vec<_> = bound.unwrap().iter().map(|each| each.local_addr().unwrap()).collect();
        assert_eq!(bound.iter().map(SocketAddr::ip).collect::<Vec<_>>(), LOOPBACK);
        assert_eq!(bound[0].port(), bound[1].port());
        assert_eq!((asked.len(), asked[1].port()), (4, taken.unwrap()));
        // The number of attempts is limited.
        let (bound, asked) =
            bound_with("localhost", |address| address.is_ipv6().then_some(io::ErrorKind::AddrInUse));
        assert_eq!((bound.is_err(), asked.len()), (true, 2 * MAX_PORTS_TRIED));
    }

    #[test]
    fn a_machine_without_one_of_the_address_families_serves_the_other() {
        let missing = io::ErrorKind::AddrNotAvailable;
        for is_missing in [SocketAddr::is_ipv4, SocketAddr::is_ipv6] {
            let (bound, _) = bound_with("localhost", |address| is_missing(&address).then_some(missing));
            let bound = bound.unwrap();
            assert!(matches!(bound.as_slice(), [other] if !is_missing(&other.local_addr().unwrap())));
        }
        for (host, first) in [("localhost", LOOPBACK[0]), ("::1", LOOPBACK[1])] {
            let (bound, _) = bound_with(host, |_| Some(missing));
            assert!(matches!(bound, Err((address, _)) if address.ip() == first), "{host}");
        }
    }
}

//! Binds sockets to the address or the interface of `--bind`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{Domain, Socket, Type};

use crate::addr::{Family, Host};
use crate::error::{Error, os_message};
use crate::plan::{Bind, BindTo, FamilyLimit, SocketSettings};
use crate::sys::{self, InterfaceAddress};
use crate::text::printable;

/// The local end of a session's sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// The only address family for connections; `None` for both.
    pub(super) family: Option<FamilyLimit>,
    local: Local,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Local {
    /// The system chooses.
    Any,
    /// An address of this machine; the port is 0.
    Address(SocketAddr),
    Interface {
        name: String,
        index: Option<u32>,
        /// The interface's addresses with port 0, those with a global scope first.
        addresses: Vec<SocketAddr>,
    },
}

impl Binding {
    /// Lets the system choose.
    #[cfg(test)]
    pub(super) const ANY: Self = Self { family: None, local: Local::Any };

    /// Looks up the address or interface of `--bind` on this machine.
    ///
    /// # Errors
    /// [`Error::Bind`] if this machine does not have it, or has no address of the required family
    /// there.
    pub(super) fn find(settings: &SocketSettings) -> Result<Self, Error> {
        let family = settings.dialled_family();
        let Some(bind) = &settings.bind else { return Ok(Self { family, local: Local::Any }) };
        let all = sys::interface_addresses()
            .map_err(|cause| Error::System { what: "list this machine's addresses (--bind)", cause })?;
        match &bind.to {
            BindTo::Address(host) => {
                let address = socket_address(host, &all);
                probe(address).map_err(|error| {
                    let cause = if sys::is_missing_address(&error) {
                        "this machine does not have this address".into()
                    } else {
                        os_message(&error)
                    };
                    failed(bind, cause, all.iter().map(|each| each.ip.to_string()))
                })?;
                Ok(Self { family, local: Local::Address(address) })
            }
            BindTo::Interface(name) => Self::for_interface(name, bind, family, &all),
        }
    }

    fn for_interface(
        name: &str,
        bind: &Bind,
        family: Option<FamilyLimit>,
        all: &[InterfaceAddress],
    ) -> Result<Self, Error> {
        let failed = |cause: &str| {
            failed(bind, cause.into(), all.iter().map(|each| printable(each.interface.as_bytes())))
        };
        let own: Vec<_> = all.iter().filter(|each| each.interface == name).collect();
        let index = own.iter().find_map(|each| each.index);
        let (mut addresses, link_local): (Vec<_>, Vec<_>) =
            own.iter().map(|each| with_scope(each)).partition(|address| !is_link_local(address.ip()));
        addresses.extend(link_local);
        let has = |family: Family| addresses.iter().any(|address| family.includes(address.ip()));
        // An interface need not have an address for SO_BINDTODEVICE.
        if addresses.is_empty() {
            let bound =
                new_socket(Domain::IPV4).and_then(|socket| sys::bind_to_interface(&socket, name, index));
            bound.map_err(|_| failed("this machine has no such interface, or it has no address"))?;
        }
        if let Some(FamilyLimit { family, setting }) = &family
            && !addresses.is_empty()
            && !has(*family)
        {
            return Err(failed(&format!("it has no {family} address, which {setting} requires")));
        }
        let only = match (has(Family::V4), has(Family::V6)) {
            (true, false) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            _ => None,
        };
        let family =
            family.or_else(|| only.map(|family| FamilyLimit { family, setting: bind.setting.clone() }));
        Ok(Self { family, local: Local::Interface { name: name.to_owned(), index, addresses } })
    }

    /// Returns `true` if the system chooses.
    #[cfg_attr(not(feature = "dns"), expect(dead_code, reason = "only the DNS client asks"))]
    pub(super) fn is_any(&self) -> bool {
        self.local == Local::Any
    }

    /// Binds a new socket for a connection to `peer`. The system chooses the port.
    ///
    /// # Errors
    /// The address or interface is gone, or the interface has no address of the peer's family.
    pub(super) fn bind(&self, socket: &Socket, peer: SocketAddr) -> io::Result<()> {
        self.bind_with_port(socket, peer, 0)
    }

    /// Binds a socket as [`bind`](Self::bind) does, to this local port; 0 lets the system choose.
    pub(super) fn bind_with_port(&self, socket: &Socket, peer: SocketAddr, port: u16) -> io::Result<()> {
        let mut address = match &self.local {
            Local::Any => unspecified(peer),
            Local::Address(address) => *address,
            Local::Interface { name, index, addresses } => {
                match sys::bind_to_interface(socket, name, *index) {
                    Ok(()) => unspecified(peer),
                    // Without the permission or the system's support, use an address.
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
                        ) =>
                    {
                        source_for(addresses, peer).ok_or(io::ErrorKind::AddrNotAvailable)?
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        if port == 0 && address.ip().is_unspecified() {
            // connect(2) chooses address and port.
            return Ok(());
        }
        address.set_port(port);
        socket.bind(&address.into())
    }
}

/// Returns the address of an interface for connections to `peer`: link-local if the peer is, and
/// global otherwise. `None` if the interface has no address of the peer's family.
fn source_for(addresses: &[SocketAddr], peer: SocketAddr) -> Option<SocketAddr> {
    let mut usable = addresses.iter().copied().filter(|address| address.is_ipv6() == peer.is_ipv6());
    let first = usable.clone().next();
    usable.find(|address| is_link_local(address.ip()) == is_link_local(peer.ip())).or(first)
}

fn failed(bind: &Bind, cause: String, available: impl Iterator<Item = String>) -> Error {
    let mut distinct: Vec<String> = Vec::new();
    for name in available {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    Error::Bind { to: bind.to.to_string(), setting: bind.setting.clone(), cause, available: distinct }
}

/// Returns the address with the zone that a link-local address requires.
fn socket_address(host: &Host, all: &[InterfaceAddress]) -> SocketAddr {
    let ip = host.ip().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let is_zone = |each: &InterfaceAddress| {
        host.zone().is_none_or(|zone| {
            each.interface == zone || each.index.is_some_and(|index| index.to_string() == zone)
        })
    };
    let own = all.iter().find(|each| each.ip == ip && is_zone(each));
    own.map_or(SocketAddr::new(ip, 0), with_scope)
}

fn with_scope(address: &InterfaceAddress) -> SocketAddr {
    match (address.ip, address.index) {
        (IpAddr::V6(ip), Some(index)) if is_link_local(address.ip) => {
            SocketAddrV6::new(ip, 0, 0, index).into()
        }
        (ip, _) => SocketAddr::new(ip, 0),
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn unspecified(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    }
}

fn new_socket(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM, None)
}

/// Checks that this machine has an address.
fn probe(address: SocketAddr) -> io::Result<()> {
    new_socket(Domain::for_address(address))?.bind(&address.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Some systems and old kernels cannot bind to an interface.
    #[test]
    fn an_interface_is_replaced_by_its_address_for_the_peer() {
        let all = ["10.0.0.5:0", "169.254.0.5:0", "[2001:db8::5]:0", "[fe80::5%2]:0"].map(address);
        for (addresses, peer, expected) in [
            (&all[..], "192.0.2.1:22", Some(all[0])),
            (&all, "169.254.9.9:22", Some(all[1])),
            (&all, "[2001:db8::1]:22", Some(all[2])),
            (&all, "[fe80::1%2]:22", Some(all[3])),
            (&all[3..], "[2001:db8::1]:22", Some(all[3])),
            (&all[..1], "169.254.9.9:22", Some(all[0])),
            (&all[..2], "[2001:db8::1]:22", None),
            (&[], "192.0.2.1:22", None),
        ] {
            assert_eq!(source_for(addresses, address(peer)), expected, "{addresses:?} {peer}");
        }
    }

    #[test]
    fn a_link_local_address_gets_the_zone_of_its_interface() {
        let own = |interface: &str, index, ip: &str| InterfaceAddress {
            interface: interface.into(),
            index: Some(index),
            ip: ip.parse().unwrap(),
        };
        let all = [own("eth0", 2, "fe80::5"), own("eth1", 3, "fe80::5"), own("eth1", 3, "2001:db8::5")];
        for (host, expected) in [
            ("fe80::5", "[fe80::5%2]:0"),
            ("fe80::5%eth1", "[fe80::5%3]:0"),
            ("fe80::5%3", "[fe80::5%3]:0"),
            ("fe80::5%eth2", "[fe80::5]:0"),
            ("2001:db8::5", "[2001:db8::5]:0"),
            ("192.0.2.1", "192.0.2.1:0"),
        ] {
            assert_eq!(socket_address(&Host::parse(host).unwrap(), &all), address(expected), "{host}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_is_bound_to_the_interface_itself() {
        let bind = Bind { to: BindTo::Interface("lo".into()), setting: "--bind".into() };
        let settings = SocketSettings { bind: Some(bind), ..SocketSettings::default() };
        let binding = Binding::find(&settings).unwrap();
        let socket = new_socket(Domain::IPV4).unwrap();
        binding.bind(&socket, address("127.0.0.1:22")).unwrap();
        assert_eq!(socket.device().unwrap().as_deref(), Some(&b"lo"[..]));
    }
}

//! Lists the networks and addresses of this machine's interfaces.

use std::io;
use std::net::IpAddr;

use socket2::Socket;

use crate::bypass::Prefix;

/// Returns the networks of all interfaces, loopback included.
///
/// # Errors
/// The system could not list its interfaces.
pub fn own_networks() -> io::Result<Vec<Prefix>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces
        .iter()
        .filter_map(|interface| Prefix::new(interface.ip(), prefix_length(&interface.addr)))
        .collect())
}

/// Returns the addresses of all interfaces that are up, loopback included. An interface without a
/// link counts as down.
///
/// # Errors
/// The system could not list its interfaces.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.iter().filter(|interface| interface.is_oper_up()).map(if_addrs::Interface::ip).collect())
}

/// An address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub interface: String,
    /// The interface's number; `None` if the system does not report it.
    pub index: Option<u32>,
    /// The address.
    pub ip: IpAddr,
}

/// Returns the addresses of all interfaces, loopback included.
///
/// # Errors
/// The system could not list its interfaces.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let all = if_addrs::get_if_addrs()?;
    let address = |each: &if_addrs::Interface| InterfaceAddress {
        interface: each.name.clone(),
        index: each.index,
        ip: each.ip(),
    };
    Ok(all.iter().map(address).collect())
}

/// Binds a socket to an interface: it sends and receives through this interface only.
///
/// # Errors
/// `NotFound` if there is no such interface. `PermissionDenied` or `Unsupported` if the socket can
/// only be bound to an address of the interface.
#[cfg(target_os = "linux")]
pub fn bind_to_interface(socket: &Socket, interface: &str, _: Option<u32>) -> io::Result<()> {
    // The kernel would truncate a longer name.
    if interface.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::NotFound.into());
    }
    socket.bind_device(Some(interface.as_bytes())).map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => io::ErrorKind::NotFound.into(),
        _ => error,
    })
}

/// Binds a socket to an interface: it sends and receives through this interface only.
///
/// # Errors
/// `NotFound` if there is no such interface.
#[cfg(target_vendor = "apple")]
pub fn bind_to_interface(socket: &Socket, _: &str, index: Option<u32>) -> io::Result<()> {
    let index = index.and_then(std::num::NonZeroU32::new).ok_or(io::ErrorKind::NotFound)?;
    if socket.local_addr()?.is_ipv6() {
        socket.bind_device_by_index_v6(Some(index))
    } else {
        socket.bind_device_by_index_v4(Some(index))
    }
}

/// Fails: this system binds sockets to addresses only.
///
/// # Errors
/// Always `Unsupported`.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub fn bind_to_interface(_: &Socket, _: &str, _: Option<u32>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn prefix_length(address: &if_addrs::IfAddr) -> u8 {
    match address {
        if_addrs::IfAddr::V4(v4) => v4.prefixlen,
        if_addrs::IfAddr::V6(v6) => v6.prefixlen,
    }
}

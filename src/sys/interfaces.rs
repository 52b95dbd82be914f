//! Lists the networks and addresses of this machine's interfaces.

use std::io;
use std::net::IpAddr;

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

fn prefix_length(address: &if_addrs::IfAddr) -> u8 {
    match address {
        if_addrs::IfAddr::V4(v4) => v4.prefixlen,
        if_addrs::IfAddr::V6(v6) => v6.prefixlen,
    }
}

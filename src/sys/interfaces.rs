//! The networks that this machine is in.

use std::io;
use std::net::IpAddr;

use crate::bypass::Prefix;

/// The networks of the machine's own interfaces, loopback included.
///
/// # Errors
/// The system does not tell.
pub fn own_networks() -> io::Result<Vec<Prefix>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces
        .iter()
        .filter_map(|interface| Prefix::new(interface.ip(), length(&interface.addr)))
        .collect())
}

/// The addresses of the machine's own interfaces, loopback included. One that is down, or whose cable is out, has none.
///
/// # Errors
/// The system does not tell.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.iter().filter(|interface| interface.is_oper_up()).map(if_addrs::Interface::ip).collect())
}

fn length(address: &if_addrs::IfAddr) -> u8 {
    match address {
        if_addrs::IfAddr::V4(v4) => v4.prefixlen,
        if_addrs::IfAddr::V6(v6) => v6.prefixlen,
    }
}

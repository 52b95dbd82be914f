//! The networks that this machine is in.

use std::io;

use crate::direct::Prefix;

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

fn length(address: &if_addrs::IfAddr) -> u8 {
    match address {
        if_addrs::IfAddr::V4(v4) => v4.prefixlen,
        if_addrs::IfAddr::V6(v6) => v6.prefixlen,
    }
}

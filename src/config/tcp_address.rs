//! Parses TCP addresses to listen on.

use super::service::{port_after_host, port_or_service};
use super::target::expect_no_proxy;
use crate::addr::{AddrError, Host, Port, split_port};
use crate::error::Error;
use crate::plan::ListenAddress;

/// The default address to listen on: both loopback addresses. Restricted to this machine, because
/// any client that can connect can use the tunnel.
const DEFAULT_HOST: &str = "localhost";

/// Parses `PORT` or `ADDR:PORT`. Port 0 lets the system choose the port.
pub(super) fn parse_tcp(value: &str, option: &str) -> Result<ListenAddress, Error> {
    expect_no_proxy(value)?;
    let (host, port) = match split_port(value) {
        (host, Some("0")) => (host, Ok(0)),
        (host, Some(port)) => (host, port_after_host(port).map(Port::get)),
        ("0", None) => (DEFAULT_HOST, Ok(0)),
        (port, None) => (DEFAULT_HOST, port_or_service(port).map(Port::get)),
    };
    let in_option = |error: AddrError| Error::Config(format!("{option}: {error}"));
    Ok(ListenAddress::Tcp { host: Host::parse(host).map_err(in_option)?, port: port.map_err(in_option)? })
}

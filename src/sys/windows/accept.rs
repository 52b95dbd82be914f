//! Accepts connections that child processes do not inherit.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::SockRef;

/// Accepts a connection that child processes do not inherit. Otherwise, a child started by another
/// thread would keep the connection open. Sockets accepted by the standard library may be
/// inheritable on some systems.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, from) = SockRef::from(listener).accept()?;
    let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((stream.into(), from))
}

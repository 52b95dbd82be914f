//! TCP listeners that no other process can share, and connections that child processes do not
//! inherit.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::windows::io::AsRawSocket;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use windows_sys::Win32::Networking::WinSock::{
    INVALID_SOCKET, SO_EXCLUSIVEADDRUSE, SOCKET_ERROR, SOL_SOCKET, setsockopt,
};

/// Maximum number of connections that wait to be accepted, as in the standard library.
const BACKLOG: i32 = 128;

/// Accepts a connection that child processes do not inherit. Otherwise, a child started by another
/// thread would keep the connection open. Sockets accepted by the standard library may be
/// inheritable on some systems.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, from) = SockRef::from(listener).accept()?;
    let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((stream.into(), from))
}

/// Listens on a TCP port that no other process can bind, too. Otherwise, Windows lets any process
/// that sets `SO_REUSEADDR` do so and receive our clients.
///
/// # Errors
/// setsockopt or bind failed.
pub fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    let on = 1_i32;
    // SAFETY: the socket is open, and the pointer is valid for the given length, that of an i32.
    let result = unsafe {
        let raw = usize::try_from(socket.as_raw_socket()).unwrap_or(INVALID_SOCKET);
        setsockopt(raw, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (&raw const on).cast(), 4)
    };
    if result == SOCKET_ERROR {
        return Err(io::Error::last_os_error());
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use windows_sys::Win32::Networking::WinSock::getsockopt;

    use super::*;

    /// Returns the value of a socket option that is an integer.
    fn option(socket: &impl AsRawSocket, option: i32) -> i32 {
        let (mut value, mut length) = (0, 4);
        // SAFETY: the socket is open, and both pointers are valid; the length is that of an i32.
        let result = unsafe {
            let raw = usize::try_from(socket.as_raw_socket()).unwrap();
            getsockopt(raw, SOL_SOCKET, option, (&raw mut value).cast::<i32>().cast(), &raw mut length)
        };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        value
    }

    #[test]
    fn another_process_could_take_over_the_port_of_a_listener() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = bind_tcp(address.parse().unwrap()).unwrap();
            assert_ne!(option(&listener, SO_EXCLUSIVEADDRUSE), 0);
            let address = listener.local_addr().unwrap();
            let other = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
            other.set_reuse_address(true).unwrap();
            assert!(other.bind(&address.into()).and_then(|()| other.listen(1)).is_err(), "{address}");
        }
    }
}

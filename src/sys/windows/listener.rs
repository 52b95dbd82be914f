//! Places to listen.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::path::Path;

use socket2::SockRef;

use super::Channel;

/// A socket that takes connections. Accepting never waits.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Takes over a TCP listener.
    ///
    /// # Errors
    /// It cannot be made non-blocking.
    pub fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// UNIX-domain sockets are for Unix.
    ///
    /// # Errors
    /// Always.
    pub fn unix(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "UNIX-domain sockets are not supported on Windows"))
    }

    /// Sockets are not passed on.
    ///
    /// # Errors
    /// Always.
    pub fn passed(_: i32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Takes a connection, if one is there, and says where it comes from.
    ///
    /// # Errors
    /// What accept says; `WouldBlock` if there is none.
    pub fn accept(&self) -> io::Result<(Channel, String)> {
        let (stream, from) = accept(&self.0)?;
        // It may have left already, which reading will tell.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_keepalive(true);
        Ok((Channel::socket(stream), from.to_string()))
    }
}

/// Takes a connection that no program inherits which another thread starts meanwhile: it would keep it open. What the
/// standard library accepts may be inherited, which depends on the system.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, from) = SockRef::from(listener).accept()?;
    let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((stream.into(), from))
}

impl AsSocket for Listener {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

//! Places to listen.

use std::io;
use std::net::TcpListener;
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::path::Path;

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

    /// Takes a connection, if one is there, and says where it comes from.
    ///
    /// # Errors
    /// What accept says; `WouldBlock` if there is none.
    pub fn accept(&self) -> io::Result<(Channel, String)> {
        let (stream, from) = self.0.accept()?;
        // It may have left already, which reading will tell.
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_keepalive(true);
        Ok((Channel::socket(stream), from.to_string()))
    }
}

impl AsSocket for Listener {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

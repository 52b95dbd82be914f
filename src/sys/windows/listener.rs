//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::path::Path;

use windows_sys::Win32::Networking::WinSock::WSAEAFNOSUPPORT;

use super::Channel;
use super::tcp::accept;
use crate::sys::Client;

/// A listening socket. Accepting never blocks.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Wraps a TCP listener, and makes it non-blocking.
    ///
    /// # Errors
    /// The socket could not be made non-blocking.
    pub fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Fails: UNIX-domain sockets are not supported here.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn unix(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "UNIX-domain sockets are not supported on Windows"))
    }

    /// Fails: there is no socket activation here.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn passed(_: i32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the listener's address, or `None` if the system does not report it.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Accepts a pending connection, which is [reset on exit](Channel::set_reset_on_exit).
    ///
    /// # Errors
    /// accept failed; `WouldBlock` if no connection is pending, `ConnectionAborted` if the client
    /// has already disconnected.
    pub fn accept(&self) -> io::Result<Client> {
        let (stream, theirs) = accept(&self.0)?;
        let ours = stream.local_addr().map_err(|_| io::ErrorKind::ConnectionAborted)?;
        // Fails if the client is already gone, which the first read will report.
        let _ = stream.set_nodelay(true);
        let (channel, name) = (Channel::socket(stream), theirs.to_string());
        channel.set_reset_on_exit(true);
        Ok(Client { channel, name, addrs: Some((ours, theirs)) })
    }
}

/// Returns `true` if binding failed because this machine lacks the address or its whole family,
/// such as `::1` where IPv6 is disabled.
#[must_use]
pub fn is_missing_address(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(WSAEAFNOSUPPORT)
}

impl AsSocket for Listener {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

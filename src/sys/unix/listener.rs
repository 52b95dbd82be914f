//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::Channel;
use super::socket_path::{self, Identity};
use crate::sys::Client;

/// Maximum number of clients that wait to be accepted; the system may have a lower one. The
/// standard library's 128 are too few when all clients of a server connect again at once: the
/// kernel ignores a client that finds the queue full, and the client tries again after a second.
const MAX_QUEUED: i32 = 4096;

/// A listening socket. Accepting never blocks.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A UNIX-domain socket.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// The socket's path in the file system.
        path: PathBuf,
        /// The identity of the socket at that path if we created it. Dropping the listener removes
        /// this socket and no other.
        created: Option<Identity>,
    },
}

impl Listener {
    /// Wraps a TCP listener, and makes it non-blocking.
    ///
    /// # Errors
    /// The socket could not be made non-blocking.
    pub fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    /// Listens on a UNIX-domain socket that only the user can connect to. Replaces a socket left
    /// behind by a dead process.
    ///
    /// # Errors
    /// bind(2) failed; `AddrInUse` if another process is listening on `path`, or if `path` is not a
    /// socket; `ResourceBusy` if another process has locked the directory.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let (socket, created) = socket_path::bind(path)?;
        let nonblocking = socket.set_nonblocking(true);
        let listener = Self::Unix { listener: socket, path: path.to_owned(), created };
        nonblocking.map(|()| listener)
    }

    /// Returns the address of a TCP listener. `None` for UNIX-domain sockets.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    /// Accepts a pending connection, which is [reset on exit](Channel::set_reset_on_exit).
    ///
    /// # Errors
    /// accept(2) failed; `WouldBlock` if no connection is pending, `ConnectionAborted` if the
    /// client has already disconnected.
    pub fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener) => {
                let (stream, theirs) = listener.accept()?;
                // Fails on some systems if the client is already gone.
                let ours = stream.local_addr().map_err(|_| io::ErrorKind::ConnectionAborted)?;
                stream.set_nonblocking(true)?;
                // Some systems refuse the option if the client is already gone.
                let _ = stream.set_nodelay(true);
                let (channel, name) = (Channel::socket(stream), theirs.to_string());
                channel.set_reset_on_exit(true);
                Ok(Client { channel, name, addrs: Some((ours, theirs)) })
            }
            Self::Unix { listener, path, .. } => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let (channel, name) = (Channel::socket(stream), format!("unix:{}", path.display()));
                Ok(Client { channel, name, addrs: None })
            }
        }
    }
}

/// Returns `true` if binding failed because this machine lacks the address or its whole family,
/// such as `::1` where IPv6 is disabled.
#[must_use]
pub fn is_missing_address(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT))
}

/// Listens on a TCP port. The standard library sets `SO_REUSEADDR`, which on Unix only makes a port
/// available again right after its listener closes.
///
/// # Errors
/// bind(2) failed.
pub fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, MAX_QUEUED)?;
    Ok(listener)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, created: Some(created), .. } = self {
            socket_path::remove(path, *created);
        }
    }
}

//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::Channel;
use crate::sys::Client;

/// A listening socket. Accepting never blocks.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A UNIX-domain socket.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// Its path in the file system.
        path: PathBuf,
        /// We created the path, so dropping the listener removes it.
        is_ours: bool,
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
    /// socket.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let listener = match bind_private(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                std::fs::remove_file(path)?;
                bind_private(path)?
            }
            result => result?,
        };
        listener.set_nonblocking(true)?;
        Ok(Self::Unix { listener, path: path.to_owned(), is_ours: true })
    }

    /// Returns the address of a TCP listener. `None` for UNIX-domain sockets.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    /// Accepts a pending connection.
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
                // Some systems refuse both options if the client is already gone.
                let _ = stream.set_nodelay(true);
                let _ = socket2::SockRef::from(&stream).set_keepalive(true);
                let (channel, name) = (Channel::socket(stream), theirs.to_string());
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

/// Binds a socket with mode 0700. The umask belongs to the whole process, so this must be called
/// before other threads start.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(Mode::from_raw_mode(0o077));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

/// Returns `true` if the path is a socket on which no process listens.
fn is_stale(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    let is_refused =
        || UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    is_socket && is_refused()
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
        if let Self::Unix { path, is_ours: true, .. } = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

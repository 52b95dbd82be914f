//! Places to listen.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::Channel;

/// A socket that takes connections. Accepting never waits.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A UNIX-domain socket.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// Where it is in the file system.
        path: PathBuf,
        /// We made it, and it is removed when this is dropped.
        is_ours: bool,
    },
}

impl Listener {
    /// Takes over a TCP listener.
    ///
    /// # Errors
    /// It cannot be made non-blocking.
    pub fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    /// Listens at a path that nobody but the user may connect to. A socket that a dead process has left there is
    /// replaced; one on which somebody listens, and anything that is no socket, is an error.
    ///
    /// # Errors
    /// What bind(2) says.
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

    /// Its address, if it is a TCP port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix { .. } => None,
        }
    }

    /// Takes a connection, if one is there, and says where it comes from.
    ///
    /// # Errors
    /// What accept(2) says; `WouldBlock` if there is none.
    pub fn accept(&self) -> io::Result<(Channel, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept()?;
                stream.set_nonblocking(true)?;
                // Some systems refuse both for a client that has left already.
                let _ = stream.set_nodelay(true);
                let _ = socket2::SockRef::from(&stream).set_keepalive(true);
                Ok((Channel::socket(stream), from.to_string()))
            }
            Self::Unix { listener, path, .. } => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((Channel::socket(stream), format!("unix:{}", path.display())))
            }
        }
    }
}

/// The mask belongs to the whole process: listeners are made before there are other threads.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(Mode::from_raw_mode(0o077));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

fn is_stale(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    let nobody =
        || UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    is_socket && nobody()
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

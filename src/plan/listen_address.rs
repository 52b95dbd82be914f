//! The place of a listening socket.

use std::fmt;
use std::path::PathBuf;

use crate::addr::Host;

/// The place of a listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port; for port 0, the system chooses a free one.
    Tcp {
        /// The address to bind. The name `localhost`, the default, is both loopback addresses.
        host: Host,
        /// The port.
        port: u16,
    },
    /// A UNIX-domain socket.
    Unix(PathBuf),
    /// The file descriptor of a socket passed by systemd.
    SystemdSocket(i32),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.to_string().contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::SystemdSocket(number) => write!(f, "descriptor {number}"),
        }
    }
}

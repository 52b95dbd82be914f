//! The target of a session, and the address of a proxy.

use std::fmt;
use std::path::PathBuf;

use crate::addr::{Endpoint, Host};

/// The remote end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host and a port.
    Tcp(Endpoint),
    /// A UNIX-domain socket on this machine; proxies cannot reach it.
    Unix(PathBuf),
    /// The target that the server of the last hop selects, with the host that the user has named
    /// for it.
    AtServer(Option<Host>),
}

impl Target {
    /// Returns the host, or `unix:` and the path of a UNIX-domain socket.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(endpoint) => endpoint.host.to_string(),
            Self::Unix(_) | Self::AtServer(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::AtServer(Some(host)) => host.fmt(f),
            Self::AtServer(None) => f.write_str("the server's target"),
        }
    }
}

//! The target of a session, and the address of a proxy.

use std::fmt;
use std::path::PathBuf;

use crate::addr::{AddrError, Endpoint, Host, Port};

/// The host of a target whose name only the server knows. No host has this name (RFC 6761 §6.4).
const UNKNOWN_HOST: &str = "target.invalid";

/// Returns an endpoint for a hop whose server selects the target. The hop ignores the port, and the
/// host if it is `None`.
pub(crate) fn placeholder(host: Option<Host>) -> Result<Endpoint, AddrError> {
    let host = host.map_or_else(|| Host::parse(UNKNOWN_HOST), Ok)?;
    Ok(Endpoint { host, port: Port::MIN })
}

/// Returns `true` for a [`placeholder`] without a host.
pub(crate) fn is_placeholder(endpoint: &Endpoint) -> bool {
    matches!(&endpoint.host, Host::Name(name) if name.as_str() == UNKNOWN_HOST)
}

/// The remote end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host and a port.
    Tcp(Endpoint),
    /// A UNIX-domain socket on this machine or, if the last hop is an SSH server, there. Other
    /// proxies cannot reach such sockets.
    Unix(PathBuf),
    /// A named queue at the SSH server that is the last hop.
    Queue(Box<str>),
    /// The target that the server of the last hop selects, with the host that the user has named
    /// for it.
    AtServer(Option<Host>),
}

impl Target {
    /// Returns `true` if the target has neither host nor port, but a name that only a machine
    /// knows.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Queue(_))
    }

    /// Returns the host, or the whole target if it has none.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(endpoint) => endpoint.host.to_string(),
            Self::Unix(_) | Self::Queue(_) | Self::AtServer(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Queue(name) => write!(f, "queue:{name}"),
            Self::AtServer(Some(host)) => host.fmt(f),
            Self::AtServer(None) => f.write_str("the server's target"),
        }
    }
}

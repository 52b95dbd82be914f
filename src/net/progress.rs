//! Reports which stages of connecting have been reached.

use std::net::{IpAddr, SocketAddr};

use crate::addr::Name;
use crate::error::{Error, Peer};
use crate::proto::Redactor;

/// Receives each stage as it is reached.
pub trait Progress {
    /// Called when a stage has just been reached.
    fn reached(&self, stage: &Stage<'_>);

    /// Returns `true` if connecting must leave files as they are, because the user only checks the
    /// settings.
    fn is_check(&self) -> bool {
        false
    }

    /// Returns the redactor to which connecting adds the secrets that it uses.
    fn redactor(&self) -> Redactor {
        Redactor::default()
    }
}

/// Ignores all stages.
impl Progress for () {
    fn reached(&self, _: &Stage<'_>) {}
}

/// A stage of connecting.
#[derive(Debug)]
pub enum Stage<'a> {
    /// The route with this index in the plan is tried next.
    Route(usize),
    /// The target bypasses the route's proxies.
    Bypassed,
    /// A name was resolved.
    Resolved {
        /// The name.
        name: &'a Name,
        /// The name's addresses, in order of preference.
        addresses: &'a [IpAddr],
        /// The number of further addresses that the name has. The program does not use them.
        ignored: usize,
    },
    /// The connection to the first hop, or to the target, is established.
    Dialled {
        /// The hop or the target.
        peer: &'a Peer,
        /// The address that accepted the connection; `None` for a UNIX-domain socket.
        at: Option<SocketAddr>,
    },
    /// The TLS handshake with a proxy or the target is complete.
    Secured {
        /// The proxy or the target.
        peer: &'a Peer,
        /// The negotiated parameters and a summary of the certificate.
        facts: &'a str,
    },
    /// A negotiation with several steps has completed one.
    Progressed {
        /// The server.
        peer: &'a Peer,
        /// The result.
        text: &'a str,
    },
    /// A proxy has established the tunnel to the next hop or to the target.
    Negotiated(&'a Peer),
    /// The route failed.
    Failed(&'a Error),
}

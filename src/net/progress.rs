//! How far the way has been gone, for whoever wants to know.

use std::net::{IpAddr, SocketAddr};

use crate::addr::Name;
use crate::error::{Error, Peer};

/// Is told of each stage when it is done.
pub trait Progress {
    /// It was reached just now.
    fn reached(&self, stage: &Stage<'_>);
}

/// Nobody wants to know.
impl Progress for () {
    fn reached(&self, _: &Stage<'_>) {}
}

/// A stage of the way.
#[derive(Debug)]
pub enum Stage<'a> {
    /// A route is begun, by its index in the plan.
    Route(usize),
    /// Its proxies are not needed for this target.
    Bypassed,
    /// A name has these addresses.
    Resolved {
        /// The name.
        name: &'a Name,
        /// Its addresses, the system's favourite first.
        addresses: &'a [IpAddr],
    },
    /// A connection to the first hop, or to the target, stands.
    Dialled {
        /// Who that is.
        peer: &'a Peer,
        /// At which of its addresses.
        at: SocketAddr,
    },
    /// A proxy is spoken to in TLS.
    Secured {
        /// Who that is.
        peer: &'a Peer,
        /// What was agreed upon, and what its certificate says.
        facts: &'a str,
    },
    /// A proxy has made the tunnel to the next stage.
    Negotiated(&'a Peer),
    /// The route leads nowhere.
    Failed(&'a Error),
}

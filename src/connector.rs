//! The way to the target: all that has to be known to go it, passwords among it, as long as it may be gone again.

use std::io;

use crate::error::Error;
use crate::net::{self, Progress, Tunnel};
use crate::plan::{Hop, Plan};
use crate::prompt::{Remembered, User};
use crate::proto::{Ends, ProxyProtocol, Wire};
use crate::sys::{self, Channel, DumpGuard};
use crate::trace::{self, trace};

/// A plan, and the user who may be asked for what it does not say.
#[derive(Debug)]
pub struct Connector {
    plan: Plan,
    user: Remembered,
    /// While there may be a password in memory. It is the last field: the others are wiped first.
    _dump_guard: Option<DumpGuard>,
}

impl Connector {
    /// The way of this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let has_key = |hop: &Hop| hop.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        let secret = plan.hops().any(|hop| hop.protocol.login().is_some() || has_key(hop));
        let user = Remembered::new(User::new(plan.askpass.clone()));
        Self { plan, user, _dump_guard: secret.then(DumpGuard::engage) }
    }

    /// What is to be done.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes a tunnel to the target, for a client of ours, or for the one who has started the program.
    ///
    /// # Errors
    /// See [`connect_with_progress`](Self::connect_with_progress).
    pub fn connect(&self, client: Option<&Channel>) -> Result<Tunnel, Error> {
        self.connect_with_progress(client, &())
    }

    /// The same, and tells how far it has come.
    ///
    /// # Errors
    /// See [`net::connect`]; or the target has gone already.
    pub fn connect_with_progress(
        &self,
        client: Option<&Channel>,
        progress: &dyn Progress,
    ) -> Result<Tunnel, Error> {
        let tunnel = net::connect(&self.plan, &self.user, progress).inspect_err(|error| {
            if error.is_auth_rejected() {
                self.user.forget();
            }
        })?;
        trace!("connected");
        if let Some(version) = self.plan.proxy_protocol {
            announce(version, &tunnel, client)?;
        }
        Ok(tunnel)
    }

    /// Makes the only tunnel there will be, and forgets the connector: no password is left in memory.
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub fn connect_once(self, client: Option<&Channel>) -> Result<Tunnel, Error> {
        self.connect(client)
    }
}

/// Tells the target whom the session is for, before anything else is said. Without a client that is whoever is at this end
/// of the connection: but what a proxy makes of it is known to the proxy only.
fn announce(version: ProxyProtocol, tunnel: &Tunnel, client: Option<&Channel>) -> Result<(), Error> {
    let ends = match client {
        Some(client) => {
            sys::socket_addrs(client).map(|(ours, theirs)| Ends { source: theirs, destination: ours })
        }
        None if tunnel.peer.protocol.is_some() => None,
        None => sys::socket_addrs(&tunnel.channel)
            .map(|(ours, theirs)| Ends { source: ours, destination: theirs }),
    };
    let header = version.header(ends);
    trace::sent(&Wire::public(header.clone()), version == ProxyProtocol::V1);
    let broke = |cause| Error::Remote { peer: tunnel.peer.clone(), cause };
    // Where nothing has been sent yet there is room for it.
    match tunnel.channel.write(&header).map_err(broke)? {
        sent if sent == header.len() => Ok(()),
        _ => Err(broke(io::ErrorKind::WriteZero.into())),
    }
}

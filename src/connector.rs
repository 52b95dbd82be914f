//! Connects to the target, and owns the secrets needed for that.

use std::io;

use crate::error::Error;
use crate::net::{self, Context, LoginGate, Progress, TlsCache, Tunnel};
use crate::plan::{Hop, Local, Plan};
use crate::prompt::{PromptCache, Prompter};
use crate::proto::{Ends, ProxyProtocol, Wire};
use crate::relay::Ending;
use crate::sys::{self, Client, DumpGuard};
use crate::trace::{self, trace};

/// Establishes tunnels for one plan, and prompts for the passwords that the plan lacks.
#[derive(Debug)]
pub struct Connector {
    plan: Plan,
    prompts: PromptCache,
    tls: TlsCache,
    /// Login results, shared by all sessions; `None` for a run with a single session.
    gate: Option<LoginGate>,
    /// Prevents core dumps while a password may be in memory. Fields are dropped in order, so this
    /// must stay last: the others zero their passwords first.
    _dump_guard: Option<DumpGuard>,
}

impl Connector {
    /// Creates a connector for this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let has_key = |hop: &Hop| hop.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        let has_secret = plan.hops().any(|hop| hop.protocol.login().is_some() || has_key(hop));
        let prompts = PromptCache::new(Prompter::new(plan.askpass.clone()));
        let gate = matches!(plan.local, Local::Listen(_)).then(LoginGate::default);
        let dump_guard = has_secret.then(DumpGuard::engage);
        Self { plan, prompts, tls: TlsCache::default(), gate, _dump_guard: dump_guard }
    }

    /// Returns the plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Establishes a tunnel to the target for `client`, or for standard input and output if it is
    /// `None`.
    ///
    /// # Errors
    /// See [`connect_with_progress`](Self::connect_with_progress).
    pub fn connect(&self, client: Option<&Client>) -> Result<Tunnel, Error> {
        self.connect_with_progress(client, &())
    }

    /// Establishes a tunnel to the target and reports each stage as it is reached.
    ///
    /// # Errors
    /// Returns the errors of [`net::connect`], and [`Error::Remote`] if the PROXY protocol header
    /// cannot be sent.
    pub fn connect_with_progress(
        &self,
        client: Option<&Client>,
        progress: &dyn Progress,
    ) -> Result<Tunnel, Error> {
        let context = Context {
            client: client.map(|client| &client.channel),
            prompt: &self.prompts,
            tls: &self.tls,
            gate: self.gate.as_ref(),
            progress,
        };
        let tunnel = net::connect(&self.plan, context).inspect_err(|error| {
            if error.is_auth_rejected() {
                self.prompts.clear();
            }
        })?;
        trace!("connected");
        if let Some(version) = self.plan.proxy_protocol {
            send_proxy_header(version, &tunnel, client)?;
        }
        Ok(tunnel)
    }

    /// Establishes the only tunnel of this run, and drops the connector with all its passwords.
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub fn connect_once(self, client: Option<&Client>) -> Result<Tunnel, Error> {
        self.connect(client)
    }
}

/// Checks how the session over a tunnel ended. If a proxy granted the request and the connection
/// was closed before the target sent anything, the tunnel most likely led nowhere.
///
/// If the local end had ended first, returns that as a warning, because the session may be one that
/// only sends data. Returns `None` if it sent nothing either: browsers open connections in advance,
/// and close those that they do not need.
///
/// # Errors
/// [`Error::NothingReceived`] otherwise.
pub fn check_ending(tunnel: &Tunnel, ending: Ending) -> Result<Option<Error>, Error> {
    match ending {
        _ if tunnel.granted_by.is_none() => Ok(None),
        Ending::Normal | Ending::Silent { after_local: true, has_sent: false } => Ok(None),
        Ending::Silent { after_local: true, has_sent: true } => Ok(Some(tunnel.nothing_received())),
        Ending::Silent { after_local: false, .. } => Err(tunnel.nothing_received()),
    }
}

/// Sends the PROXY protocol header, which must precede all bytes of the session. The header
/// contains both addresses of the client's connection, or of our own if there is no client. Without
/// a client, a tunnel through a proxy has no known source address, because only the proxy knows the
/// address from which it connects.
fn send_proxy_header(version: ProxyProtocol, tunnel: &Tunnel, client: Option<&Client>) -> Result<(), Error> {
    let ends = match client {
        Some(client) => client.addrs.map(|(ours, theirs)| Ends { source: theirs, destination: ours }),
        None if tunnel.peer.protocol.is_some() => None,
        None => sys::socket_addrs(&tunnel.channel)
            .map(|(ours, theirs)| Ends { source: ours, destination: theirs }),
    };
    let header = version.header(ends);
    trace::sent(&Wire::public(header.clone()), version == ProxyProtocol::V1);
    let failed = |cause| Error::Remote { peer: tunnel.peer.clone(), cause };
    // One write is enough: the send buffer is empty, or nearly so after a negotiation.
    match tunnel.channel.write(&header).map_err(failed)? {
        sent if sent == header.len() => Ok(()),
        _ => Err(failed(io::ErrorKind::WriteZero.into())),
    }
}

//! Connects to the target, and owns the secrets needed for that.

use std::sync::Arc;

use crate::addr::Endpoint;
use crate::config::Planner;
use crate::error::{Error, Peer};
use crate::net::{self, ClientEnd, Context, OwnListeners, Peers, Progress, Shared, Tunnel};
use crate::plan::{Hop, Local, Plan, RelaySettings, Target, Tls};
use crate::prompt::{PromptCache, Prompter};
use crate::proto::ForwardRequest;
use crate::relay::Ending;
use crate::sys::Client;
use crate::trace;

/// Establishes tunnels for one plan, and prompts for the passwords that the plan lacks.
#[derive(Debug)]
pub struct Connector {
    plan: Plan,
    /// Makes the plans for the targets that clients name; `None` if all tunnels lead to the target
    /// of `plan`.
    planner: Option<Planner>,
    /// Prevents core dumps while it exists. Fields are dropped in order, so this must stay last:
    /// the others zero their passwords first.
    shared: Arc<Shared>,
}

impl Connector {
    /// Creates a connector for this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::create(plan, None)
    }

    /// Creates a connector for clients that name their targets. `plan` is the plan of the run.
    #[must_use]
    pub fn with_planner(plan: Plan, planner: Planner) -> Self {
        Self::create(plan, Some(planner))
    }

    fn create(plan: Plan, planner: Option<Planner>) -> Self {
        let mut shared = Shared::new(Box::new(PromptCache::new(Prompter::new(plan.askpass.clone()))));
        let has_many_sessions = planner.is_some()
            || matches!(
                plan.local,
                Local::Listen(_) | Local::Post(_) | Local::WebSocket(_) | Local::Origin(_)
            );
        if has_many_sessions {
            shared = shared.limiting_logins().sharing_tunnels();
        }
        if has_many_sessions || plan.hops().any(|hop| hop.protocol.opens_connections()) {
            shared = shared.remembering_logins();
        }
        let has_key = |tls: &Option<Tls>| tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        let is_secret =
            |hop: &Hop| hop.protocol.login().is_some() || hop.protocol.has_key() || has_key(&hop.tls);
        // A planner may have a password for some of the targets.
        if planner.is_some() || has_key(&plan.target_tls) || plan.hops().any(is_secret) {
            shared = shared.without_core_dumps();
        }
        Self { plan, planner, shared: Arc::new(shared) }
    }

    /// Sets the listeners to which no connection may lead back.
    pub fn set_own_listeners(&self, own: OwnListeners) {
        self.shared.set_own_listeners(own);
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
    /// Returns the errors of [`net::connect`].
    pub fn connect_with_progress(
        &self,
        client: Option<&Client>,
        progress: &dyn Progress,
    ) -> Result<Tunnel, Error> {
        self.connect_by(&self.plan, client.map(ClientEnd::from), None, progress)
    }

    /// Establishes a tunnel to the target for a client whose connection already has layers, or that
    /// has no connection of its own.
    ///
    /// # Errors
    /// See [`connect_with_progress`](Self::connect_with_progress).
    pub fn connect_for(&self, client: ClientEnd<'_>) -> Result<Tunnel, Error> {
        self.connect_by(&self.plan, Some(client), None, &())
    }

    /// Establishes a tunnel to a target that a client has named. If the last proxy of the route can
    /// forward HTTP requests, it receives `forward` instead. Also returns the settings for the
    /// relay.
    ///
    /// # Errors
    /// Returns the errors of [`Planner::plan`] and of [`net::connect`], and [`Error::Loop`] if the
    /// target is one of our own listeners.
    pub fn connect_to(
        &self,
        target: Endpoint,
        client: ClientEnd<'_>,
        forward: Option<&Arc<ForwardRequest>>,
    ) -> Result<(Tunnel, RelaySettings), Error> {
        if self.shared.own_listeners().is_some_and(|own| own.include_target(&target)) {
            return Err(Error::Loop { peer: Peer::target(&Target::Tcp(target)) });
        }
        let planned = self.planner.as_ref().map(|planner| planner.plan(target)).transpose()?;
        let plan = planned.as_ref().unwrap_or(&self.plan);
        trace::plan(plan);
        Ok((self.connect_by(plan, Some(client), forward, &())?, plan.relay))
    }

    fn connect_by(
        &self,
        plan: &Plan,
        client: Option<ClientEnd<'_>>,
        forward: Option<&Arc<ForwardRequest>>,
        progress: &dyn Progress,
    ) -> Result<Tunnel, Error> {
        let context = Context { client, shared: &self.shared, forward, progress };
        net::connect(plan, context).inspect_err(|error| {
            if error.is_auth_rejected() {
                self.shared.forget_passwords();
            }
        })
    }

    /// Establishes a tunnel by another plan, with the passwords of this run. Reports each stage.
    ///
    /// # Errors
    /// See [`connect_with_progress`](Self::connect_with_progress).
    pub fn connect_with(&self, plan: &Plan, progress: &dyn Progress) -> Result<Tunnel, Error> {
        self.connect_by(plan, None, None, progress)
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
/// was closed or reset before the target sent anything, the tunnel most likely led nowhere.
///
/// Returns that error as a warning if the local end had sent EOF first, because a session may only
/// send data, and if the proxy has reported a normal end. Returns `None` if the local end sent no
/// data either: browsers open connections in advance, and close those that they do not need.
///
/// # Errors
/// [`Error::NothingReceived`] if the local end had not sent EOF first. Otherwise the session's own
/// error.
pub fn check_ending(peers: &Peers, result: Result<Ending, Error>) -> Result<Option<Error>, Error> {
    match result.map_err(|error| peers.session_error(error))? {
        _ if peers.granted_by.is_none() => Ok(None),
        Ending::Normal | Ending::Silent { after_local: true, has_sent: false } => Ok(None),
        Ending::Silent { after_local: true, has_sent: true } => Ok(Some(peers.nothing_received())),
        Ending::Silent { after_local: false, .. } if peers.reports_ends => Ok(Some(peers.nothing_received())),
        Ending::Silent { after_local: false, .. } => Err(peers.nothing_received()),
    }
}

//! Connects to the target, and owns the secrets needed for that.

use crate::error::Error;
use crate::net::{self, Context, LoginGate, Peers, Progress, TlsCache, Tunnel};
use crate::plan::{Hop, Local, Plan, Tls};
use crate::prompt::{PromptCache, Prompter};
use crate::relay::Ending;
use crate::sys::{Client, DumpGuard};

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
        let has_key = |tls: &Option<Tls>| tls.as_ref().is_some_and(|tls| tls.identity.is_some());
        let is_secret = |hop: &Hop| hop.protocol.login().is_some() || has_key(&hop.tls);
        let has_secret = has_key(&plan.target_tls) || plan.hops().any(is_secret);
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
    /// Returns the errors of [`net::connect`].
    pub fn connect_with_progress(
        &self,
        client: Option<&Client>,
        progress: &dyn Progress,
    ) -> Result<Tunnel, Error> {
        let context =
            Context { client, prompt: &self.prompts, tls: &self.tls, gate: self.gate.as_ref(), progress };
        net::connect(&self.plan, context).inspect_err(|error| {
            if error.is_auth_rejected() {
                self.prompts.clear();
            }
        })
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
pub fn check_ending(peers: &Peers, ending: Ending) -> Result<Option<Error>, Error> {
    match ending {
        _ if peers.granted_by.is_none() => Ok(None),
        Ending::Normal | Ending::Silent { after_local: true, has_sent: false } => Ok(None),
        Ending::Silent { after_local: true, has_sent: true } => Ok(Some(peers.nothing_received())),
        Ending::Silent { after_local: false, .. } => Err(peers.nothing_received()),
    }
}

//! The resources that all sessions of a run share.

use std::fmt;
use std::sync::OnceLock;

use super::login_gate::LoginGate;
use super::memory::Memory;
use super::own_listeners::OwnListeners;
use super::tls::TlsCache;
use super::tunnel_pool::TunnelPool;
use crate::secret::AskPassword;
use crate::sys::DumpGuard;

/// The resources that all sessions of a run share, and connections that a hop opens later.
pub struct Shared {
    /// Supplies passwords that the plan does not contain.
    pub(super) prompt: Box<dyn AskPassword>,
    /// Caches certificates and keys.
    pub(super) tls: TlsCache,
    /// Limits failed logins; `None` for a run with a single session.
    pub(super) gate: Option<LoginGate>,
    /// The login methods that proxies have accepted; `None` if no proxy is used twice.
    pub(super) memory: Option<Memory>,
    /// The tunnels that several sessions use; `None` for a run with a single session.
    pub(super) tunnels: Option<TunnelPool>,
    /// Our own listeners, to which no connection may lead back. Unset if clients cannot cause that.
    pub(super) own: OnceLock<OwnListeners>,
    /// Prevents core dumps while a password may be in memory. Fields are dropped in order, so this
    /// must stay last: the others zero their passwords first.
    dump_guard: Option<DumpGuard>,
}

impl Shared {
    /// Creates the resources for a run with a single session.
    #[must_use]
    pub fn new(prompt: Box<dyn AskPassword>) -> Self {
        let (gate, memory, tunnels, own, dump_guard) = (None, None, None, OnceLock::new(), None);
        Self { prompt, tls: TlsCache::default(), gate, memory, tunnels, own, dump_guard }
    }

    /// Limits failed logins, for a run with many sessions.
    #[must_use]
    pub fn limiting_logins(mut self) -> Self {
        self.gate = Some(LoginGate::default());
        self
    }

    /// Lets sessions share the tunnels that carry many streams.
    #[must_use]
    pub fn sharing_tunnels(mut self) -> Self {
        self.tunnels = Some(TunnelPool::default());
        self
    }

    /// Remembers the login methods that proxies have accepted.
    #[must_use]
    pub fn remembering_logins(mut self) -> Self {
        self.memory = Some(Memory::default());
        self
    }

    /// Prevents core dumps until the last session has dropped these resources.
    #[must_use]
    pub fn without_core_dumps(mut self) -> Self {
        self.dump_guard = Some(DumpGuard::engage());
        self
    }

    /// Sets the listeners to which no connection may lead back. Has an effect only once.
    pub fn set_own_listeners(&self, own: OwnListeners) {
        let _ = self.own.set(own);
    }

    /// Returns our own listeners; `None` if clients cannot name a target.
    #[must_use]
    pub fn own_listeners(&self) -> Option<&OwnListeners> {
        self.own.get()
    }

    /// Forgets the passwords that the user has entered, because a proxy has rejected one of them.
    pub fn forget_passwords(&self) {
        self.prompt.forget();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

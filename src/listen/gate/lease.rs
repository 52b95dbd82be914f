//! The permission of a connection, which lasts until its token becomes invalid.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::token::{Check, Claims, Refusal, Role, Usage, Verified};

/// A function that ends a connection whose token has become invalid.
type OnEnd = Box<dyn FnOnce(Refusal) + Send>;

/// The permission of a connection. Drop it when the connection has ended.
#[derive(Debug)]
pub(crate) struct Lease(Option<Arc<Grant>>);

/// The token of a connection.
pub(super) struct Grant {
    verified: Verified,
    role: Role,
    session: Option<String>,
    end: Mutex<End>,
}

/// The end of a permission.
#[derive(Default)]
enum End {
    /// The token is valid.
    #[default]
    Open,
    /// The token is valid, and this function is to be called when it no longer is.
    Watched(OnEnd),
    /// The token has become invalid.
    Ended(Refusal),
}

impl Lease {
    /// Returns the permission of a connection that needs no token.
    pub(super) fn open() -> Self {
        Self(None)
    }

    pub(super) fn new(verified: Verified, usage: Usage<'_>) -> (Self, Weak<Grant>) {
        let grant = Arc::new(Grant {
            verified,
            role: usage.role,
            session: usage.session.map(str::to_owned),
            end: Mutex::default(),
        });
        let weak = Arc::downgrade(&grant);
        (Self(Some(grant)), weak)
    }

    /// Returns the claims of the token; `None` if the connection needs none.
    pub(crate) fn claims(&self) -> Option<&Claims> {
        self.0.as_ref().map(|grant| &grant.verified.claims)
    }

    /// Returns the identity of the client, which is empty if it has none.
    pub(crate) fn identity(&self) -> &str {
        self.claims().map_or("", Claims::identity)
    }

    /// Returns the reason if the token has become invalid; `None` while the connection may
    /// continue.
    #[cfg(all(test, feature = "relay"))]
    pub(crate) fn ended(&self) -> Option<Refusal> {
        match *self.0.as_ref()?.lock() {
            End::Ended(why) => Some(why),
            End::Open | End::Watched(_) => None,
        }
    }

    /// Sets the function that ends the connection when its token becomes invalid, at once if that
    /// has happened already. It is called on the thread that checks the tokens, so it must not
    /// block.
    pub(crate) fn on_end(&self, end: impl FnOnce(Refusal) + Send + 'static) {
        let Some(grant) = &self.0 else { return };
        let mut state = grant.lock();
        if let End::Ended(why) = *state {
            drop(state);
            return end(why);
        }
        *state = End::Watched(Box::new(end));
    }
}

impl Grant {
    /// Checks the token again, and ends the connection if it has become invalid. Returns `true`
    /// while it is valid.
    pub(super) fn recheck(&self, check: Check<'_>, now: u64) -> bool {
        let usage = Usage { role: self.role, session: self.session.as_deref() };
        match check.recheck(&self.verified, usage, now) {
            Ok(()) => true,
            Err(why) => {
                let before = std::mem::replace(&mut *self.lock(), End::Ended(why));
                if let End::Watched(end) = before {
                    end(why);
                }
                false
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({})", self.verified.claims)
    }
}

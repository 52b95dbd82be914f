//! The way to the target: all that has to be known to go it, passwords among it, as long as it may be gone again.

use crate::error::Error;
use crate::net::{self, Progress, Tunnel};
use crate::plan::Plan;
use crate::prompt::{Remembered, User};
use crate::sys::Undumped;
use crate::trace::trace;

/// A plan, and the user who may be asked for what it does not say.
#[derive(Debug)]
pub struct Way {
    plan: Plan,
    user: Remembered,
    /// While there may be a password in memory. It is the last field: the others are wiped first.
    _undumped: Option<Undumped>,
}

impl Way {
    /// The way of this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let secret = plan.hops().any(|hop| hop.protocol.login().is_some());
        let user = Remembered::new(User::new(plan.askpass.clone()));
        Self { plan, user, _undumped: secret.then(Undumped::from_now_on) }
    }

    /// What is to be done.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes a tunnel to the target.
    ///
    /// # Errors
    /// See [`net::connect`].
    pub fn connect(&self) -> Result<Tunnel, Error> {
        self.connect_telling(&())
    }

    /// Makes a tunnel to the target, and tells how far it has come.
    ///
    /// # Errors
    /// See [`net::connect`].
    pub fn connect_telling(&self, progress: &dyn Progress) -> Result<Tunnel, Error> {
        let tunnel = net::connect(&self.plan, &self.user, progress).inspect_err(|error| {
            if error.is_about_a_wrong_password() {
                self.user.forget();
            }
        })?;
        trace!("connected");
        Ok(tunnel)
    }

    /// Makes the only tunnel there will be, and forgets the way: no password is left in memory.
    ///
    /// # Errors
    /// See [`net::connect`].
    pub fn connect_once(self) -> Result<Tunnel, Error> {
        self.connect()
    }
}

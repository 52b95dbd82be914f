//! A gate between threads: closed until somebody opens it, then open for ever.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Lets a script wait for the test, or the test for a script. Clones are the same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until the gate is open; panics when patience ends.
    #[track_caller]
    pub(crate) fn wait(&self) {
        assert!(self.wait_for(super::TIMEOUT), "nobody opened the gate within {:?}", super::TIMEOUT);
    }

    /// Waits until the gate is open, for `limit` at most; says whether it is.
    pub(crate) fn wait_for(&self, limit: Duration) -> bool {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        *changed.wait_timeout_while(state, limit, |open| !*open).unwrap().0
    }
}

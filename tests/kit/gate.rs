//! A gate between threads: closed at first, and open forever once opened.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A gate that lets a script wait for the test, or the test for a script. Clones share its state.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Returns a closed gate.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until the gate is open. Panics after [`TIMEOUT`](super::TIMEOUT).
    #[track_caller]
    pub(crate) fn wait(&self) {
        assert!(self.wait_for(super::TIMEOUT), "the gate was not opened within {:?}", super::TIMEOUT);
    }

    /// Waits until the gate is open, for at most `limit`. Returns `true` if the gate is open.
    pub(crate) fn wait_for(&self, limit: Duration) -> bool {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        *changed.wait_timeout_while(state, limit, |open| !*open).unwrap().0
    }
}

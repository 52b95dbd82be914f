//! The aborted tunnels of the process.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Limit for the last requests of aborted tunnels when the process ends.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of tunnels that the user of the stream has aborted, and whose server does not know
/// yet.
static ABORTING: Mutex<usize> = Mutex::new(0);
/// The server of an aborted tunnel knows that it is over.
static ABORTED: Condvar = Condvar::new();

/// Waits until the servers of aborted tunnels know that they are over, so that they reset their
/// targets now instead of a minute later. Call this before the process ends.
pub fn wait_for_aborted() {
    let count = ABORTING.lock().unwrap_or_else(PoisonError::into_inner);
    // A failure of the lock is no reason to stay.
    drop(ABORTED.wait_timeout_while(count, ABORT_TIMEOUT, |count| *count > 0));
}

/// Counts a tunnel as aborted until it is dropped.
#[derive(Debug)]
pub(super) struct Aborting;

impl Aborting {
    pub(super) fn new() -> Self {
        *ABORTING.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Aborting {
    fn drop(&mut self) {
        *ABORTING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ABORTED.notify_all();
    }
}

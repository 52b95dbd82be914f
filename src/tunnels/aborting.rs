//! The tunnels of the process when it ends.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Limit for the last messages of aborted tunnels when the process ends.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

static TUNNELS: Mutex<Tunnels> = Mutex::new(Tunnels { all: Vec::new(), aborting: 0 });
/// The other end of an aborted tunnel knows that it is over.
static ABORTED: Condvar = Condvar::new();

struct Tunnels {
    /// The tunnels that have been opened, and are not over yet. Also some that are over.
    all: Vec<Weak<dyn Abort>>,
    /// The number of tunnels that the user of the stream has aborted, and whose other end does
    /// not know yet.
    aborting: usize,
}

/// A tunnel that can be aborted.
pub(super) trait Abort: Send + Sync {
    fn abort(&self);
}

/// Aborts all tunnels, and waits up to a second until their other ends know, so that they reset
/// their targets now instead of a minute later. Call this before the process ends.
pub fn abort_all() {
    let all = std::mem::take(&mut tunnels().all);
    // Without the lock, because aborting a tunnel takes it.
    for tunnel in all.iter().filter_map(Weak::upgrade) {
        tunnel.abort();
    }
    // A failure of the lock is no reason to stay.
    drop(ABORTED.wait_timeout_while(tunnels(), ABORT_TIMEOUT, |tunnels| tunnels.aborting > 0));
}

/// Lets [`abort_all`] abort a tunnel.
pub(super) fn register(tunnel: Weak<dyn Abort>) {
    let mut tunnels = tunnels();
    if tunnels.all.len() == tunnels.all.capacity() {
        tunnels.all.retain(|tunnel| tunnel.strong_count() > 0);
    }
    tunnels.all.push(tunnel);
}

fn tunnels() -> MutexGuard<'static, Tunnels> {
    TUNNELS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a tunnel as aborted until it is dropped.
#[derive(Debug)]
pub(super) struct Aborting;

impl Aborting {
    pub(super) fn new() -> Self {
        tunnels().aborting += 1;
        Self
    }
}

impl Drop for Aborting {
    fn drop(&mut self) {
        tunnels().aborting -= 1;
        ABORTED.notify_all();
    }
}

//! SIGHUP as a request to read files again, for servers.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::SIGHUP;

use super::signals;

/// `true` if SIGHUP is a request to read files again, and does not end the listeners.
static IS_REQUEST: AtomicBool = AtomicBool::new(false);
/// The number of signals so far.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Makes SIGHUP a request to read files again, see [`hangups`], instead of a termination signal. A
/// signal that our parent ignores stays ignored. Call this before
/// [`Termination::watch`](super::Termination::watch).
///
/// # Errors
/// The handler could not be installed.
pub fn reload_on_hangup() -> io::Result<()> {
    if IS_REQUEST.swap(true, Ordering::SeqCst) || signals::is_ignored(SIGHUP) {
        return Ok(());
    }
    let count = || {
        COUNT.fetch_add(1, Ordering::SeqCst);
    };
    // SAFETY: the handler only increments an atomic number, which is async-signal-safe.
    unsafe { signal_hook::low_level::register(SIGHUP, count) }?;
    Ok(())
}

/// Returns the number of requests to read files again.
#[must_use]
pub fn hangups() -> usize {
    COUNT.load(Ordering::SeqCst)
}

/// Returns `true` if SIGHUP ends the listeners.
pub(super) fn is_termination() -> bool {
    !IS_REQUEST.load(Ordering::SeqCst)
}

//! The actions and the mask of signals.

use std::{mem, ptr};

/// Returns the action of a signal.
pub(super) fn action(signal: libc::c_int) -> libc::sigaction {
    // SAFETY: sigaction is plain data, for which the all-zero bit pattern is valid: the default
    // action.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: the pointer is valid for a sigaction. Without a new action, nothing changes. If the
    // call fails, `action` remains the default action.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action
}

/// Returns `true` if a signal is ignored. We ignore only SIGPIPE, so our parent does.
pub(super) fn is_ignored(signal: libc::c_int) -> bool {
    action(signal).sa_sigaction == libc::SIG_IGN
}

/// Unblocks signals in this thread, and in the threads that it starts from now on.
pub(super) fn unblock(signals: &[libc::c_int]) {
    // SAFETY: sigset_t is plain data, which sigemptyset initializes. Both pointers are valid.
    // sigaddset rejects an invalid signal. An old mask is not requested.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

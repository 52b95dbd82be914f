//! Termination signals (SIGTERM and SIGINT) for listeners, as readable events.
//!
//! A signal that our parent ignores stays ignored, as `nohup` and the `&` of a script require. A
//! signal that it blocks is unblocked, because a parent that forgot to do so would leave a listener
//! that nothing but SIGKILL can stop.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// A descriptor that becomes readable when SIGTERM or SIGINT arrives, unless the signal was ignored
/// at program start. The signals do not end the process until
/// [`exit_on_signal`](Self::exit_on_signal) is called.
#[derive(Debug)]
pub struct Termination {
    reader: UnixStream,
    exits_immediately: Arc<AtomicBool>,
}

impl Termination {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// No descriptors are left, or a handler could not be installed.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let exits_immediately = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            if is_ignored(signal) {
                continue;
            }
            signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&exits_immediately))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
            unblock(signal);
        }
        Ok(Self { reader, exits_immediately })
    }

    /// Lets later signals end the process immediately, with exit code 0. An earlier signal still
    /// makes the descriptor readable.
    pub fn exit_on_signal(&self) {
        self.exits_immediately.store(true, Ordering::SeqCst);
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Returns `true` if a signal is ignored. We ignore only SIGPIPE, so our parent does.
pub(super) fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: sigaction is plain data, for which the all-zero bit pattern is valid.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: the pointer is valid for a sigaction. Without a new action, nothing changes.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action.sa_sigaction == libc::SIG_IGN
}

/// Unblocks a signal in this thread, and in the threads that it starts from now on.
fn unblock(signal: libc::c_int) {
    // SAFETY: sigset_t is plain data, which sigemptyset initializes. Both pointers are valid, and
    // the set contains one valid signal. An old mask is not requested.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

//! Termination signals (SIGTERM and SIGINT) for listeners, as readable events.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// A descriptor that becomes readable when SIGTERM or SIGINT arrives. The signals do not end the
/// process until [`exit_on_signal`](Self::exit_on_signal) is called.
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
            signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&exits_immediately))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
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

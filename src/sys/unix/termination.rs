//! Termination signals (SIGTERM, SIGINT and usually SIGHUP) for listeners, as readable events.
//!
//! A signal that our parent ignores stays ignored, as `nohup` and the `&` of a script require.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{hangup, signals};

/// A descriptor that becomes readable when a termination signal arrives, unless the signal was
/// ignored at program start.
#[derive(Debug)]
pub struct Termination {
    reader: UnixStream,
    /// Keeps the descriptor from becoming readable if all signals are ignored.
    _writer: UnixStream,
    are_fatal: Arc<AtomicBool>,
}

impl Termination {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// No descriptors are left, or a handler could not be installed.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let are_fatal = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            if signals::is_ignored(signal) || signal == SIGHUP && !hangup::is_termination() {
                continue;
            }
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&are_fatal))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self { reader, _writer: writer, are_fatal })
    }

    /// Sets whether a later signal kills the process at once instead of making the descriptor
    /// readable. An earlier signal still makes it readable.
    pub fn set_fatal(&self, fatal: bool) {
        self.are_fatal.store(fatal, Ordering::SeqCst);
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

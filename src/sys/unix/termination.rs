//! The wish of the user that a listener end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Becomes readable when SIGTERM or SIGINT comes, which from then on do not end the process by themselves.
#[derive(Debug)]
pub struct Termination {
    reader: UnixStream,
    at_once: Arc<AtomicBool>,
}

impl Termination {
    /// Watches for the signals.
    ///
    /// # Errors
    /// No descriptors, or a signal cannot be caught.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let at_once = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&at_once))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self { reader, at_once })
    }

    /// From now on the signals end the process at once, with success. One that came before is still to be seen.
    pub fn exit_on_signal(&self) {
        self.at_once.store(true, Ordering::SeqCst);
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

//! The wish of the user that a listener end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};

/// Becomes readable when SIGTERM or SIGINT comes, which from then on do not end the process by themselves.
#[derive(Debug)]
pub struct Termination(UnixStream);

impl Termination {
    /// Watches for the signals.
    ///
    /// # Errors
    /// No descriptors, or a signal cannot be caught.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self(reader))
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! Signals as events, for a session that passes them on.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

use super::signals;

/// A signal that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A signal that ends programs, named without `SIG`.
    Termination(&'static str),
    /// The size of the terminal has changed.
    WindowChange,
}

/// The signals that become events, and the byte that represents each on the socket.
const EVENTS: [(libc::c_int, u8, Signal); 4] = [
    (SIGHUP, b'H', Signal::Termination("HUP")),
    (SIGINT, b'I', Signal::Termination("INT")),
    (SIGTERM, b'T', Signal::Termination("TERM")),
    (SIGWINCH, b'W', Signal::WindowChange),
];

/// A descriptor that becomes readable when a signal arrives.
#[derive(Debug)]
pub struct Signals {
    reader: UnixStream,
}

impl Signals {
    /// Watches window changes and the signals that end programs, except those that the parent
    /// process ignores.
    ///
    /// # Errors
    /// No descriptors are left, or a handler could not be installed.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        for (number, byte, signal) in EVENTS {
            if signal != Signal::WindowChange && signals::is_ignored(number) {
                continue;
            }
            let writer = writer.try_clone()?;
            let report = move || {
                // SAFETY: write is async-signal-safe, the descriptor is open as long as this
                // closure exists, and the buffer has one byte. A full socket loses nothing that
                // matters: it holds hundreds of signals.
                unsafe { libc::write(writer.as_raw_fd(), (&raw const byte).cast(), 1) };
            };
            // SAFETY: the action only calls write, which is async-signal-safe.
            unsafe { signal_hook::low_level::register(number, report) }?;
        }
        Ok(Self { reader })
    }

    /// Returns the next signal that has arrived.
    #[must_use]
    pub fn next(&self) -> Option<Signal> {
        let mut byte = [0];
        let count = (&self.reader).read(&mut byte).ok().filter(|count| *count == 1);
        count.and_then(|_| EVENTS.iter().find(|(_, known, _)| *known == byte[0])).map(|(.., signal)| *signal)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

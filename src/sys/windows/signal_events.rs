//! Signals as events, which do not exist on Windows.

use std::io;
use std::net::TcpStream;
use std::os::windows::io::{AsSocket, BorrowedSocket};

use super::socketpair::socket_pair;

/// A signal that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A signal that ends programs, named without `SIG`.
    Termination(&'static str),
    /// The size of the terminal has changed.
    WindowChange,
}

/// A socket that never becomes readable: Ctrl-C always ends the process at once.
#[derive(Debug)]
pub struct Signals {
    reader: TcpStream,
    /// Open, because EOF would make `reader` readable.
    _writer: TcpStream,
}

impl Signals {
    /// Creates the socket.
    ///
    /// # Errors
    /// A socket could not be created.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = socket_pair()?;
        Ok(Self { reader, _writer: writer })
    }

    /// Returns `None`.
    #[must_use]
    pub fn next(&self) -> Option<Signal> {
        None
    }
}

impl AsSocket for Signals {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.reader.as_socket()
    }
}

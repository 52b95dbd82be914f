//! Termination of listeners, which needs no handling on Windows.

use std::io;
use std::net::TcpStream;
use std::os::windows::io::{AsSocket, BorrowedSocket};

use super::socketpair::socket_pair;

/// A socket that never becomes readable: Ctrl-C and Task Manager always end the process at once.
#[derive(Debug)]
pub struct Termination {
    reader: TcpStream,
    _writer: TcpStream,
}

impl Termination {
    /// Creates the socket.
    ///
    /// # Errors
    /// A socket could not be created.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = socket_pair()?;
        Ok(Self { reader, _writer: writer })
    }

    /// Does nothing: Ctrl-C always ends the process at once on Windows.
    pub fn set_fatal(&self, _: bool) {}
}

impl AsSocket for Termination {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.reader.as_socket()
    }
}

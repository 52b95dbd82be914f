//! The wish of the user that a listener end.

use std::io;
use std::net::TcpStream;
use std::os::windows::io::{AsSocket, BorrowedSocket};

use super::socketpair::streams;

/// Never becomes readable: Ctrl-C and the task manager end the process, which leaves nothing behind.
#[derive(Debug)]
pub struct Termination {
    reader: TcpStream,
    _writer: TcpStream,
}

impl Termination {
    /// Makes the socket that stays silent.
    ///
    /// # Errors
    /// No sockets.
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = streams()?;
        Ok(Self { reader, _writer: writer })
    }

    /// They do so in any case.
    pub fn exit_on_signal(&self) {}
}

impl AsSocket for Termination {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.reader.as_socket()
    }
}

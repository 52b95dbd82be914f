//! A connection to the hub that it has joined with one of the other end.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::codecs::websocket::{Closed, ClosingCode};
use crate::error::os_message;
use crate::proto::websocket::CloseCode;
use crate::stream::{Stream, close, read_within};
use crate::sys;

/// A pipe: a stream over a WebSocket, and the code of the Close that will end it.
#[derive(Debug)]
pub struct Pipe {
    pub(super) stream: Box<dyn Stream>,
    pub(super) closing_code: ClosingCode,
    /// The peer accepts no more bytes. The reason may still arrive.
    pub(super) refuses_writes: bool,
}

/// The end of a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipeEnd {
    /// A normal Close. Only the link knows whether it was expected.
    Normal,
    /// Another Close, with its code and reason.
    Closed(CloseCode, String),
    /// The pipe was cut off, for this reason.
    CutOff(String),
    /// A frame of the WebSocket or an encrypted message is malformed or was changed.
    Malformed(String),
}

impl Pipe {
    /// Creates a pipe. `closing_code` belongs to the WebSocket of the stream.
    #[must_use]
    pub fn new(stream: Box<dyn Stream>, closing_code: ClosingCode) -> Self {
        Self { stream, closing_code, refuses_writes: false }
    }

    /// Waits for bytes and reads them. Returns `None` if none arrive within `timeout`.
    ///
    /// # Errors
    /// The pipe has ended.
    pub fn read_within(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>, PipeEnd> {
        match read_within(&mut *self.stream, buffer, timeout) {
            Ok(None) => Ok(None),
            result => {
                let result = result.map(Option::unwrap_or_default);
                PipeEnd::from_result(&result).map_or_else(|| Ok(result.ok()), Err)
            }
        }
    }

    /// Sends the last frame of a pipe that breaks the rules of the link, and closes the pipe.
    pub fn reject(mut self, frame: &[u8]) {
        // A pipe that does not accept the frame is closed without it.
        let _ = self.stream.write(frame);
        self.close(CloseCode::PROTOCOL_ERROR);
    }

    /// Closes the pipe with this code, after all bytes that it holds. Blocks until the peer has
    /// accepted them.
    pub fn close(self, code: CloseCode) {
        self.closing_code.set(code);
        close(self.stream);
    }
}

impl fmt::Display for PipeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("closed too early"),
            Self::Closed(code, reason) if reason.is_empty() => write!(f, "closed with code {code}"),
            Self::Closed(code, reason) => write!(f, "closed with code {code}: {reason}"),
            Self::CutOff(why) | Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl PipeEnd {
    /// Returns the end that a read or write has reported; `None` if it has to be repeated.
    #[must_use]
    pub fn from_result(result: &io::Result<usize>) -> Option<Self> {
        match result {
            Ok(0) => Some(Self::Normal),
            Ok(_) => None,
            Err(error) => Self::from_error(error),
        }
    }

    /// Returns the end that an error means; `None` for a transient error.
    pub(super) fn from_error(error: &io::Error) -> Option<Self> {
        if sys::is_transient(error) {
            return None;
        }
        if let Some(closed) = error.get_ref().and_then(|inner| inner.downcast_ref::<Closed>()) {
            return Some(Self::Closed(closed.code, closed.reason.clone()));
        }
        Some(match error.kind() {
            // The encrypted stream has no end of its own, so that the one below it counts.
            io::ErrorKind::UnexpectedEof => Self::Normal,
            io::ErrorKind::InvalidData => Self::Malformed(error.to_string()),
            _ => Self::CutOff(os_message(error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_mean_different_ends() {
        let end = |error: io::Error| PipeEnd::from_result(&Err(error));
        let closed = Closed { code: CloseCode::TOKEN_EXPIRED, reason: "expired".into() };
        for (error, expected) in [
            (io::ErrorKind::WouldBlock.into(), None),
            (io::ErrorKind::UnexpectedEof.into(), Some(PipeEnd::Normal)),
            (
                io::Error::new(io::ErrorKind::InvalidData, "changed"),
                Some(PipeEnd::Malformed("changed".into())),
            ),
            (
                io::Error::new(io::ErrorKind::PermissionDenied, closed),
                Some(PipeEnd::Closed(CloseCode::TOKEN_EXPIRED, "expired".into())),
            ),
            (
                io::Error::new(io::ErrorKind::ConnectionAborted, "no Close"),
                Some(PipeEnd::CutOff("no Close".into())),
            ),
        ] {
            assert_eq!(end(error), expected);
        }
        assert_eq!(PipeEnd::from_result(&Ok(0)), Some(PipeEnd::Normal));
        assert_eq!(PipeEnd::from_result(&Ok(1)), None);
    }
}

//! The outcome of a session.

use std::io;

use super::local_end::LocalEnd;
use crate::error::Error;
use crate::stream::Stream;

/// The result of a session that has ended, and its two ends.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<Ending, Error>,
    pub(super) local: LocalEnd,
    pub(super) remote: Box<dyn Stream>,
    /// Data from the remote that the client did not receive.
    pub(super) pending: Vec<u8>,
    /// The remote sent EOF and did not fail.
    pub(super) remote_ended: bool,
    /// The remote has sent data.
    pub(super) has_received: bool,
}

/// The end of a session without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The remote sent data, or the local end closed the session.
    Normal,
    /// The remote sent EOF without any data.
    Silent {
        /// The local end sent EOF first.
        after_local: bool,
        /// The local end sent data.
        has_sent: bool,
    },
}

/// Returns the error for data that could not be delivered: the reader is gone, or the output
/// failed.
pub(super) fn output_error(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::ReaderGone,
        _ => Error::Output(cause),
    }
}

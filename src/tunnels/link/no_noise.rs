//! Replaces `secure` in a build without encryption: no setting can have a key.

use super::pipe::{Pipe, PipeEnd};
use crate::secret::SharedKey;

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Dest,
    /// The server.
    Origin,
}

/// The reason why a pipe is not encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insecure {
    /// The two ends do not have the same key.
    Key,
    /// The pipe has ended.
    Ended(PipeEnd),
}

/// Returns the pipe as it is, unless there is a key.
///
/// # Errors
/// There is a key.
pub fn secure(pipe: Pipe, key: Option<&SharedKey>, _: &str, _: Side) -> Result<Pipe, Insecure> {
    if key.is_some() { Err(Insecure::Key) } else { Ok(pipe) }
}

//! The failures of work at a server.

use std::io;

use crate::codecs::ssh::Broken;
use crate::error::{Error, Peer};
use crate::proto;
use crate::proto::ssh::{Failure as SshFailure, Stage};
use crate::ssh::error::Error as SshError;
use crate::ssh::liveness::MAX_UNANSWERED;

/// The failure of work at a server.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection to the server failed.
    Connection(SshError),
    /// The stream below failed.
    Stream(io::Error),
    /// The server has not answered several requests in a row.
    Silent,
    /// Another failure, with its message.
    Other(Box<Error>),
    /// Waiting failed, or memory is short.
    System(io::Error),
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        Self::Connection(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// The stage of the work, for messages about a lost connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The server has not started what was requested.
    Starting,
    /// A program runs, and its exit status is awaited.
    Running,
    /// Forwards and copies.
    Working,
}

impl Failure {
    /// Returns the error for the user.
    pub(super) fn into_error(self, server: &Peer, progress: Progress) -> Error {
        let lost = |cause| Error::Remote { peer: server.clone(), cause, unanswered: false };
        match self {
            Self::Other(error) => *error,
            Self::System(cause) => Error::System { what: "relay the session", cause },
            Self::Connection(cause) if is_refusal(&cause) || progress == Progress::Starting => {
                refused(server, cause, "")
            }
            Self::Connection(SshError::Closed) | Self::Stream(_) | Self::Silent
                if progress == Progress::Running =>
            {
                Error::NoExitStatus { peer: server.clone() }
            }
            Self::Connection(cause) => {
                let server = server.to_string().into();
                lost(io::Error::other(Broken::new(server, cause)))
            }
            Self::Stream(cause) => lost(cause),
            Self::Silent => {
                lost(io::Error::other(format!("no answer to {MAX_UNANSWERED} keepalive requests")))
            }
        }
    }
}

fn is_refusal(cause: &SshError) -> bool {
    matches!(cause, SshError::RequestRefused(_) | SshError::ChannelRefused { .. })
}

/// Returns the error for a channel that the server did not open. `target` is the end of the channel
/// for messages.
pub(super) fn refused(server: &Peer, cause: SshError, target: &str) -> Error {
    let failure = SshFailure {
        cause,
        stage: Stage::Channel,
        user: "".into(),
        target: target.into(),
        unusable: Vec::new(),
    };
    Error::Negotiation { peer: server.clone(), cause: proto::Error::Ssh(Box::new(failure)) }
}

//! Errors from name lookups, by the system or by a name server.

use std::net::SocketAddr;
use std::time::Duration;

use super::deadline::Deadline;
use super::waiting::WaitError;
use crate::error::{Error, Peer, os_message};

/// The reason why a lookup returned no address.
#[derive(Clone, Debug)]
pub(super) enum ResolveError {
    /// The deadline passed before the system's resolver answered.
    TimedOut,
    /// The client that the name was looked up for has disconnected.
    ClientGone,
    /// This name server did not answer within this limit.
    #[cfg_attr(not(feature = "dns"), expect(dead_code, reason = "only the DNS client creates it"))]
    NameServerTimedOut { server: SocketAddr, limit: Duration },
    /// The lookup failed for this reason.
    Failed(String),
}

impl ResolveError {
    pub(super) fn failed(cause: &str) -> Self {
        Self::Failed(cause.to_owned())
    }

    /// Returns the cause, to be shown after a colon.
    pub(super) fn cause(&self) -> &str {
        match self {
            Self::TimedOut | Self::NameServerTimedOut { .. } => "timed out",
            Self::ClientGone => "the client disconnected",
            Self::Failed(cause) => cause,
        }
    }

    /// Converts this error into the one that is reported to the user. `explicit` is `true` if the
    /// user asked to resolve the name on this machine.
    pub(super) fn into_error(self, peer: Peer, deadline: &Deadline<'_>, explicit: bool) -> Error {
        match self {
            Self::TimedOut => {
                Error::TimedOut { peer, doing: "could not be resolved".into(), limit: deadline.limit() }
            }
            Self::NameServerTimedOut { server, limit } => {
                Error::TimedOut { peer, doing: format!("was not resolved by name server {server}"), limit }
            }
            Self::ClientGone => Error::ClientGone,
            Self::Failed(cause) => Error::Resolve { peer, cause, explicit },
        }
    }
}

impl From<WaitError> for ResolveError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut,
            WaitError::ClientGone => Self::ClientGone,
            WaitError::Io(cause) => Self::Failed(os_message(&cause)),
        }
    }
}

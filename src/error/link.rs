//! The errors of links: their messages and advice.

use std::io;

use super::{Error, Peer};
use crate::proto;
use crate::proto::link::{Cause, Failure};
use crate::proto::post::ResetCode;

impl Error {
    /// Returns the error for a connection that was lost after it was established. The failure of a
    /// link has a message of its own.
    #[must_use]
    pub fn remote(peer: Peer, cause: io::Error, unanswered: bool) -> Self {
        match cause.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
            Some(failure) => Self::Negotiation { peer, cause: proto::Error::Link(Box::new(failure.clone())) },
            None => Self::Remote { peer, cause, unanswered },
        }
    }
}

pub(super) fn hint(failure: &Failure) -> Option<&'static str> {
    Some(match &failure.cause {
        Cause::Absent => "start connect --origin, or check the name of the session",
        Cause::Unreachable(_) => "check the target that the origin was started with",
        Cause::Reset(reset) if reset.code == ResetCode::Unreachable => {
            "check the target that the origin was started with"
        }
        Cause::NoAnswer => "check the host of the origin and its network",
        Cause::Token(_) => "get a new one",
        Cause::Key => "check --key-file",
        Cause::Refused(502..=504, _) => "check that the hub runs behind the web server",
        _ => return None,
    })
}

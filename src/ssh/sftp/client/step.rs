//! The parts that all jobs share: the conditions for requests, the events, and the replies.

use std::collections::VecDeque;
use std::ops::Range;

use super::event::{Event, JobId};
use super::session::Features;
use crate::ssh::sftp::wire::{Attributes, MAX_HANDLE, Reply, Status, StatusCode};
use crate::ssh::sftp::{Error, Failure};

/// The conditions under which a job may send requests.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) features: Features,
    /// The server's limits are known.
    pub(super) may_read: bool,
    /// Few data are kept until those before them arrive.
    pub(super) may_read_ahead: bool,
    /// Another job can be queued for each entry of a listing.
    pub(super) may_list: bool,
}

/// An event that the caller has not yet taken.
#[derive(Debug)]
pub(super) enum Outcome {
    Event(Event<'static>),
    /// Data of a file, at this place among the received bytes.
    Received(JobId, Range<usize>),
    /// Data of a file that arrived too early.
    Kept(JobId, Vec<u8>),
}

impl Outcome {
    pub(super) fn failed(id: JobId, failure: Failure) -> Self {
        Self::Event(Event::Failed(id, failure))
    }
}

/// The events that the caller has not yet taken, in order.
pub(super) type Outcomes = VecDeque<Outcome>;

/// Returns the status in a reply.
pub(super) fn status(reply: &Reply) -> Result<Status, Error> {
    match reply {
        Reply::Status(status) => Ok(status.clone()),
        _ => Err(Error::Unexpected(reply.kind())),
    }
}

/// Returns the status in a reply to a request that returns something else if it succeeds.
fn refusal(reply: &Reply) -> Result<Status, Error> {
    let status = status(reply)?;
    if status.code == StatusCode::OK { Err(Error::Unexpected(reply.kind())) } else { Ok(status) }
}

/// Returns the outcome of a request that returns nothing.
pub(super) fn outcome(reply: &Reply) -> Result<Result<(), Status>, Error> {
    let status = status(reply)?;
    Ok(if status.code == StatusCode::OK { Ok(()) } else { Err(status) })
}

/// Returns the handle in a reply.
pub(super) fn handle(reply: &Reply) -> Result<Result<Vec<u8>, Status>, Error> {
    match reply {
        Reply::Handle(handle) if handle.len() > MAX_HANDLE => Err(Error::Malformed(reply.kind())),
        Reply::Handle(handle) => Ok(Ok(handle.to_vec())),
        _ => refusal(reply).map(Err),
    }
}

/// Returns the attributes in a reply.
pub(super) fn attributes(reply: &Reply) -> Result<Result<Attributes, Status>, Error> {
    match reply {
        Reply::Attributes(attributes) => Ok(Ok(*attributes)),
        _ => refusal(reply).map(Err),
    }
}

/// Returns the only name in a reply.
pub(super) fn one_name(reply: &Reply) -> Result<Result<Vec<u8>, Status>, Error> {
    match reply {
        Reply::Names(names) => match names.as_slice() {
            [name] => Ok(Ok(name.name.clone())),
            _ => Err(Error::Malformed(reply.kind())),
        },
        _ => refusal(reply).map(Err),
    }
}

/// Returns the path to send: an empty one means the login directory.
pub(super) fn or_login_directory(path: &[u8]) -> Vec<u8> {
    if path.is_empty() { b".".to_vec() } else { path.to_vec() }
}

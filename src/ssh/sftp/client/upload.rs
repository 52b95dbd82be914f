//! Uploads a file: writes a partial file, and renames it once it is complete.

use super::event::{Event, JobId, MAX_REQUESTS, Put, Tag};
use super::session::Features;
use super::step::{Context, Outcome, Outcomes, handle, outcome};
use crate::ssh::sftp::names::partial;
use crate::ssh::sftp::wire::{Attributes, Open, Reply, Request, Status, StatusCode};
use crate::ssh::sftp::{Error, Failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The partial file exists: remove it.
    RemoveStale,
    /// Open the partial file after that.
    Reopen,
    /// The caller provides data.
    Data,
    Sync,
    SetAttributes,
    Close,
    /// Wait for all replies.
    Settle,
    Rename,
    /// Without posix-rename, the server does not replace a file: remove the old one.
    RemoveTarget,
    RenameAgain,
    /// Remove the partial file after a failure.
    RemovePartial,
    Over,
}

#[derive(Debug)]
pub(super) struct Upload {
    file: Put,
    partial: Vec<u8>,
    handle: Vec<u8>,
    stage: Stage,
    offset: u64,
    /// The number of requests that wait for a reply.
    in_flight: usize,
    /// The server supports posix-rename.
    replaces_by_rename: bool,
    failure: Option<Failure>,
}

impl Upload {
    pub(super) fn new(file: Put) -> Self {
        let partial = if file.is_in_place { file.path.clone() } else { partial(&file.path) };
        let (stage, handle) = (Stage::Open, Vec::new());
        Self {
            file,
            partial,
            handle,
            stage,
            offset: 0,
            in_flight: 0,
            replaces_by_rename: false,
            failure: None,
        }
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.file.path
    }

    pub(super) fn parent(&self) -> Option<JobId> {
        self.file.parent
    }

    pub(super) fn wants_data(&self) -> bool {
        self.stage == Stage::Data
    }

    /// Returns the request that writes the next bytes.
    pub(super) fn write<'a>(&'a mut self, data: &'a [u8]) -> Option<(Tag, Request<'a>)> {
        if !self.wants_data() {
            return None;
        }
        let offset = self.offset;
        self.offset = offset.saturating_add(data.len() as u64);
        self.in_flight += 1;
        Some((Tag::Write, Request::Write { handle: &self.handle, offset, data }))
    }

    /// Marks the end of the data.
    pub(super) fn end(&mut self) {
        if self.wants_data() {
            self.stage = Stage::Sync;
        }
    }

    /// Ends the upload with a failure, unless all data are there already.
    pub(super) fn abort(&mut self) {
        if matches!(self.stage, Stage::Open | Stage::RemoveStale | Stage::Reopen | Stage::Data) {
            self.fail(Failure::Aborted);
        }
    }

    pub(super) fn poll(&mut self, context: &Context) -> Option<(Tag, Request<'_>)> {
        self.skip_stages(&context.features);
        let stage = self.stage;
        // The server processes the requests for one file in order (§6.1 of the draft).
        let pipelined = match stage {
            Stage::Sync => Some(Stage::SetAttributes),
            Stage::SetAttributes => Some(Stage::Close),
            Stage::Close => Some(Stage::Settle),
            Stage::Data | Stage::Settle | Stage::Over => return None,
            _ => None,
        };
        if pipelined.is_none() && self.in_flight > 0 {
            return None;
        }
        self.stage = pipelined.unwrap_or(stage);
        self.in_flight += 1;
        self.replaces_by_rename = context.features.posix_rename;
        self.request(stage)
    }

    /// Skips the stages that do nothing.
    fn skip_stages(&mut self, features: &Features) {
        let can_sync = self.file.sync && features.fsync && !self.file.is_in_place && self.failure.is_none();
        if self.stage == Stage::Sync && !can_sync {
            self.stage = Stage::SetAttributes;
        }
        let has_attributes = self.file.times.is_some() && self.failure.is_none();
        if self.stage == Stage::SetAttributes && !has_attributes {
            self.stage = Stage::Close;
        }
    }

    fn request(&self, stage: Stage) -> Option<(Tag, Request<'_>)> {
        let (handle, path, partial) = (&self.handle, self.path(), &self.partial);
        Some(match stage {
            Stage::Open | Stage::Reopen => (Tag::Open, self.open_request()),
            Stage::RemoveStale | Stage::RemovePartial => (Tag::Remove, Request::Remove { path: partial }),
            Stage::RemoveTarget => (Tag::Remove, Request::Remove { path }),
            Stage::Sync => (Tag::Sync, Request::Fsync { handle }),
            Stage::SetAttributes => {
                (Tag::SetAttributes, Request::Fsetstat { handle, attributes: self.attributes() })
            }
            Stage::Close => (Tag::Close, Request::Close { handle }),
            Stage::Rename if self.replaces_by_rename => {
                (Tag::Rename, Request::PosixRename { from: partial, to: path })
            }
            Stage::Rename | Stage::RenameAgain => (Tag::Rename, Request::Rename { from: partial, to: path }),
            Stage::Data | Stage::Settle | Stage::Over => return None,
        })
    }

    /// Opens a partial file only if it is new, so that a symbolic link of another user does not
    /// redirect it.
    fn open_request(&self) -> Request<'_> {
        let last = if self.file.is_in_place { Open::TRUNCATE } else { Open::EXCLUSIVE };
        let attributes = Attributes { mode: Some(self.file.mode & 0o7777), ..Attributes::default() };
        Request::Open { path: &self.partial, flags: Open(Open::WRITE | Open::CREATE | last), attributes }
    }

    fn attributes(&self) -> Attributes {
        let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
        Attributes {
            mode: Some(self.file.mode & 0o7777),
            times: self.file.times.map(|(access, modification)| (seconds(access), seconds(modification))),
            ..Attributes::default()
        }
    }

    pub(super) fn receive(
        &mut self,
        id: JobId,
        tag: Tag,
        reply: &Reply,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        self.in_flight = self.in_flight.saturating_sub(1);
        if tag == Tag::Open {
            self.opened(handle(reply)?);
        } else {
            self.finished(outcome(reply)?);
        }
        if self.stage == Stage::Settle && self.in_flight == 0 {
            self.settle();
        }
        if self.is_over() {
            let event = match self.failure.take() {
                Some(failure) => Event::Failed(id, failure),
                None => Event::Done(id),
            };
            outcomes.push_back(Outcome::Event(event));
        }
        Ok(())
    }

    fn opened(&mut self, reply: Result<Vec<u8>, Status>) {
        match reply {
            Ok(handle) => {
                self.handle = handle;
                self.stage = if self.failure.is_some() { Stage::Close } else { Stage::Data };
            }
            Err(status) if self.may_be_stale(&status) => self.stage = Stage::RemoveStale,
            Err(status) => {
                self.failure.get_or_insert(Failure::Status(status));
                self.stage = Stage::Over;
            }
        }
    }

    /// Returns `true` if opening may have failed because a partial file was left behind. Version 3
    /// has no code for that.
    fn may_be_stale(&self, status: &Status) -> bool {
        let is_first = self.stage == Stage::Open && !self.file.is_in_place && self.failure.is_none();
        is_first && is_vague(status)
    }

    /// Processes the outcome of a request that returns nothing.
    fn finished(&mut self, reply: Result<(), Status>) {
        match (self.stage, reply) {
            // Opening again reports the reason.
            (Stage::RemoveStale, _) => self.stage = Stage::Reopen,
            (Stage::RemoveTarget, Ok(())) => {
                self.failure = None;
                self.stage = Stage::RenameAgain;
            }
            // The partial file is now the only copy.
            (Stage::RenameAgain, Err(status)) => {
                self.failure = Some(Failure::Status(status));
                self.stage = Stage::Over;
            }
            (Stage::Rename | Stage::RenameAgain, Ok(())) | (Stage::RemovePartial, _) => {
                self.stage = Stage::Over;
            }
            (Stage::Rename, Err(status)) if !self.replaces_by_rename && is_vague(&status) => {
                self.failure = Some(Failure::Status(status));
                self.stage = Stage::RemoveTarget;
            }
            (_, Err(status)) => self.fail(Failure::Status(status)),
            (_, Ok(())) => {}
        }
    }

    /// Continues after the file is closed.
    fn settle(&mut self) {
        self.stage = match (&self.failure, self.file.is_in_place) {
            (_, true) => Stage::Over,
            (None, false) => Stage::Rename,
            (Some(_), false) => Stage::RemovePartial,
        };
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.stage = match self.stage {
            Stage::Data | Stage::Sync | Stage::SetAttributes => Stage::Close,
            Stage::Rename | Stage::RemoveTarget => Stage::RemovePartial,
            stage => stage,
        };
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn remaining_requests(&self, features: &Features) -> usize {
        if !matches!(self.stage, Stage::Open | Stage::RemoveStale | Stage::Reopen | Stage::Data) {
            return 0;
        }
        let Some(size) = self.file.size else { return MAX_REQUESTS };
        let left = size.saturating_sub(self.offset);
        usize::try_from(left.div_ceil(u64::from(features.max_write))).unwrap_or(usize::MAX).max(1)
    }
}

/// Returns `true` for the codes with which servers report that a file exists.
fn is_vague(status: &Status) -> bool {
    matches!(status.code, StatusCode::FAILURE | StatusCode(11))
}

//! Lists a directory.

use super::event::{Event, JobId, Tag};
use super::step::{Context, Outcome, Outcomes, handle, or_login_directory, status};
use crate::ssh::sftp::names::is_safe_name;
use crate::ssh::sftp::wire::{Name, Reply, Request, StatusCode};
use crate::ssh::sftp::{Error, Failure};

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Opening,
    /// The directory was aborted while it was being opened.
    Cancelled,
    Read,
    Reading,
    Close,
    Over,
}

#[derive(Debug)]
pub(super) struct Listing {
    path: Vec<u8>,
    handle: Vec<u8>,
    stage: Stage,
}

impl Listing {
    pub(super) fn new(path: &[u8]) -> Self {
        Self { path: or_login_directory(path), handle: Vec::new(), stage: Stage::Open }
    }

    pub(super) fn poll(&mut self, context: &Context) -> Option<(Tag, Request<'_>)> {
        let handle = self.handle.as_slice();
        match self.stage {
            Stage::Open => {
                self.stage = Stage::Opening;
                Some((Tag::Open, Request::Opendir { path: &self.path }))
            }
            Stage::Read if context.may_list => {
                self.stage = Stage::Reading;
                Some((Tag::ReadDirectory, Request::Readdir { handle }))
            }
            Stage::Close => {
                self.stage = Stage::Over;
                Some((Tag::Close, Request::Close { handle }))
            }
            _ => None,
        }
    }

    pub(super) fn receive(
        &mut self,
        id: JobId,
        tag: Tag,
        reply: Reply,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        match tag {
            Tag::Open => self.opened(id, &reply, outcomes),
            Tag::ReadDirectory if self.stage == Stage::Reading => self.read(id, reply, outcomes),
            _ => Ok(()),
        }
    }

    fn opened(&mut self, id: JobId, reply: &Reply, outcomes: &mut Outcomes) -> Result<(), Error> {
        let is_cancelled = self.stage == Stage::Cancelled;
        match handle(reply)? {
            Ok(handle) => {
                self.handle = handle;
                self.stage = if is_cancelled { Stage::Close } else { Stage::Read };
            }
            Err(status) => {
                self.stage = Stage::Over;
                if !is_cancelled {
                    outcomes.push_back(Outcome::failed(id, Failure::Status(status)));
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, id: JobId, reply: Reply, outcomes: &mut Outcomes) -> Result<(), Error> {
        self.stage = Stage::Read;
        if let Reply::Names(names) = reply {
            self.report(id, names, outcomes);
            return Ok(());
        }
        let status = status(&reply)?;
        match status.code {
            StatusCode::OK => return Err(Error::Unexpected(reply.kind())),
            StatusCode::EOF => {
                self.stage = Stage::Close;
                outcomes.push_back(Outcome::Event(Event::Done(id)));
            }
            _ => self.fail(id, Failure::Status(status), outcomes),
        }
        Ok(())
    }

    /// Reports the entries. Every directory lists itself and its parent.
    fn report(&mut self, id: JobId, names: Vec<Name>, outcomes: &mut Outcomes) {
        for Name { name, attributes, .. } in names {
            if name == b"." || name == b".." {
                continue;
            }
            if !is_safe_name(&name) {
                self.fail(id, Failure::InvalidName(name), outcomes);
                return;
            }
            outcomes.push_back(Outcome::Event(Event::Entry(id, name, attributes)));
        }
    }

    pub(super) fn fail(&mut self, id: JobId, failure: Failure, outcomes: &mut Outcomes) {
        self.stage = match self.stage {
            Stage::Open => Stage::Over,
            Stage::Opening => Stage::Cancelled,
            Stage::Read | Stage::Reading => Stage::Close,
            Stage::Cancelled | Stage::Close | Stage::Over => return,
        };
        outcomes.push_back(Outcome::failed(id, failure));
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }
}

//! Jobs of one request.

use super::event::{Event, JobId, Tag};
use super::step::{Outcome, Outcomes, attributes, one_name, or_login_directory, outcome};
use crate::ssh::sftp::wire::{Attributes, Kind, Reply, Request, Status};
use crate::ssh::sftp::{Error, Failure};

#[derive(Debug)]
enum Action {
    Stat,
    RealPath,
    MakeDirectory,
    /// Creating the directory has failed: perhaps it exists.
    CheckDirectory(Status),
    SetAttributes,
}

#[derive(Debug)]
enum Stage {
    Ready,
    Sent,
    Over,
}

#[derive(Debug)]
pub(super) struct Command {
    action: Action,
    stage: Stage,
    path: Vec<u8>,
    attributes: Attributes,
    parent: Option<JobId>,
}

impl Command {
    pub(super) fn stat(path: &[u8]) -> Self {
        let path = or_login_directory(path);
        Self {
            action: Action::Stat,
            stage: Stage::Ready,
            path,
            attributes: Attributes::default(),
            parent: None,
        }
    }

    pub(super) fn real_path(path: &[u8]) -> Self {
        Self { action: Action::RealPath, ..Self::stat(path) }
    }

    pub(super) fn make_directory(path: &[u8], mode: u32, parent: Option<JobId>) -> Self {
        let attributes = Attributes { mode: Some(mode & 0o7777), ..Attributes::default() };
        Self { action: Action::MakeDirectory, attributes, parent, ..Self::stat(path) }
    }

    pub(super) fn set_attributes(path: &[u8], attributes: Attributes) -> Self {
        Self { action: Action::SetAttributes, attributes, ..Self::stat(path) }
    }

    pub(super) fn poll(&mut self) -> Option<(Tag, Request<'_>)> {
        if !matches!(self.stage, Stage::Ready) {
            return None;
        }
        self.stage = Stage::Sent;
        let (path, attributes) = (self.path.as_slice(), self.attributes);
        Some(match self.action {
            Action::Stat | Action::CheckDirectory(_) => (Tag::Stat, Request::Stat { path }),
            Action::RealPath => (Tag::Stat, Request::Realpath { path }),
            Action::MakeDirectory => (Tag::MakeDirectory, Request::Mkdir { path, attributes }),
            Action::SetAttributes => (Tag::SetAttributes, Request::Setstat { path, attributes }),
        })
    }

    pub(super) fn receive(
        &mut self,
        id: JobId,
        tag: Tag,
        reply: &Reply,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        self.stage = Stage::Over;
        let event = match (&self.action, tag) {
            (Action::MakeDirectory, _) => match outcome(reply)? {
                Ok(()) => Event::Done(id),
                Err(status) => {
                    self.action = Action::CheckDirectory(status);
                    self.stage = Stage::Ready;
                    return Ok(());
                }
            },
            (Action::CheckDirectory(status), _) => match attributes(reply)? {
                Ok(found) if found.kind() == Some(Kind::Directory) => Event::Done(id),
                _ => Event::Failed(id, Failure::Status(status.clone())),
            },
            (Action::Stat, _) => match attributes(reply)? {
                Ok(found) => Event::Attributes(id, found),
                Err(status) => Event::Failed(id, Failure::Status(status)),
            },
            (Action::RealPath, _) => match one_name(reply)? {
                Ok(path) => Event::Path(id, path),
                Err(status) => Event::Failed(id, Failure::Status(status)),
            },
            (Action::SetAttributes, _) => match outcome(reply)? {
                Ok(()) => Event::Done(id),
                Err(status) => Event::Failed(id, Failure::Status(status)),
            },
        };
        outcomes.push_back(Outcome::Event(event));
        Ok(())
    }

    pub(super) fn abort(&mut self, id: JobId, outcomes: &mut Outcomes) {
        if !self.is_over() {
            self.stage = Stage::Over;
            outcomes.push_back(Outcome::failed(id, Failure::Aborted));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub(super) fn parent(&self) -> Option<JobId> {
        self.parent
    }

    pub(super) fn makes_directory(&self) -> bool {
        matches!(self.action, Action::MakeDirectory | Action::CheckDirectory(_))
    }
}

//! Downloads a file: reads ahead, and returns the data in order.

use std::ops::Range;

use super::event::{Event, JobId, Tag};
use super::read_ahead::{Read, ReadAhead, Returned};
use super::session::Features;
use super::step::{Context, Outcome, Outcomes, attributes, handle, or_login_directory};
use crate::ssh::sftp::wire::{Attributes, Kind, Open, Reply, Request, Status, StatusCode};
use crate::ssh::sftp::{Error, Failure};

/// The bytes of a data packet before the data: type, ID and length.
const DATA_HEADER: usize = 9;

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Stat,
    Open,
    /// A request is sent, after which this stage follows.
    Waiting,
    /// The job was aborted while a request was pending.
    Cancelled,
    Data,
    Close,
    Over,
}

#[derive(Debug)]
pub(super) struct Download {
    path: Vec<u8>,
    attributes: Attributes,
    handle: Vec<u8>,
    stage: Stage,
    reads: ReadAhead,
}

impl Download {
    pub(super) fn new(path: &[u8], attributes: Option<Attributes>) -> Self {
        Self {
            path: or_login_directory(path),
            stage: if attributes.is_some() { Stage::Open } else { Stage::Stat },
            attributes: attributes.unwrap_or_default(),
            handle: Vec::new(),
            reads: ReadAhead::new(attributes.and_then(|it| it.size).unwrap_or_default()),
        }
    }

    pub(super) fn poll(&mut self, context: &Context) -> Option<(Tag, Request<'_>)> {
        match self.stage {
            Stage::Stat => {
                self.stage = Stage::Waiting;
                Some((Tag::Stat, Request::Stat { path: &self.path }))
            }
            Stage::Open => {
                self.stage = Stage::Waiting;
                let (flags, attributes) = (Open(Open::READ), Attributes::default());
                Some((Tag::Open, Request::Open { path: &self.path, flags, attributes }))
            }
            Stage::Data if context.may_read => {
                let read = self.reads.next_read(context.features.max_read, context.may_read_ahead)?;
                let Read { number, offset, length } = read;
                Some((Tag::Read(number), Request::Read { handle: &self.handle, offset, length }))
            }
            Stage::Close => {
                self.stage = Stage::Over;
                Some((Tag::Close, Request::Close { handle: &self.handle }))
            }
            _ => None,
        }
    }

    pub(super) fn receive(
        &mut self,
        id: JobId,
        tag: Tag,
        reply: &Reply,
        packet: Range<usize>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        match tag {
            Tag::Stat => self.found(id, attributes(reply)?, outcomes),
            Tag::Open => self.opened(id, handle(reply)?, outcomes),
            // Later replies to a job that is about to close the file have no effect.
            Tag::Read(number) if self.stage == Stage::Data => {
                self.read(id, number, reply, packet, outcomes)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn found(&mut self, id: JobId, reply: Result<Attributes, Status>, outcomes: &mut Outcomes) {
        let is_cancelled = self.stage == Stage::Cancelled;
        self.stage = Stage::Over;
        let event = match reply {
            _ if is_cancelled => return,
            Err(status) => Event::Failed(id, Failure::Status(status)),
            Ok(found) => match found.kind() {
                Some(Kind::Directory) => Event::Directory(id, found),
                Some(Kind::File) | None => {
                    self.attributes = found;
                    self.reads = ReadAhead::new(found.size.unwrap_or_default());
                    self.stage = Stage::Open;
                    return;
                }
                Some(Kind::Link | Kind::Special) => Event::Failed(id, Failure::NotRegular),
            },
        };
        outcomes.push_back(Outcome::Event(event));
    }

    fn opened(&mut self, id: JobId, reply: Result<Vec<u8>, Status>, outcomes: &mut Outcomes) {
        let is_cancelled = self.stage == Stage::Cancelled;
        match reply {
            Ok(handle) => {
                self.handle = handle;
                self.stage = if is_cancelled { Stage::Close } else { Stage::Data };
                if !is_cancelled {
                    outcomes.push_back(Outcome::Event(Event::Opened(id, self.attributes)));
                }
            }
            Err(status) => {
                self.stage = Stage::Over;
                if !is_cancelled {
                    outcomes.push_back(Outcome::failed(id, Failure::Status(status)));
                }
            }
        }
    }

    fn read(
        &mut self,
        id: JobId,
        number: u64,
        reply: &Reply,
        packet: Range<usize>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        match reply {
            Reply::Data(data) => {
                if self.reads.receive(number, data).map_err(Error::malformed(reply.kind()))? {
                    outcomes.push_back(Outcome::Received(id, packet.start + DATA_HEADER..packet.end));
                }
            }
            Reply::Status(status) if status.code != StatusCode::OK => self.reads.end(number, status.clone()),
            _ => return Err(Error::Unexpected(reply.kind())),
        }
        while let Some(returned) = self.reads.next_returned() {
            match returned {
                Returned::Data(data) => outcomes.push_back(Outcome::Kept(id, data)),
                Returned::End(status) if status.code == StatusCode::EOF => {
                    self.stage = Stage::Close;
                    outcomes.push_back(Outcome::Event(Event::Done(id)));
                }
                Returned::End(status) => self.fail(id, Failure::Status(status), outcomes),
            }
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, id: JobId, failure: Failure, outcomes: &mut Outcomes) {
        match self.stage {
            Stage::Stat | Stage::Open => self.stage = Stage::Over,
            Stage::Waiting => self.stage = Stage::Cancelled,
            Stage::Data => self.stage = Stage::Close,
            Stage::Cancelled | Stage::Close | Stage::Over => return,
        }
        outcomes.push_back(Outcome::failed(id, failure));
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn remaining_requests(&self, features: &Features) -> usize {
        match self.stage {
            Stage::Close | Stage::Over | Stage::Cancelled => 0,
            _ => self.reads.remaining(features.max_read),
        }
    }

    /// Returns the number of replies whose data wait for those before them.
    pub(super) fn kept_replies(&self) -> usize {
        self.reads.kept()
    }

    /// Continues at this offset, to test large offsets.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.reads.skip_to(offset);
    }
}

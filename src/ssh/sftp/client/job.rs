//! The jobs of a client.

use std::ops::Range;

use super::command::Command;
use super::download::Download;
use super::event::{JobId, Tag};
use super::listing::Listing;
use super::session::Features;
use super::step::{Context, Outcomes};
use super::upload::Upload;
use crate::ssh::sftp::wire::{Reply, Request};
use crate::ssh::sftp::{Error, Failure};

#[derive(Debug)]
pub(super) enum Job {
    Command(Command),
    Download(Download),
    Listing(Listing),
    Upload(Upload),
}

impl From<Command> for Job {
    fn from(job: Command) -> Self {
        Self::Command(job)
    }
}

impl From<Download> for Job {
    fn from(job: Download) -> Self {
        Self::Download(job)
    }
}

impl From<Listing> for Job {
    fn from(job: Listing) -> Self {
        Self::Listing(job)
    }
}

impl From<Upload> for Job {
    fn from(job: Upload) -> Self {
        Self::Upload(job)
    }
}

impl Job {
    /// Returns the next request to send. The caller sends it.
    pub(super) fn poll(&mut self, context: &Context) -> Option<(Tag, Request<'_>)> {
        match self {
            Self::Command(job) => job.poll(),
            Self::Download(job) => job.poll(context),
            Self::Listing(job) => job.poll(context),
            Self::Upload(job) => job.poll(context),
        }
    }

    /// Processes the reply to a request. `packet` is its place among the received bytes.
    pub(super) fn receive(
        &mut self,
        id: JobId,
        tag: Tag,
        reply: Reply,
        packet: Range<usize>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        match self {
            Self::Command(job) => job.receive(id, tag, &reply, outcomes),
            Self::Download(job) => job.receive(id, tag, &reply, packet, outcomes),
            Self::Listing(job) => job.receive(id, tag, reply, outcomes),
            Self::Upload(job) => job.receive(id, tag, &reply, outcomes),
        }
    }

    pub(super) fn abort(&mut self, id: JobId, outcomes: &mut Outcomes) {
        match self {
            Self::Command(job) => job.abort(id, outcomes),
            Self::Download(job) => job.fail(id, Failure::Aborted, outcomes),
            Self::Listing(job) => job.fail(id, Failure::Aborted, outcomes),
            Self::Upload(job) => job.abort(),
        }
    }

    /// Returns `true` if the job sends no more requests, and waits for no reply that matters.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Command(job) => job.is_over(),
            Self::Download(job) => job.is_over(),
            Self::Listing(job) => job.is_over(),
            Self::Upload(job) => job.is_over(),
        }
    }

    /// Returns about how many requests with data the job will still send.
    pub(super) fn remaining_requests(&self, features: &Features) -> usize {
        match self {
            Self::Command(_) | Self::Listing(_) => 0,
            Self::Download(job) => job.remaining_requests(features),
            Self::Upload(job) => job.remaining_requests(features),
        }
    }

    /// Returns the number of replies whose data wait for those before them.
    pub(super) fn kept_replies(&self) -> usize {
        if let Self::Download(job) = self { job.kept_replies() } else { 0 }
    }

    /// Returns the job that creates the directory that this one needs.
    pub(super) fn parent(&self) -> Option<JobId> {
        match self {
            Self::Command(job) => job.parent(),
            Self::Upload(job) => job.parent(),
            Self::Download(_) | Self::Listing(_) => None,
        }
    }

    /// Returns the path that the job writes, together with its partial file. Two such jobs must not
    /// overlap.
    pub(super) fn target(&self) -> Option<&[u8]> {
        self.as_upload().map(Upload::path)
    }

    pub(super) fn makes_directory(&self) -> bool {
        matches!(self, Self::Command(job) if job.makes_directory())
    }

    pub(super) fn is_listing(&self) -> bool {
        matches!(self, Self::Listing(_))
    }

    pub(super) fn as_upload(&self) -> Option<&Upload> {
        if let Self::Upload(job) = self { Some(job) } else { None }
    }

    pub(super) fn as_upload_mut(&mut self) -> Option<&mut Upload> {
        if let Self::Upload(job) = self { Some(job) } else { None }
    }
}

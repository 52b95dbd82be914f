//! The client: several copies at a time over one channel.
//!
//! The caller passes received bytes to [`Client::receive`], takes all events, and sends
//! [`Client::output`]. For uploads, the caller reads local files when [`Client::wants_data`] asks
//! for bytes. Jobs start in the order in which they were queued. The next one starts as soon as
//! those before it leave requests unused, so that small files overlap.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::wire::{Attributes, Packets};
use super::{Error, Failure};
use job::Job;
use session::Session;
use step::Outcome;

mod command;
mod download;
mod event;
mod job;
mod listing;
mod pump;
mod read_ahead;
mod session;
mod step;
#[cfg(test)]
mod tests;
mod upload;

pub use event::{Event, JobId, MAX_DATA, MAX_REQUESTS, Put};

/// While this many bytes wait to be sent, [`Client::wants_data`] returns `None`.
const MAX_OUTPUT: usize = 256 * 1024;

/// The client side of an sftp channel.
#[derive(Debug)]
pub struct Client {
    packets: Packets,
    session: Session,
    waiting: VecDeque<(JobId, Job)>,
    active: Vec<(JobId, Job)>,
    outcomes: VecDeque<Outcome>,
    /// Data of the last event, if they had to wait for those before them.
    kept: Vec<u8>,
    next_job: u64,
    /// The directories that could not be created.
    failed_parents: BTreeSet<JobId>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// Starts the protocol. The first packet can be sent at once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            packets: Packets::default(),
            session: Session::new(),
            waiting: VecDeque::new(),
            active: Vec::new(),
            outcomes: VecDeque::new(),
            kept: Vec::new(),
            next_job: 0,
            failed_parents: BTreeSet::new(),
        }
    }

    /// Returns the bytes to send.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.session.output()
    }

    /// Removes the first `count` bytes of the output, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.session.sent(count);
    }

    /// Adds received bytes. The caller then takes all events.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.packets.receive(bytes);
    }

    /// Returns the next event. `None` if more bytes, or more data for uploads, are needed.
    ///
    /// # Errors
    /// The server has violated the protocol.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        self.pump();
        while self.outcomes.is_empty() {
            let Some(packet) = self.packets.next_range()? else { return Ok(None) };
            self.process(packet)?;
            self.pump();
        }
        Ok(match self.outcomes.pop_front() {
            Some(Outcome::Event(event)) => Some(event),
            Some(Outcome::Received(job, range)) => Some(Event::Data(job, self.packets.bytes(range))),
            Some(Outcome::Kept(job, data)) => {
                self.kept = data;
                Some(Event::Data(job, &self.kept))
            }
            None => None,
        })
    }

    /// Returns `true` if another job may be queued. The caller should not queue more, because each
    /// takes memory, and because listings pause meanwhile.
    #[must_use]
    pub fn can_queue(&self) -> bool {
        self.waiting.len() < MAX_REQUESTS
    }

    /// Returns `true` if no job is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty() && self.outcomes.is_empty()
    }

    /// Returns the number of requests that wait for a reply.
    #[must_use]
    pub fn requests_in_flight(&self) -> usize {
        self.session.in_flight()
    }

    /// Asks for the attributes of a file; follows symbolic links.
    pub fn stat(&mut self, path: &[u8]) -> JobId {
        self.queue(command::Command::stat(path).into())
    }

    /// Asks for the absolute path of a file, without symbolic links.
    pub fn real_path(&mut self, path: &[u8]) -> JobId {
        self.queue(command::Command::real_path(path).into())
    }

    /// Creates a directory, or accepts one that exists. Without the owner's write permission in
    /// `mode`, the directory stays empty: set such a mode with [`Self::set_attributes`] at the end.
    pub fn make_directory(&mut self, path: &[u8], mode: u32, parent: Option<JobId>) -> JobId {
        self.queue(command::Command::make_directory(path, mode, parent).into())
    }

    /// Sets attributes of a file or directory.
    pub fn set_attributes(&mut self, path: &[u8], attributes: Attributes) -> JobId {
        self.queue(command::Command::set_attributes(path, attributes).into())
    }

    /// Uploads a file.
    pub fn put(&mut self, file: Put) -> JobId {
        self.queue(upload::Upload::new(file).into())
    }

    /// Downloads a file. `attributes` are those of a regular file in [`Event::Entry`]; without
    /// them, the client requests them first and follows symbolic links.
    pub fn get(&mut self, path: &[u8], attributes: Option<Attributes>) -> JobId {
        self.queue(download::Download::new(path, attributes).into())
    }

    /// Lists a directory.
    pub fn list(&mut self, path: &[u8]) -> JobId {
        self.queue(listing::Listing::new(path).into())
    }

    /// Returns an upload that wants the next bytes of its file, and their number.
    #[must_use]
    pub fn wants_data(&self) -> Option<(JobId, usize)> {
        if !self.session.may_send_data() || self.output().len() >= MAX_OUTPUT {
            return None;
        }
        let wants = |(id, job): &(JobId, Job)| job.as_upload().filter(|job| job.wants_data()).map(|_| *id);
        let length = usize::try_from(self.session.features().max_write).unwrap_or(usize::MAX);
        self.active.iter().find_map(wants).map(|id| (id, length))
    }

    /// Takes the next bytes of an upload's file. Bytes for a job that has failed are discarded.
    pub fn provide(&mut self, id: JobId, bytes: &[u8]) {
        let Some((_, job)) = self.active.iter_mut().find(|(active, _)| *active == id) else { return };
        let Some(upload) = job.as_upload_mut() else { return };
        let length = usize::try_from(self.session.features().max_write).unwrap_or(usize::MAX);
        for piece in bytes.chunks(length) {
            if let Some((tag, request)) = upload.write(piece) {
                self.session.send(id, tag, &request);
            }
        }
    }

    /// Marks the end of an upload's file.
    pub fn end(&mut self, id: JobId) {
        if let Some((_, job)) = self.active.iter_mut().find(|(active, _)| *active == id)
            && let Some(upload) = job.as_upload_mut()
        {
            upload.end();
        }
    }

    /// Aborts a job, because the local system failed. [`Event::Failed`] follows, after an upload
    /// has removed its partial file.
    pub fn abort(&mut self, id: JobId) {
        if let Some((_, job)) = self.active.iter_mut().find(|(active, _)| *active == id) {
            job.abort(id, &mut self.outcomes);
            self.record_failed_parent();
        } else if let Some(index) = self.waiting.iter().position(|(waiting, _)| *waiting == id) {
            let job = self.waiting.remove(index);
            self.failed_parents.extend(job.filter(|(_, job)| job.makes_directory()).map(|(id, _)| id));
            self.outcomes.push_back(Outcome::failed(id, Failure::Aborted));
        }
    }

    fn queue(&mut self, job: Job) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        self.waiting.push_back((id, job));
        id
    }

    /// Processes a received packet.
    fn process(&mut self, range: Range<usize>) -> Result<(), Error> {
        let packet = self.packets.bytes(range.clone());
        let Some((id, tag, reply)) = self.session.receive(packet)? else { return Ok(()) };
        // Later replies to a job that is over have no effect.
        let Some((_, job)) = self.active.iter_mut().find(|(active, _)| *active == id) else { return Ok(()) };
        job.receive(id, tag, reply, range, &mut self.outcomes)?;
        self.record_failed_parent();
        Ok(())
    }
}

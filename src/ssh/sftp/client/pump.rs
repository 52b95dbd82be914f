//! Starts jobs, and sends their requests.

use super::job::Job;
use super::step::{Context, Outcome};
use super::{Client, Event, JobId, MAX_REQUESTS};
use crate::ssh::sftp::Failure;

impl Client {
    /// Sends all requests that the limits allow.
    pub(super) fn pump(&mut self) {
        self.poll_jobs();
        while self.session.may_send() && self.start_next() {
            self.poll_jobs();
        }
    }

    /// Sends the requests of the jobs; the oldest job is served first.
    fn poll_jobs(&mut self) {
        let context = Context {
            features: *self.session.features(),
            may_read: self.session.is_ready(),
            may_read_ahead: self.active.iter().map(|(_, job)| job.kept_replies()).sum::<usize>()
                < MAX_REQUESTS,
            // Each entry of a listing may become a job.
            may_list: self.outcomes.is_empty() && self.can_queue()
                || self.active.iter().all(|(_, job)| job.is_listing()),
        };
        for (id, job) in &mut self.active {
            while self.session.may_send()
                && let Some((tag, request)) = job.poll(&context)
            {
                self.session.send(*id, tag, &request);
            }
        }
        self.active.retain(|(_, job)| !job.is_over());
    }

    /// Starts the next job if it may start now. Returns `true` if one has left the queue.
    fn start_next(&mut self) -> bool {
        if let Some(true) = self.waiting.front().map(|(_, job)| self.has_failed_parent(job)) {
            self.skip_next();
            return true;
        }
        if !self.waiting.front().is_some_and(|(_, job)| self.may_start(job)) {
            return false;
        }
        self.active.extend(self.waiting.pop_front());
        true
    }

    fn has_failed_parent(&self, job: &Job) -> bool {
        job.parent().is_some_and(|parent| self.failed_parents.contains(&parent))
    }

    fn skip_next(&mut self) {
        if let Some((id, job)) = self.waiting.pop_front() {
            if job.makes_directory() {
                self.failed_parents.insert(id);
            }
            self.outcomes.push_back(Outcome::failed(id, Failure::NoDirectory));
        }
    }

    /// Returns `true` if the jobs before have few requests left to send, and none of them must end
    /// first.
    fn may_start(&self, next: &Job) -> bool {
        let max = self.session.features().max_handles.min(MAX_REQUESTS);
        let remaining = self.active.iter().fold(0_usize, |sum, (_, job)| {
            sum.saturating_add(job.remaining_requests(self.session.features()))
        });
        let must_wait_for = |(id, job): &(JobId, Job)| {
            next.parent() == Some(*id) || next.target().is_some_and(|it| job.target() == Some(it))
        };
        remaining < MAX_REQUESTS && self.active.len() < max && !self.active.iter().any(must_wait_for)
    }

    /// Records a directory that could not be created, so that jobs below it are skipped.
    pub(super) fn record_failed_parent(&mut self) {
        if let Some(Outcome::Event(Event::Failed(id, _))) = self.outcomes.back()
            && self.active.iter().any(|(active, job)| active == id && job.makes_directory())
        {
            self.failed_parents.insert(*id);
        }
    }
}

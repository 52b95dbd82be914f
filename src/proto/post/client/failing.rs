//! Requests that fail, and the end of a tunnel because of them.

use std::time::Duration;

use super::super::failure::Failure;
use super::{Client, Direction, HOLDS, State};

/// A POLL that breaks after this time has ended early. One that breaks before was not held.
const EARLY_END: Duration = Duration::from_secs(1);
/// Attempts to send the last request, which carries no data.
pub(super) const LAST_ATTEMPTS: u32 = 4;

impl Client {
    /// Returns how long the server has not answered requests; `None` if it answers, or if the
    /// tunnel is not open.
    #[must_use]
    pub fn lost_for(&self, now: Duration) -> Option<Duration> {
        let lanes = [&self.up, &self.down].into_iter().filter(|_| self.state == State::Open);
        lanes.filter_map(|lane| lane.failing_since).min().map(|since| now.saturating_sub(since))
    }

    /// Returns the time for which requests may fail.
    #[must_use]
    pub fn resume(&self) -> Duration {
        self.settings.resume
    }

    /// Returns `true` if all data has arrived at both ends.
    pub(super) fn has_all_data(&self) -> bool {
        self.incoming.has_ended && self.outgoing.held.is_empty()
    }

    /// Ends the tunnel with a failure, unless all data has arrived.
    pub(super) fn end_with(&mut self, failure: Failure) {
        if self.state == State::Aborting || self.has_all_data() {
            self.state = State::Done;
        } else {
            self.fail(failure);
        }
    }

    /// Reports that the request in flight was not answered. `was_kept` means that its connection
    /// had carried another request before: the server may have closed it in the meantime.
    pub fn broken(&mut self, direction: Direction, cause: &str, was_kept: bool, now: Duration) {
        let Some(sent) = self.lane(direction).sent.take() else { return };
        self.unavailable_since = None;
        let duration = now.saturating_sub(sent.at);
        if was_kept && duration < EARLY_END {
            return;
        }
        if direction == Direction::Down && duration >= EARLY_END {
            self.shorten_hold();
        }
        self.retry(direction, cause.into(), None, now);
    }

    pub(super) fn shorten_hold(&mut self) {
        // Skip holds that the server would not grant anyway.
        let hold = self.hold();
        while self.hold + 1 < HOLDS.len() && self.hold() >= hold && !self.hold().is_zero() {
            self.hold += 1;
        }
    }

    /// Repeats a request later, unless the time of `--resume` is up.
    pub(super) fn retry(
        &mut self,
        direction: Direction,
        cause: String,
        retry_after: Option<Duration>,
        now: Duration,
    ) {
        let jitter = self.jitter.next();
        let is_opening = self.state == State::Opening;
        let limit = self.settings.resume;
        let owes_eof = self.outgoing.is_closed && !self.outgoing.is_end_acknowledged;
        let has_only_acks = self.state == State::Open && self.has_all_data() && !owes_eof;
        let is_last = self.state == State::Aborting || has_only_acks;
        let lane = self.lane(direction);
        let is_given_up = is_last && lane.failures + 1 >= LAST_ATTEMPTS;
        if is_given_up || !lane.fail(now, limit, retry_after, jitter) {
            self.end_with(if is_opening {
                Failure::NotOpened(cause)
            } else {
                Failure::NoAnswer { seconds: limit.as_secs(), last: cause }
            });
        }
    }
}

//! The session idle timeout.

use std::time::{Duration, Instant};

/// The time since data last moved in either direction, and its limit.
#[derive(Debug)]
pub(super) struct IdleTimer {
    limit: Option<Duration>,
    last_progress: Instant,
    progress_count: u64,
}

impl IdleTimer {
    /// Starts the timer. With a limit of `None` it never expires.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, last_progress: Instant::now(), progress_count: 0 }
    }

    /// Restarts the timer if `progress_count` has changed. Reads the clock only if there is a
    /// limit.
    pub(super) fn update(&mut self, progress_count: u64) {
        if self.limit.is_some() && progress_count != self.progress_count {
            (self.last_progress, self.progress_count) = (Instant::now(), progress_count);
        }
    }

    /// Returns the time left until the timer expires, or `None` if there is no limit.
    pub(super) fn remaining(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.last_progress.elapsed()))
    }

    /// Returns the limit if the timer has expired.
    pub(super) fn expired(&self) -> Option<Duration> {
        self.limit.filter(|_| self.remaining() == Some(Duration::ZERO))
    }

    pub(super) fn limit(&self) -> Option<Duration> {
        self.limit
    }
}

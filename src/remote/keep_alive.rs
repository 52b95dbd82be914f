//! The test whether the server is alive: requests that it has to answer.

use std::time::{Duration, Instant};

/// The number of unanswered requests that end the connection.
const MAX_UNANSWERED: u32 = 3;

/// The time since the last input, and the requests since then.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    /// The last input or request.
    last: Instant,
    unanswered: u32,
}

/// The action to take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Wait longer.
    Nothing,
    /// Send a request.
    Request,
    /// Report that the server is gone.
    Failure,
}

impl KeepAlive {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, last: now, unanswered: 0 }
    }

    /// Records input.
    pub(super) fn received(&mut self, now: Instant) {
        self.last = now;
        self.unanswered = 0;
    }

    /// Returns how long to wait for input.
    pub(super) fn time_left(&self, now: Instant) -> Duration {
        (self.last + self.interval).saturating_duration_since(now)
    }

    /// Returns what is due. Counts a request as sent.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if !self.time_left(now).is_zero() {
            return Due::Nothing;
        }
        if self.unanswered == MAX_UNANSWERED {
            return Due::Failure;
        }
        self.unanswered += 1;
        self.last = now;
        Due::Request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_unanswered_requests_in_a_row_end_the_connection() {
        let (start, interval) = (Instant::now(), Duration::from_secs(25));
        let mut timer = KeepAlive::new(interval, start);
        assert_eq!(timer.due(start + interval / 2), Due::Nothing);
        assert_eq!(timer.due(start + interval), Due::Request);
        assert_eq!(timer.due(start + interval), Due::Nothing);
        assert_eq!(timer.due(start + 2 * interval), Due::Request);
        timer.received(start + 2 * interval);
        for count in 3..6 {
            assert_eq!(timer.time_left(start + (count - 1) * interval), interval);
            assert_eq!(timer.due(start + count * interval), Due::Request, "{count}");
        }
        assert_eq!(timer.due(start + 6 * interval), Due::Failure);
    }
}

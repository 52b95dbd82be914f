//! Detects a server that is gone by requests that it has to answer.

use std::time::Duration;

/// The number of requests in a row without any input after them that end a connection.
pub const MAX_UNANSWERED: u32 = 3;

/// The time since the last input, and the requests since then. Times count from the start of the
/// connection.
#[derive(Debug)]
pub struct Liveness {
    /// The time without input before a request; `None` for no requests.
    interval: Option<Duration>,
    /// The time of the last input or request.
    since: Duration,
    unanswered: u32,
}

/// The action to take now.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Wait longer.
    Nothing,
    /// Send a request.
    Request,
    /// Report that the server is gone.
    Failure,
}

impl Liveness {
    /// Starts with the connection.
    #[must_use]
    pub fn new(interval: Option<Duration>) -> Self {
        Self { interval, since: Duration::ZERO, unanswered: 0 }
    }

    /// Records input, which need not be the answer.
    pub fn received(&mut self, now: Duration) {
        self.since = now;
        self.unanswered = 0;
    }

    /// Returns the time of the next action; `None` if there is none.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.interval.map(|interval| self.since + interval)
    }

    /// Returns the action that is due. Counts a request as sent.
    pub fn due(&mut self, now: Duration) -> Due {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Due::Nothing;
        }
        if self.unanswered == MAX_UNANSWERED {
            return Due::Failure;
        }
        self.since = now;
        self.unanswered += 1;
        Due::Request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn three_requests_without_an_answer_end_the_connection() {
        let mut liveness = Liveness::new(Some(seconds(25)));
        assert_eq!(liveness.due(seconds(24)), Due::Nothing);
        assert_eq!(liveness.deadline(), Some(seconds(25)));
        for request in 1..=3 {
            assert_eq!(liveness.due(seconds(request * 25)), Due::Request);
            assert_eq!(liveness.due(seconds(request * 25)), Due::Nothing);
        }
        assert_eq!(liveness.due(seconds(99)), Due::Nothing);
        assert_eq!(liveness.due(seconds(100)), Due::Failure);
    }

    #[test]
    fn input_starts_over() {
        let mut liveness = Liveness::new(Some(seconds(1)));
        for now in [1, 2, 3] {
            assert_eq!(liveness.due(seconds(now)), Due::Request);
        }
        liveness.received(seconds(3));
        assert_eq!(liveness.due(seconds(4)), Due::Request);
        assert_eq!(Liveness::new(None).due(Duration::MAX), Due::Nothing);
    }
}

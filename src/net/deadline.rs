//! The end of our patience.

use std::time::{Duration, Instant};

/// A point in time by which something must be done, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    end: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    /// Starts now. A limit beyond what the clock can count is none.
    pub(super) fn start(limit: Option<Duration>) -> Self {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { end, limit: limit.unwrap_or_default() }
    }

    /// This one, or one that starts now if there is none.
    pub(super) fn or_start(self, limit: Duration) -> Self {
        if self.end.is_some() { self } else { Self::start(Some(limit)) }
    }

    /// The time left, or `None` for any time.
    pub(super) fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    pub(super) fn has_passed(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// The limit it started with.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Moves it, for time that was not ours to spend.
    pub(super) fn extend(&mut self, by: Duration) {
        self.end = self.end.and_then(|end| end.checked_add(by));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;

    #[test]
    fn without_a_limit_of_the_users_a_negotiation_has_its_own() {
        let negotiation = Deadline::start(None).or_start(Limits::NEGOTIATION);
        assert_eq!(negotiation.limit(), Duration::from_secs(30));
        assert!(negotiation.left().is_some_and(|left| left > Duration::from_secs(29)));
        let own = Deadline::start(Some(Duration::from_secs(90))).or_start(Limits::NEGOTIATION);
        assert_eq!(own.limit(), Duration::from_secs(90));
    }

    #[test]
    fn it_passes_and_is_extended_by_time_that_was_not_ours() {
        let mut deadline = Deadline::start(Some(Duration::ZERO));
        assert!(deadline.has_passed());
        deadline.extend(Duration::from_secs(60));
        assert!(!deadline.has_passed());
        let mut none = Deadline::start(None);
        none.extend(Duration::from_secs(60));
        assert_eq!((none.left(), none.has_passed()), (None, false));
    }
}

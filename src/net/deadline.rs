//! The end of our patience.

use std::time::{Duration, Instant};

/// A point in time by which something must be done, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    started: Instant,
    end: Option<Instant>,
    limit: Duration,
    /// By how much it was moved.
    extended: Duration,
    /// From when on it is worth a word that we still wait; never if there is none.
    status_from: Option<Instant>,
}

/// For so long nobody wonders what it is doing.
const STATUS_DELAY: Duration = Duration::from_secs(2);

impl Deadline {
    /// Starts now. A limit beyond what the clock can count is none.
    pub(super) fn start(limit: Option<Duration>) -> Self {
        let started = Instant::now();
        let end = limit.and_then(|limit| started.checked_add(limit));
        let limit = limit.unwrap_or_default();
        Self { started, end, limit, extended: Duration::ZERO, status_from: None }
    }

    /// The same; whoever waits with us is told so after a while.
    pub(super) fn telling(self) -> Self {
        Self { status_from: Some(self.started + STATUS_DELAY), ..self }
    }

    /// From when on whoever waits with us is told so, if at all.
    pub(super) fn status_from(&self) -> Option<Instant> {
        self.status_from
    }

    /// This one, or one that starts now if there is none.
    pub(super) fn or_start(self, limit: Duration) -> Self {
        let started = Self { status_from: self.status_from, ..Self::start(Some(limit)) };
        if self.end.is_some() { self } else { started }
    }

    /// The end for the first of several attempts: an equal share of the time that is left. Where there is any time,
    /// all but the last have `limit`.
    pub(super) fn share(self, attempts: usize, limit: Duration) -> Self {
        let share = match (u32::try_from(attempts), self.left()) {
            (Ok(0 | 1), _) => return Self { extended: Duration::ZERO, ..self },
            (Ok(attempts), Some(left)) => left / attempts,
            _ => limit,
        };
        Self { status_from: self.status_from, ..Self::start(Some(share)) }
    }

    /// By how much it was moved.
    pub(super) fn extended(&self) -> Duration {
        self.extended
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

    /// The time since it started, but for what was not ours to spend.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.extended)
    }

    /// Moves it, for time that was not ours to spend.
    pub(super) fn extend(&mut self, by: Duration) {
        self.end = self.end.and_then(|end| end.checked_add(by));
        self.status_from = self.status_from.and_then(|from| from.checked_add(by));
        self.extended += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;

    #[test]
    fn without_a_limit_of_the_users_a_negotiation_has_its_own() {
        let negotiation = Deadline::start(None).or_start(Limits::HANDSHAKE_TIMEOUT);
        assert_eq!(negotiation.limit(), Duration::from_secs(30));
        assert!(negotiation.left().is_some_and(|left| left > Duration::from_secs(29)));
        let own = Deadline::start(Some(Duration::from_secs(90))).or_start(Limits::HANDSHAKE_TIMEOUT);
        assert_eq!(own.limit(), Duration::from_secs(90));
    }

    #[test]
    fn each_attempt_but_the_last_has_its_share() {
        let all = Deadline::start(Some(Duration::from_secs(90)));
        let within = |deadline: Deadline, seconds| {
            let left = deadline.left().unwrap_or_default();
            left <= Duration::from_secs(seconds) && left > Duration::from_secs(seconds - 1)
        };
        assert!(within(all.share(3, Limits::ROUTE_TIMEOUT), 30));
        assert!(within(all.share(1, Limits::ROUTE_TIMEOUT), 90));
        let any = Deadline::start(None);
        assert!(within(any.share(2, Limits::ROUTE_TIMEOUT), 10));
        assert_eq!(any.share(1, Limits::ROUTE_TIMEOUT).left(), None);
    }

    #[test]
    fn who_waits_is_told_from_the_start_on_and_not_while_he_is_asked() {
        let start = Instant::now();
        let mut deadline = Deadline::start(None).telling();
        let from = |deadline: Deadline| deadline.status_from().map(|from| from - start);
        let first = from(deadline);
        assert!(first.is_some_and(|first| first >= STATUS_DELAY));
        assert_eq!(from(deadline.or_start(Limits::HANDSHAKE_TIMEOUT)), first);
        assert_eq!(from(deadline.share(2, Limits::ROUTE_TIMEOUT)), first);
        let asked = Duration::from_secs(60);
        deadline.extend(asked);
        assert_eq!(from(deadline), first.map(|first| first + asked));
        assert_eq!(deadline.elapsed(), Duration::ZERO);
        assert_eq!(from(Deadline::start(None)), None);
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

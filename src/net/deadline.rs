//! Deadlines for reaching the target. They can be paused while the user is prompted.

use std::time::{Duration, Instant};

use crate::plan::Limits;
use crate::sys::Channel;

/// A point in time by which an operation must finish, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline<'a> {
    started: Instant,
    end: Option<Instant>,
    limit: Duration,
    /// `-w 0`, or more than the clock's range: steps have no limits of their own either.
    is_unlimited: bool,
    /// The total time added by [`extend`](Self::extend).
    extended: Duration,
    /// When to start showing the status line; `None` for never.
    status_from: Option<Instant>,
    /// When to start reporting the wait if a signal ends the program; `None` for never.
    report_from: Option<Instant>,
    /// The client of a local port whose disconnect ends every wait; `None` if there is no such
    /// client.
    client: Option<&'a Channel>,
}

/// Delay from the start of a wait until the status line appears. Shorter waits need no explanation.
const STATUS_DELAY: Duration = Duration::from_secs(2);

/// Delay before waits install the signal handlers that report what the program was waiting for. If
/// connecting takes less time, no handlers are installed.
const REPORT_DELAY: Duration = Duration::from_millis(500);

impl<'a> Deadline<'a> {
    /// Returns a deadline that passes `limit` from now. It never passes if `limit` is `None` or
    /// exceeds the range of the clock.
    pub(super) fn start(limit: Option<Duration>) -> Self {
        let started = Instant::now();
        let end = limit.and_then(|limit| started.checked_add(limit));
        let (is_unlimited, extended) = (limit.is_some() && end.is_none(), Duration::ZERO);
        let limit = limit.unwrap_or_default();
        let (status_from, report_from) = (None, None);
        Self { started, end, limit, is_unlimited, extended, status_from, report_from, client: None }
    }

    /// Returns the deadline for reaching the target, which starts now.
    pub(super) fn for_plan(limits: Limits) -> Self {
        match limits {
            Limits::PerStep => Self::start(None),
            Limits::Total(limit) => Self::start(Some(limit)),
            Limits::Unlimited => Self { is_unlimited: true, ..Self::start(None) },
        }
    }

    /// Enables the status line for waits under this deadline.
    pub(super) fn with_status(self) -> Self {
        Self { status_from: Some(self.started + STATUS_DELAY), ..self }
    }

    /// If a signal ends the program during a wait under this deadline, reports what the wait was
    /// for.
    pub(super) fn reporting_signals(self) -> Self {
        Self { report_from: Some(self.started + REPORT_DELAY), ..self }
    }

    /// Ends every wait under this deadline when the client has disconnected.
    pub(super) fn watching(self, client: Option<&'a Channel>) -> Self {
        Self { client, ..self }
    }

    /// Returns the client whose disconnect ends every wait; `None` if there is no such client.
    pub(super) fn client(&self) -> Option<&'a Channel> {
        self.client
    }

    /// Returns when to start showing the status line; `None` for never.
    pub(super) fn status_from(&self) -> Option<Instant> {
        self.status_from
    }

    /// Returns when to start reporting the wait if a signal ends the program; `None` for never.
    pub(super) fn report_from(&self) -> Option<Instant> {
        self.report_from
    }

    /// Returns this deadline or, if it never passes, one that started `spent` ago with this limit.
    /// With `-w 0`, returns this deadline.
    pub(super) fn or_resume(self, limit: Duration, spent: Duration) -> Self {
        if self.end.is_some() || self.is_unlimited {
            return self;
        }
        let left = Self::start(Some(limit.saturating_sub(spent)));
        let started = left.started.checked_sub(spent).unwrap_or(left.started);
        Self { started, end: left.end, limit, extended: Duration::ZERO, ..self }
    }

    /// Returns a deadline that starts now and has this limit, but keeps everything else.
    fn restarted(self, limit: Duration) -> Self {
        let Self { started, end, .. } = Self::start(Some(limit));
        Self { started, end, limit, extended: Duration::ZERO, ..self }
    }

    /// Returns the deadline for the first of several attempts: an equal share of the time left. If
    /// this deadline never passes, each attempt but the last gets `limit`. With `-w 0`, no attempt
    /// has a limit.
    pub(super) fn share(self, attempts: usize, limit: Duration) -> Self {
        let share = match (u32::try_from(attempts), self.left()) {
            _ if self.is_unlimited => return Self { extended: Duration::ZERO, ..self },
            (Ok(0 | 1), _) => return Self { extended: Duration::ZERO, ..self },
            (Ok(attempts), Some(left)) => left / attempts,
            _ => limit,
        };
        self.restarted(share)
    }

    /// Returns the total time by which the deadline was extended.
    pub(super) fn extended(&self) -> Duration {
        self.extended
    }

    /// Returns the time left, or `None` if this deadline never passes.
    pub(super) fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    pub(super) fn has_passed(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// Returns the limit that the deadline started with.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns the time since the deadline started, excluding extensions.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.extended)
    }

    /// Postpones the deadline by the time that a prompt took, because the peer did not cause that
    /// delay.
    pub(super) fn extend(&mut self, by: Duration) {
        self.end = self.end.and_then(|end| end.checked_add(by));
        self.status_from = self.status_from.and_then(|from| from.checked_add(by));
        self.extended += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negotiation_has_its_own_limit_unless_the_user_set_one() {
        let negotiation = Deadline::start(None).or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
        assert_eq!(negotiation.limit(), Duration::from_secs(30));
        assert!(negotiation.left().is_some_and(|left| left > Duration::from_secs(29)));
        let own = Deadline::start(Some(Duration::from_secs(90)))
            .or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
        assert_eq!(own.limit(), Duration::from_secs(90));
    }

    #[test]
    fn a_resumed_limit_is_reported_as_a_whole_and_passes_after_the_rest() {
        let (limit, spent) = (Limits::HANDSHAKE_TIMEOUT, Duration::from_secs(20));
        let resumed = Deadline::start(None).or_resume(limit, spent);
        assert_eq!(resumed.limit(), limit);
        assert!(resumed.left().is_some_and(|left| left <= Duration::from_secs(10)));
        assert!(resumed.elapsed() >= spent);
        assert!(Deadline::start(None).or_resume(limit, limit).has_passed());
        assert!(Deadline::start(None).or_resume(limit, limit * 2).has_passed());
        let own = Deadline::start(Some(Duration::from_secs(90))).or_resume(limit, limit);
        assert!(!own.has_passed(), "the user's limit is for the whole time");
    }

    /// `-w 0` removed only the total limit: the 30 seconds for each proxy remained.
    #[test]
    fn w_0_did_not_remove_the_limits_of_single_steps() {
        let unlimited = Deadline::for_plan(Limits::Unlimited);
        let step = unlimited.or_resume(Limits::HANDSHAKE_TIMEOUT, Limits::HANDSHAKE_TIMEOUT * 2);
        assert_eq!((step.left(), step.has_passed()), (None, false));
        let route = unlimited.share(2, Limits::ROUTE_TIMEOUT);
        assert_eq!(route.left(), None);
        let step = route.or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
        assert_eq!(step.left(), None);
        let beyond_the_clock = Deadline::for_plan(Limits::Total(Duration::MAX));
        assert_eq!(beyond_the_clock.or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO).left(), None);
    }

    #[test]
    fn each_attempt_but_the_last_gets_a_share_of_the_time() {
        let all = Deadline::start(Some(Duration::from_secs(90)));
        let within = |deadline: Deadline<'_>, seconds| {
            let left = deadline.left().unwrap_or_default();
            left <= Duration::from_secs(seconds) && left > Duration::from_secs(seconds - 1)
        };
        assert!(within(all.share(3, Limits::ROUTE_TIMEOUT), 30));
        assert!(within(all.share(1, Limits::ROUTE_TIMEOUT), 90));
        let unlimited = Deadline::start(None);
        assert!(within(unlimited.share(2, Limits::ROUTE_TIMEOUT), 10));
        assert_eq!(unlimited.share(1, Limits::ROUTE_TIMEOUT).left(), None);
    }

    #[test]
    fn the_status_line_is_due_after_a_delay_that_excludes_prompts() {
        let start = Instant::now();
        let mut deadline = Deadline::start(None).with_status();
        let from = |deadline: Deadline<'_>| deadline.status_from().map(|from| from - start);
        let first = from(deadline);
        assert!(first.is_some_and(|first| first >= STATUS_DELAY));
        assert_eq!(from(deadline.or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO)), first);
        assert_eq!(from(deadline.share(2, Limits::ROUTE_TIMEOUT)), first);
        let prompt = Duration::from_secs(60);
        deadline.extend(prompt);
        assert_eq!(from(deadline), first.map(|first| first + prompt));
        assert_eq!(deadline.elapsed(), Duration::ZERO);
        assert_eq!(from(Deadline::start(None)), None);
    }

    #[test]
    fn an_extension_moves_a_deadline_that_has_passed() {
        let mut deadline = Deadline::start(Some(Duration::ZERO));
        assert!(deadline.has_passed());
        deadline.extend(Duration::from_secs(60));
        assert!(!deadline.has_passed());
        let mut none = Deadline::start(None);
        none.extend(Duration::from_secs(60));
        assert_eq!((none.left(), none.has_passed()), (None, false));
    }
}

//! The retries and the pace of one sequence of requests.

use std::time::Duration;

/// Delay before a request is repeated. It doubles with each failure in a row.
pub const MIN_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Maximum delay before a request is repeated, without a `Retry-After`.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// A sequence of requests, of which at most one is in flight.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The request in flight.
    pub(super) sent: Option<Sent>,
    /// The number of failures since the last answer.
    pub(super) failures: u32,
    /// The time of the first failure since the last answer.
    pub(super) failing_since: Option<Duration>,
    /// No request may be sent before this time.
    pub(super) not_before: Duration,
    /// The delay before the next request if answers bring no progress.
    pause: Duration,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: Duration,
    /// The position of the data in the up stream.
    pub(super) up: u64,
    /// The number of data bytes.
    pub(super) length: usize,
    /// The number of down positions that the request acknowledges.
    pub(super) down: u64,
    /// The time for which the server may hold the request.
    pub(super) hold: Duration,
    /// The token has been replaced since.
    pub(super) is_outdated: bool,
}

impl Lane {
    /// Records a failure, after which the request is repeated. `jitter` is a fraction. Returns
    /// `false` if the lane has failed for the whole `limit`.
    pub(super) fn fail(
        &mut self,
        now: Duration,
        limit: Duration,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> bool {
        let since = *self.failing_since.get_or_insert(now);
        if now.saturating_sub(since) >= limit {
            return false;
        }
        let exponent = self.failures.min(16);
        let delay = (MIN_RETRY_DELAY * 2_u32.pow(exponent)).min(MAX_RETRY_DELAY).mul_f64(0.5 + jitter);
        self.failures += 1;
        self.not_before = now + retry_after.unwrap_or(delay);
        true
    }

    /// Records an answer.
    pub(super) fn succeed(&mut self) {
        (self.failures, self.failing_since) = (0, None);
    }

    /// Postpones the next request, because the last answer brought no progress. The delay starts
    /// with that of a retry and doubles up to `max`.
    pub(super) fn slow_down(&mut self, now: Duration, max: Duration) {
        self.pause = (self.pause * 2).clamp(MIN_RETRY_DELAY, max.max(MIN_RETRY_DELAY));
        self.not_before = now + self.pause;
    }

    /// Ends the delays of [`slow_down`](Self::slow_down).
    pub(super) fn speed_up(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// Shortens the delay of [`slow_down`](Self::slow_down) to its start.
    pub(super) fn hurry(&mut self, now: Duration) {
        if !self.pause.is_zero() && self.failures == 0 {
            self.pause = MIN_RETRY_DELAY;
            self.not_before = self.not_before.min(now + MIN_RETRY_DELAY);
        }
    }
}

/// Numbers that spread the retries of different tunnels. They need not be secret.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// Creates a sequence for the tunnel with this identifier.
    pub(super) fn new(sid: &str) -> Self {
        Self(sid.bytes().fold(1, |all, byte| all * 31 % 0xffff_fff1 + u64::from(byte)))
    }

    /// Returns the next number, from 0 to 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_delay_of_retries_doubles_up_to_its_maximum() {
        let mut lane = Lane::default();
        let delays: Vec<_> = (0..8)
            .map(|_| {
                assert!(lane.fail(ms(0), ms(60_000), None, 0.5));
                lane.not_before.as_millis()
            })
            .collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        lane.succeed();
        assert!(lane.fail(ms(0), ms(60_000), None, 0.0));
        assert_eq!(lane.not_before, ms(50));
        assert!(lane.fail(ms(10), ms(60_000), Some(ms(7000)), 0.9));
        assert_eq!(lane.not_before, ms(7010));
    }

    #[test]
    fn a_lane_fails_for_good_after_the_limit() {
        let mut lane = Lane::default();
        assert!(!Lane::default().fail(ms(5), ms(0), None, 0.0), "no resumption");
        assert!(lane.fail(ms(1000), ms(500), None, 0.0));
        assert!(lane.fail(ms(1499), ms(500), None, 0.0));
        assert!(!lane.fail(ms(1500), ms(500), None, 0.0));
        lane.succeed();
        assert!(lane.fail(ms(1500), ms(500), None, 0.0));
    }

    #[test]
    fn answers_without_progress_slow_the_requests_down() {
        let mut lane = Lane::default();
        let delays: Vec<_> = (0..4)
            .map(|_| {
                lane.slow_down(ms(0), ms(500));
                lane.not_before.as_millis()
            })
            .collect();
        assert_eq!(delays, [100, 200, 400, 500]);
        lane.hurry(ms(50));
        assert_eq!(lane.not_before, ms(150));
        lane.speed_up();
        lane.slow_down(ms(0), ms(500));
        assert_eq!(lane.not_before, ms(100));
    }
}

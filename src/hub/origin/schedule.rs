//! The times at which an origin dials its hub.

use std::time::{Duration, Instant};

/// First delay before dialling again.
const FIRST_REDIAL_DELAY: Duration = Duration::from_millis(200);
/// Maximum delay, to which it doubles.
const MAX_REDIAL_DELAY: Duration = Duration::from_secs(30);
/// Age at which a control connection is replaced, so that balancers can move it to another hub.
const CONTROL_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Maximum delay before the replacement of the connection to a hub that shuts down.
const DRAIN_DELAY: Duration = Duration::from_secs(1);

/// The time of the next attempt. Delays are random, so that many origins do not dial at once.
#[derive(Debug)]
pub(super) struct Schedule {
    next: Instant,
    delay: Duration,
}

impl Schedule {
    /// Dials at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, delay: FIRST_REDIAL_DELAY }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Returns the time until the next attempt.
    pub(super) fn time_left(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Records a connection, which is replaced after 15 minutes (± 20 %).
    pub(super) fn connected(&mut self, now: Instant, random: Option<[u8; 16]>) {
        self.delay = FIRST_REDIAL_DELAY;
        self.next = now + spread(CONTROL_LIFETIME, 20, random);
    }

    /// Records a failure. The next attempt is after the delay (± 50 %), which doubles.
    pub(super) fn failed(&mut self, now: Instant, random: Option<[u8; 16]>) {
        self.next = now + spread(self.delay, 50, random);
        self.delay = (2 * self.delay).min(MAX_REDIAL_DELAY);
    }

    /// Dials within a second.
    pub(super) fn soon(&mut self, now: Instant, random: Option<[u8; 16]>) {
        self.next = now + spread(DRAIN_DELAY / 2, 100, random);
    }

    /// Dials at once, and forgets earlier failures.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Dials at once.
    pub(super) fn now(&mut self, now: Instant) {
        self.next = now;
    }
}

/// Returns a random duration around `middle`, at most `percent` away.
fn spread(middle: Duration, percent: u32, random: Option<[u8; 16]>) -> Duration {
    let byte = random.map_or(128, |bytes| u32::from(bytes[0]));
    let width = middle * percent / 100;
    middle.saturating_sub(width) + 2 * width * byte / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Option<[u8; 16]> = Some([0; 16]);
    const HIGH: Option<[u8; 16]> = Some([255; 16]);

    fn left(schedule: &Schedule, now: Instant) -> Duration {
        schedule.time_left(now)
    }

    #[test]
    fn the_delay_doubles_up_to_its_maximum_and_starts_again_after_a_connection() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        assert!(schedule.is_due(now));
        let mut middle = FIRST_REDIAL_DELAY;
        for _ in 0..20 {
            let random = if middle.subsec_millis().is_multiple_of(3) { LOW } else { HIGH };
            schedule.failed(now, random);
            let expected = if random == LOW { middle / 2 } else { middle * 3 / 2 };
            assert_eq!(left(&schedule, now), expected);
            middle = (2 * middle).min(MAX_REDIAL_DELAY);
        }
        assert_eq!(middle, MAX_REDIAL_DELAY);
        schedule.connected(now, LOW);
        assert_eq!(left(&schedule, now), CONTROL_LIFETIME * 4 / 5);
        schedule.connected(now, HIGH);
        assert_eq!(left(&schedule, now), CONTROL_LIFETIME * 6 / 5);
        schedule.failed(now, LOW);
        assert_eq!(left(&schedule, now), FIRST_REDIAL_DELAY / 2);
    }

    #[test]
    fn a_hub_that_drains_is_replaced_within_a_second() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        schedule.connected(now, LOW);
        schedule.soon(now, HIGH);
        assert_eq!(left(&schedule, now), DRAIN_DELAY);
        schedule.soon(now, LOW);
        assert!(schedule.is_due(now));
    }
}

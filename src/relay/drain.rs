//! The wait before a reset: data already written gets time to arrive, because a reset discards
//! unacknowledged data.

use std::time::{Duration, Instant};

use crate::stream::Stream;

/// The wait ends when the peer has acknowledged nothing for this long.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait ends after this long even if the peer keeps acknowledging data.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval between checks for acknowledgements. The kernel cannot wake us when one arrives.
pub(super) const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A wait for the data that was written to a stream, which is then reset.
pub(super) struct Drain(Progress);

impl Drain {
    /// Starts the wait. `stall_timeout` replaces [`STALL_TIMEOUT`] if it is shorter.
    pub(super) fn new(stall_timeout: Option<Duration>) -> Self {
        let stall_timeout = stall_timeout.map_or(STALL_TIMEOUT, |timeout| timeout.min(STALL_TIMEOUT));
        Self(Progress::new(stall_timeout, Instant::now()))
    }

    /// Marks the stream for a reset if the wait is over. Returns `true` if it is.
    pub(super) fn try_reset(&mut self, stream: &mut dyn Stream) -> bool {
        // If flushing fails, no more bytes can be delivered.
        let _ = stream.flush();
        let is_over = self.0.is_over(stream.undelivered(), Instant::now());
        if is_over {
            stream.reset_on_close();
        }
        is_over
    }
}

struct Progress {
    stall_timeout: Duration,
    started: Instant,
    last_change: Instant,
    undelivered: usize,
}

impl Progress {
    fn new(stall_timeout: Duration, now: Instant) -> Self {
        Self { stall_timeout, started: now, last_change: now, undelivered: usize::MAX }
    }

    /// Returns `true` if all data has arrived or a timeout has expired.
    fn is_over(&mut self, undelivered: usize, now: Instant) -> bool {
        if undelivered < self.undelivered {
            (self.undelivered, self.last_change) = (undelivered, now);
        }
        undelivered == 0
            || now.saturating_duration_since(self.last_change) >= self.stall_timeout
            || now.saturating_duration_since(self.started) >= DRAIN_TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how long the wait takes if the peer acknowledges 1000 bytes, one per `interval`.
    fn wait(stall_timeout: Duration, interval: Duration) -> Duration {
        let start = Instant::now();
        let mut progress = Progress::new(stall_timeout, start);
        let mut waited = Duration::ZERO;
        for undelivered in (0..1000).rev() {
            if progress.is_over(undelivered, start + waited) {
                break;
            }
            waited += interval;
        }
        waited
    }

    /// A slow peer could tie up a `--listen` thread this way.
    #[test]
    fn a_peer_that_acknowledged_one_byte_every_five_seconds_delayed_the_reset_forever() {
        let interval = Duration::from_millis(4900);
        let waited = wait(STALL_TIMEOUT, interval);
        assert!((DRAIN_TIMEOUT..DRAIN_TIMEOUT + interval).contains(&waited), "{waited:?}");
    }

    #[test]
    fn the_reset_waits_while_data_arrives() {
        let interval = Duration::from_millis(10);
        assert_eq!(wait(STALL_TIMEOUT, interval), 999 * interval);
    }

    #[test]
    fn the_reset_comes_after_the_stall_timeout_without_progress() {
        let start = Instant::now();
        let mut progress = Progress::new(STALL_TIMEOUT, start);
        assert!(!progress.is_over(7, start));
        assert!(!progress.is_over(7, start + STALL_TIMEOUT.saturating_sub(DRAIN_POLL_INTERVAL)));
        assert!(progress.is_over(7, start + STALL_TIMEOUT));
    }
}

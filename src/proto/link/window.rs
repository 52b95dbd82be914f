//! The window of a stream's incoming DATA.

use std::time::Duration;

/// The DATA bytes that may be sent on a new stream, and the smallest window.
pub const MIN_WINDOW: u32 = 64 * 1024;

/// The window of incoming DATA: grows while it is what limits the sender.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    size: u32,
    max: u32,
    received: u64,
    /// The bytes that the local side has accepted.
    consumed: u64,
    /// The bytes that the peer may send in all.
    announced: u64,
    /// The value of `consumed` when the current measurement started, and the time.
    measured_from: u64,
    measured_since: Duration,
}

impl ReceiveWindow {
    pub(super) fn new(max: u32, now: Duration) -> Self {
        Self {
            size: MIN_WINDOW,
            max: max.max(MIN_WINDOW),
            received: 0,
            consumed: 0,
            announced: MIN_WINDOW.into(),
            measured_from: 0,
            measured_since: now,
        }
    }

    /// Returns `true` if the peer may send this many bytes.
    pub(super) fn allows(&self, count: usize) -> bool {
        self.received + count as u64 <= self.announced
    }

    pub(super) fn receive(&mut self, count: usize) {
        self.received += count as u64;
    }

    /// Records that the local side has accepted bytes. The window doubles if a whole window was
    /// accepted within two round trips.
    pub(super) fn consume(&mut self, count: usize, now: Duration, round_trip: Option<Duration>) {
        self.consumed += count as u64;
        if self.consumed - self.measured_from < u64::from(self.size) {
            return;
        }
        let elapsed = now.saturating_sub(self.measured_since);
        if round_trip.is_some_and(|round_trip| elapsed <= round_trip.saturating_mul(2)) {
            self.size = self.size.saturating_mul(2).min(self.max);
        }
        (self.measured_from, self.measured_since) = (self.consumed, now);
    }

    /// Returns `true` if the peer should receive a new limit: half of the window is used.
    pub(super) fn needs_update(&self) -> bool {
        self.limit() - self.announced >= u64::from(self.size / 2)
    }

    /// Returns the limit to send in a WINDOW.
    pub(super) fn announce(&mut self) -> u64 {
        self.announced = self.limit();
        self.announced
    }

    fn limit(&self) -> u64 {
        self.consumed + u64::from(self.size)
    }
}

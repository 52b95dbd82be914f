//! The time at which to acknowledge, and the round-trip time.

use std::time::Duration;

/// Maximum time from the arrival of a counted frame to its ACK.
pub const ACK_DELAY: Duration = Duration::from_millis(50);

/// The counted bytes after which an ACK is due at once.
const ACK_BYTES: u64 = 64 * 1024;

/// Minimum time from one PING to the next.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Decides when to acknowledge.
#[derive(Debug, Default)]
pub(super) struct AckTimer {
    acknowledged: u64,
    due_at: Option<Duration>,
}

impl AckTimer {
    /// Starts with the number of bytes that a HELLO has acknowledged.
    pub(super) fn new(acknowledged: u64) -> Self {
        Self { acknowledged, due_at: None }
    }

    /// Records the counted bytes in whole frames.
    pub(super) fn received(&mut self, received: u64, is_urgent: bool, now: Duration) {
        if received == self.acknowledged {
            return;
        }
        if is_urgent || received - self.acknowledged >= ACK_BYTES {
            self.due_at = Some(now);
        } else {
            self.due_at.get_or_insert(now.saturating_add(ACK_DELAY));
        }
    }

    pub(super) fn due_at(&self) -> Option<Duration> {
        self.due_at
    }

    /// Returns `true` if an ACK is due.
    pub(super) fn take(&mut self, received: u64, now: Duration) -> bool {
        let is_due = self.due_at.is_some_and(|due_at| due_at <= now);
        if is_due {
            *self = Self::new(received);
        }
        is_due
    }
}

/// Measures the round-trip time with PING, while data flows.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    latest: Option<Duration>,
    /// The number of the latest PING, and its time until the PONG.
    number: u64,
    sent_at: Option<Duration>,
    /// The earliest time for the next PING.
    not_before: Duration,
    is_flowing: bool,
}

impl RoundTrip {
    /// Continues with a new pipe.
    pub(super) fn restart(&mut self, now: Duration) {
        (self.sent_at, self.not_before, self.is_flowing) = (None, now, false);
    }

    /// Records that data arrived.
    pub(super) fn flow(&mut self, now: Duration) {
        self.is_flowing |= now >= self.not_before;
    }

    /// Returns `true` if a PING is due.
    pub(super) fn needs_ping(&self) -> bool {
        self.is_flowing
    }

    /// Returns the payload of a PING, if one is due.
    pub(super) fn take_ping(&mut self, now: Duration) -> Option<[u8; 8]> {
        if !std::mem::take(&mut self.is_flowing) {
            return None;
        }
        self.number += 1;
        (self.sent_at, self.not_before) = (Some(now), now.saturating_add(PING_INTERVAL));
        Some(self.number.to_be_bytes())
    }

    /// Handles a PONG.
    pub(super) fn pong(&mut self, payload: [u8; 8], now: Duration) {
        if payload == self.number.to_be_bytes()
            && let Some(sent_at) = self.sent_at.take()
        {
            self.latest = Some(now.saturating_sub(sent_at));
        }
    }

    pub(super) fn latest(&self) -> Option<Duration> {
        self.latest
    }
}

/// Minimum time before a dest replaces a pipe that broke.
pub const MIN_REDIAL_DELAY: Duration = Duration::from_millis(100);

/// Maximum time before a dest replaces a pipe that broke.
pub const MAX_REDIAL_DELAY: Duration = Duration::from_secs(5);

/// Returns the time before the next attempt to replace a pipe: doubles with each failure, ± 50 %.
/// `random` is any random number.
#[must_use]
pub fn redial_delay(failures: u32, random: u32) -> Duration {
    let doubled = MIN_REDIAL_DELAY.saturating_mul(1 << failures.min(16));
    let delay = doubled.min(MAX_REDIAL_DELAY);
    delay / 2 + delay.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

//! The lifetime of keys (RFC 4253 §9, RFC 4344 §3).

use std::time::Duration;

/// When to exchange keys again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of bytes in one direction.
    pub bytes: u64,
    /// The number of packets in one direction. After `2^32`, the nonces of `ChaCha20` and
    /// Poly1305 would repeat.
    pub packets: u32,
    /// The time.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 30, packets: 1 << 31, time: Duration::from_secs(3600) }
    }
}

/// The use of the current keys.
#[derive(Debug, Default)]
pub(super) struct Usage {
    sent: Direction,
    received: Direction,
    /// The start of the current keys' lifetime: the first check of the time after the key exchange.
    /// `None` before this check.
    since: Option<Duration>,
}

#[derive(Debug, Default)]
struct Direction {
    bytes: u64,
    packets: u32,
}

impl Direction {
    fn add(&mut self, length: usize) {
        self.bytes = self.bytes.saturating_add(length as u64);
        self.packets = self.packets.saturating_add(1);
    }

    fn is_spent(&self, limits: &Limits) -> bool {
        self.bytes >= limits.bytes || self.packets >= limits.packets
    }
}

impl Usage {
    pub(super) fn sent(&mut self, length: usize) {
        self.sent.add(length);
    }

    pub(super) fn received(&mut self, length: usize) {
        self.received.add(length);
    }

    /// Starts again with new keys.
    pub(super) fn renew(&mut self) {
        self.sent = Direction::default();
        self.received = Direction::default();
        self.since = None;
    }

    pub(super) fn is_spent(&mut self, limits: &Limits, now: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        self.sent.is_spent(limits)
            || self.received.is_spent(limits)
            || now.saturating_sub(since) >= limits.time
    }
}

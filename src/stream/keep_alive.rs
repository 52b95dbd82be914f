//! Detects a peer that is gone: a message that it has to answer, after some time without input.

use std::io;
use std::time::{Duration, Instant};

/// Time limit for input or acknowledged bytes after a Ping. After that, the peer counts as gone.
const PONG_TIMEOUT: Duration = Duration::from_secs(35);

/// Upper bound of the length of a Ping on the wire. Its own acknowledgement proves nothing: a proxy
/// on the way may have sent it.
const PING_LENGTH: u64 = 128;

/// The time since the last input from a peer, and what to do when it gets long.
#[derive(Debug)]
pub struct KeepAlive {
    /// Time without input before a Ping.
    interval: Duration,
    /// Time limit for an answer.
    timeout: Duration,
    /// The number of unanswered Pings in a row after which the peer counts as gone.
    max_pings: u32,
    last_input: Instant,
    /// The last Ping, if the peer has not answered it yet.
    ping: Option<Ping>,
    /// The number of bytes written.
    written: u64,
}

#[derive(Debug)]
struct Ping {
    /// When it was sent, or when the peer has acknowledged bytes since.
    at: Instant,
    /// The number of acknowledged bytes at that time.
    acknowledged: u64,
    /// The number of Pings since the last input or acknowledged bytes.
    count: u32,
}

/// The action to take when a timer expires.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Wait longer.
    Nothing,
    /// Send a Ping.
    Ping,
    /// Report that the peer is gone.
    Failure,
}

impl KeepAlive {
    /// Starts at this time.
    #[must_use]
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, timeout: PONG_TIMEOUT, max_pings: 1, last_input: now, ping: None, written: 0 }
    }

    /// Sends up to `max_pings` Pings in a row, an interval apart, before the peer counts as gone.
    #[must_use]
    pub fn repeating(self, max_pings: u32) -> Self {
        Self { timeout: self.interval, max_pings, ..self }
    }

    /// Records input.
    pub fn received(&mut self, now: Instant) {
        self.last_input = now;
        self.ping = None;
    }

    /// Records written bytes.
    pub fn has_written(&mut self, count: usize) {
        self.written += count as u64;
    }

    /// Returns how long to wait for input.
    #[must_use]
    pub fn time_left(&self, now: Instant) -> Duration {
        let end = match &self.ping {
            None => self.last_input + self.interval,
            Some(ping) => ping.at + self.timeout,
        };
        end.saturating_duration_since(now)
    }

    /// Makes the peer's time for an answer end now.
    #[cfg(test)]
    pub(super) fn expire(&mut self) {
        if let Some(ping) = &mut self.ping {
            ping.at = ping.at.checked_sub(self.timeout).unwrap_or(ping.at);
        }
    }

    /// Returns what is due. `undelivered` of the written bytes have not been acknowledged.
    pub fn due(&mut self, now: Instant, undelivered: usize) -> Due {
        if !self.time_left(now).is_zero() {
            return Due::Nothing;
        }
        let acknowledged = self.written.saturating_sub(undelivered as u64);
        let current = Ping { at: now, acknowledged, count: 1 };
        match &mut self.ping {
            None => {
                self.ping = Some(current);
                Due::Ping
            }
            Some(ping) if acknowledged > ping.acknowledged + u64::from(ping.count) * PING_LENGTH => {
                *ping = current;
                Due::Nothing
            }
            Some(ping) if ping.count < self.max_pings => {
                ping.at = now;
                ping.count += 1;
                Due::Ping
            }
            Some(_) => Due::Failure,
        }
    }

    /// Returns the error for a peer that did not answer.
    pub(super) fn failure(&self) -> io::Error {
        let message = match self.max_pings {
            1 => format!("no answer to a Ping within {} seconds", self.timeout.as_secs()),
            count => format!("no answer to {count} keepalive requests"),
        };
        io::Error::new(io::ErrorKind::ConnectionAborted, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (KeepAlive, Instant) {
        let now = Instant::now();
        (KeepAlive::new(interval(), now), now)
    }

    fn interval() -> Duration {
        Duration::from_secs(25)
    }

    /// Returns the moment before this time.
    fn before(time: Instant) -> Instant {
        time.checked_sub(Duration::from_millis(1)).unwrap_or(time)
    }

    #[test]
    fn input_postpones_a_ping_and_answers_one() {
        let (mut timer, start) = start();
        assert_eq!(timer.due(before(start + interval()), 0), Due::Nothing);
        timer.received(before(start + interval()));
        assert_eq!(timer.due(start + interval(), 0), Due::Nothing);
        let pinged = start + 2 * interval();
        assert_eq!(timer.due(pinged, 0), Due::Ping);
        assert_eq!(timer.time_left(pinged), PONG_TIMEOUT);
        let answered = before(pinged + PONG_TIMEOUT);
        timer.received(answered);
        assert_eq!((timer.time_left(answered), timer.due(answered + interval(), 0)), (interval(), Due::Ping));
    }

    #[test]
    fn a_peer_that_does_not_answer_is_gone() {
        let (mut timer, start) = start();
        assert_eq!(timer.due(start + interval(), 0), Due::Ping);
        // The acknowledgement of the Ping itself does not count.
        timer.has_written(6);
        assert_eq!(timer.due(before(start + interval() + PONG_TIMEOUT), 0), Due::Nothing);
        assert_eq!(timer.due(start + interval() + PONG_TIMEOUT, 0), Due::Failure);
    }

    #[test]
    fn repeated_pings_are_an_interval_apart() {
        let (timer, mut now) = start();
        let mut timer = timer.repeating(3);
        for _ in 0..3 {
            assert_eq!(timer.due(before(now + interval()), 0), Due::Nothing);
            now += interval();
            assert_eq!(timer.due(now, 0), Due::Ping);
            // A proxy acknowledges the Ping.
            timer.has_written(80);
        }
        assert_eq!(timer.due(now + interval(), 0), Due::Failure);
        assert_eq!(timer.failure().to_string(), "no answer to 3 keepalive requests");
        timer.received(now);
        assert_eq!((timer.due(now + interval(), 0), timer.time_left(now)), (Due::Ping, 2 * interval()));
    }

    #[test]
    fn a_slow_upload_keeps_the_connection_while_it_makes_progress() {
        let (mut timer, mut now) = start();
        timer.has_written(100_000);
        now += interval();
        assert_eq!(timer.due(now, 99_000), Due::Ping);
        for undelivered in [98_000, 97_000, 96_000] {
            now += PONG_TIMEOUT;
            assert_eq!(timer.due(now, undelivered), Due::Nothing);
        }
        now += PONG_TIMEOUT;
        assert_eq!(timer.due(now, 96_000), Due::Failure);
    }
}

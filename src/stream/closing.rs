//! Closing a stream without losing what its layers still hold.

use std::io;
use std::time::{Duration, Instant};

use super::{Interest, PollSet, Stream};
use crate::sys::{self, Ready};

/// Time limit for a peer that neither sends nor accepts anything. After that, the remaining data is
/// discarded.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum total time. After that, the remaining data is discarded even if the peer still accepts
/// some. This is enough for a link of about 1 KiB/s to drain the layers.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(300);

/// A stream that is being closed: no more bytes are written or delivered, but its layers still
/// hold bytes for the peer.
#[derive(Debug)]
pub struct Closing {
    started: Instant,
    last_progress: Instant,
    undelivered: usize,
    /// The peer has not sent EOF. Its bytes are read and discarded, because a peer may stop reading
    /// while nobody reads from it.
    reads: bool,
}

impl Closing {
    /// Ends the layers' streams. Returns `None` if nothing is left to be written.
    pub fn begin(stream: &mut dyn Stream) -> Option<Self> {
        if is_finished(stream) {
            return None;
        }
        let now = Instant::now();
        Some(Self { started: now, last_progress: now, undelivered: usize::MAX, reads: true })
    }

    /// Returns the events to wait for.
    #[must_use]
    pub fn interest(&self) -> Interest {
        Interest { read: self.reads, ..Interest::WRITE }
    }

    /// Returns how long to wait.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        remaining(self.started.elapsed(), self.last_progress.elapsed())
    }

    /// Continues when the stream is ready, or after a timeout. Returns `true` if the stream can be
    /// dropped.
    pub fn advance(&mut self, stream: &mut dyn Stream, ready: Ready) -> bool {
        if ready.read && self.reads {
            self.discard(stream);
        }
        if is_finished(stream) {
            return true;
        }
        let undelivered = stream.undelivered();
        if undelivered < self.undelivered || stream.is_resuming() {
            (self.undelivered, self.last_progress) = (undelivered, Instant::now());
        }
        self.timeout().is_zero()
    }

    fn discard(&mut self, stream: &mut dyn Stream) {
        match stream.read(&mut [0; 4096]) {
            Ok(1..) => self.last_progress = Instant::now(),
            Err(error) if sys::is_transient(&error) => {}
            Ok(0) | Err(_) => self.reads = false,
        }
    }
}

/// Closes a stream, and waits until its layers have written everything.
pub fn close(mut stream: Box<dyn Stream>) {
    let Some(mut closing) = Closing::begin(&mut *stream) else { return };
    loop {
        let (want, mut polls) = (closing.interest(), PollSet::default());
        stream.register(want, &mut polls);
        let Ok(events) = polls.wait(Some(closing.timeout())) else { return };
        let ready = events.map(|mut events| stream.ready(want, &mut events)).unwrap_or_default();
        if closing.advance(&mut *stream, ready) {
            return;
        }
    }
}

/// Ends the layers. Returns `true` if none holds any bytes, or the peer does not accept them
/// anymore.
fn is_finished(stream: &mut dyn Stream) -> bool {
    stream.finish().map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |()| true)
}

/// Returns how much longer to wait for the peer.
fn remaining(total: Duration, stalled: Duration) -> Duration {
    CLOSE_TIMEOUT.saturating_sub(total).min(STALL_TIMEOUT.saturating_sub(stalled))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that accepted or sent one byte every few seconds used to hold a session forever.
    #[test]
    fn a_peer_that_trickled_kept_a_closed_layer_forever() {
        let interval = STALL_TIMEOUT.saturating_sub(Duration::from_millis(100));
        let mut elapsed = Duration::ZERO;
        while !remaining(elapsed, Duration::ZERO).is_zero() {
            assert!(remaining(elapsed, interval) <= STALL_TIMEOUT);
            elapsed += interval.min(CLOSE_TIMEOUT.saturating_sub(elapsed));
        }
        assert_eq!(elapsed, CLOSE_TIMEOUT);
        assert!(remaining(Duration::ZERO, STALL_TIMEOUT).is_zero());
    }
}

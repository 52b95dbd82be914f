//! Bytes that a peer has not accepted, and the end of a connection after them.

use std::io;
use std::time::{Duration, Instant};

use crate::stream::Stream;
use crate::sys::{self, Ready};

/// Time for a peer to close its connection after the last bytes for it.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// The bytes for a peer. Owns no memory while the peer accepts everything.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// The number of `bytes` that are written.
    written: usize,
    /// The time since which the peer has accepted nothing.
    stalled_since: Option<Instant>,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Returns `true` if the peer has accepted nothing for this long while bytes wait.
    pub(super) fn has_stalled(&self, now: Instant, limit: Duration) -> bool {
        self.stalled_since.is_some_and(|since| now.saturating_duration_since(since) >= limit)
    }

    /// Writes bytes, and keeps those that the peer does not accept.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn send(&mut self, stream: &mut dyn Stream, bytes: &[u8]) -> io::Result<()> {
        let written = if self.is_empty() { write(stream, bytes)? } else { 0 };
        let rest = &bytes[written..];
        if !rest.is_empty() {
            self.bytes.extend_from_slice(rest);
            self.stalled_since.get_or_insert_with(Instant::now);
        }
        flush(stream)
    }

    /// Writes the bytes that the peer accepts now.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn flush(&mut self, stream: &mut dyn Stream) -> io::Result<()> {
        let count = write(stream, &self.bytes[self.written..])?;
        self.written += count;
        if self.written == self.bytes.len() {
            *self = Self::default();
        } else if count > 0 {
            self.stalled_since = Some(Instant::now());
        }
        flush(stream)
    }
}

/// Writes as many bytes as the stream accepts, and returns their number.
fn write(stream: &mut dyn Stream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Passes on the bytes in layers. A layer that still holds some waits for room itself.
fn flush(stream: &mut dyn Stream) -> io::Result<()> {
    match stream.flush() {
        Err(error) if !sys::is_transient(&error) => Err(error),
        _ => Ok(()),
    }
}

/// The end of a connection: the rest of the output is written, and input is discarded, because a
/// reset could destroy that rest.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Set once everything is written.
    until: Option<Instant>,
}

impl Ending {
    /// Continues. Returns `true` if the connection can be dropped.
    pub(super) fn advance(
        &mut self,
        stream: &mut dyn Stream,
        output: &mut Output,
        ready: Ready,
        buffer: &mut [u8],
    ) -> bool {
        if output.flush(stream).is_err() {
            return true;
        }
        if self.until.is_none() && output.is_empty() {
            self.until = Some(Instant::now() + LINGER_TIMEOUT);
            stream.set_reset_on_exit(false);
            if stream.shut_down_writing().is_err() || flush(stream).is_err() {
                return true;
            }
        }
        ready.read
            && match stream.read(buffer) {
                Ok(0) => output.is_empty(),
                Ok(_) => false,
                Err(error) => !sys::is_transient(&error),
            }
    }

    /// Returns `true` if everything has been written.
    pub(super) fn has_begun(&self) -> bool {
        self.until.is_some()
    }

    /// Returns `true` if the peer has had enough time to close the connection.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

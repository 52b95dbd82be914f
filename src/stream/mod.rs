//! Non-blocking byte streams: the results of connecting, and the two ends of a relay session.
//!
//! A [`Channel`] is a stream without layers. [`Layered`] puts a [`Codec`], such as TLS, on top of
//! any stream, so TLS in TLS is two layers:
//!
//! ```text
//! relay ── read, write ──▶ Layered<Tls> ──▶ Layered<Tls> ──▶ Channel ──▶ socket
//!                          target's TLS     proxy's TLS
//! ```
//!
//! Layers have no thread of their own. They work when their stream is read, written or flushed.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::sys::{self, Channel, Ready};

mod chunk;
mod closing;
mod codec;
mod filtered;
mod keep_alive;
mod layered;
mod poll_set;
mod registration;
#[cfg(test)]
pub(crate) mod testing;
mod waker;

pub use chunk::Chunk;
pub use closing::{Closing, close};
pub use codec::Codec;
pub use filtered::Filtered;
pub use keep_alive::{Due, KeepAlive};
pub use layered::Layered;
pub use poll_set::{Events, Interest, PollSet};
pub use registration::Registration;
pub use waker::{WakeList, Waker};

/// A non-blocking stream of bytes in both directions.
///
/// To wait for it, [`register`](Self::register) it in a [`PollSet`].
pub trait Stream: Send {
    /// Reads available bytes. Returns 0 at EOF.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is available. Any other error ends this direction; bytes received
    /// before it are returned first.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Copies available bytes as [`read`](Self::read) does, but leaves them in the stream.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as many bytes as there is room for. A layer may keep them until
    /// [`flush`](Self::flush) is called.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room. Any other error ends this direction.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Passes on all bytes that layers hold.
    ///
    /// # Errors
    /// `WouldBlock` if some are left. Any other error ends this direction.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Tells the peer that no more bytes follow those already written: a FIN, or `close_notify`
    /// with TLS.
    ///
    /// # Errors
    /// The peer is already gone.
    fn shut_down_writing(&mut self) -> io::Result<()>;

    /// Returns `true` if the peer still sends data after
    /// [`shut_down_writing`](Self::shut_down_writing). Otherwise that method does nothing.
    fn can_half_close(&self) -> bool {
        true
    }

    /// Ends all layers, the outermost first: each adds its closing message once the one above has
    /// passed on everything. A connection without layers stays as it is.
    ///
    /// # Errors
    /// `WouldBlock` if a layer still holds bytes. Any other error means that the peer is gone.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Makes closing the stream abort it, so that the peer does not mistake the close for a clean
    /// EOF. Bytes that have not arrived are discarded, unless a layer has a message of its own for
    /// this.
    fn reset_on_close(&mut self);

    /// Sets whether the connection is reset when the process ends without closing it; see
    /// [`Channel::set_reset_on_exit`].
    fn set_reset_on_exit(&mut self, reset: bool);

    /// Returns the number of written bytes that layers hold or the peer has not acknowledged. Only
    /// Linux reports the latter.
    fn undelivered(&self) -> usize;

    /// Returns how long to wait for input before [`on_time`](Self::on_time) must be called; `None`
    /// for no limit.
    fn time_left(&self) -> Option<Duration> {
        None
    }

    /// Sends a Ping if the peer has sent nothing for some time, or ends the stream with an error if
    /// the peer has not answered one.
    fn on_time(&mut self) {}

    /// Returns `true` while the stream restores a lost connection by itself, for a limited time. A
    /// lack of progress then does not mean that the peer is stuck.
    fn is_resuming(&self) -> bool {
        false
    }

    /// Returns the error of a stream that could not restore its connection, so that the peer has
    /// not received everything.
    fn lost_data(&self) -> Option<io::Error> {
        None
    }

    /// Returns the error hidden by an EOF; see [`Channel::fault`].
    fn fault(&self) -> Option<io::Error> {
        None
    }

    /// Adds to `polls` the descriptors to poll for `want`, and for room to flush the layers.
    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>);

    /// Returns the result for the last [`register`](Self::register), which was called with the same
    /// `want`. All streams must be asked in the order in which they were registered.
    fn ready(&self, want: Interest, events: &mut Events) -> Ready;

    /// Returns the socket if the stream has no layers. Its bytes can be spliced, and the socket can
    /// be passed to another process.
    fn as_channel(&self) -> Option<&Channel> {
        None
    }

    /// Returns the socket below all layers, to find out whether the peer is still connected.
    fn socket(&self) -> Option<&Channel> {
        self.as_channel()
    }

    /// Returns `true` if [`write`](Self::write) never blocks, even without a poll before it.
    fn can_write_unpolled(&self) -> bool {
        true
    }
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn Stream + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// Waits for bytes and reads them. Returns `None` if nothing arrives within `timeout`.
///
/// # Errors
/// Reading or waiting failed.
pub fn read_within(
    stream: &mut dyn Stream,
    buffer: &mut [u8],
    timeout: Duration,
) -> io::Result<Option<usize>> {
    let end = Instant::now() + timeout;
    loop {
        let mut polls = PollSet::default();
        stream.register(Interest::READ, &mut polls);
        if polls.wait(Some(end.saturating_duration_since(Instant::now())))?.is_none() {
            return Ok(None);
        }
        match stream.read(buffer) {
            // Check the time here, too: a wait returns at once while the peer keeps sending.
            Err(error) if sys::is_transient(&error) && Instant::now() >= end => return Ok(None),
            Err(error) if sys::is_transient(&error) => {}
            result => return result.map(Some),
        }
    }
}

impl Stream for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Channel::read(self, buffer)
    }

    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Channel::peek(self, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Channel::write(self, bytes)
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        Channel::shut_down_writing(self)
    }

    fn reset_on_close(&mut self) {
        Channel::reset_on_close(self);
    }

    fn set_reset_on_exit(&mut self, reset: bool) {
        Channel::set_reset_on_exit(self, reset);
    }

    fn undelivered(&self) -> usize {
        Channel::undelivered(self).unwrap_or_default()
    }

    fn fault(&self) -> Option<io::Error> {
        Channel::fault(self)
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        if want.any() {
            polls.push(self, want);
        }
    }

    fn ready(&self, want: Interest, events: &mut Events) -> Ready {
        if want.any() { events.take() } else { Ready::default() }
    }

    fn as_channel(&self) -> Option<&Channel> {
        Some(self)
    }

    fn can_write_unpolled(&self) -> bool {
        Channel::can_write_unpolled(self)
    }
}

#[cfg(test)]
mod tests;

//! A stream with a codec on top of another stream.

use std::io;
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::codec::Codec;
use super::keep_alive::{Due, KeepAlive};
use super::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel, Ready};

/// A stream whose bytes pass through a codec.
///
/// - It holds at most one chunk in each direction: it reads from below only when the codec has no
///   plaintext, and accepts bytes only when all before them have been written.
/// - EOF below without the codec's own EOF is an error, as is a reset.
/// - Dropping it sends the codec's closing message if there is room, unless closing resets the
///   connection. [`close`](super::close()) waits until there is room.
#[derive(Debug)]
pub struct Layered<C: Codec> {
    codec: C,
    below: Box<dyn Stream>,
    /// Received bytes that the codec has not consumed.
    received: Chunk,
    /// Plaintext that was only peeked at.
    peeked: Vec<u8>,
    /// The error to report once all plaintext has been read.
    fault: Option<io::Error>,
    /// The stream below failed while writing. The reason may still arrive in the other direction.
    is_broken: bool,
    /// The closing message has been added.
    is_closed: bool,
    /// Closing the stream resets the connection.
    resets_on_exit: bool,
    keep_alive: Option<KeepAlive>,
}

impl<C: Codec> Layered<C> {
    /// Puts a codec on top of a stream. The codec may already hold plaintext, or bytes to send.
    #[must_use]
    pub fn new(below: Box<dyn Stream>, codec: C) -> Self {
        Self {
            codec,
            below,
            received: Chunk::default(),
            peeked: Vec::new(),
            fault: None,
            is_broken: false,
            is_closed: false,
            resets_on_exit: false,
            keep_alive: None,
        }
    }

    /// Sends a [`ping`](Codec::ping) after this time without input; `None` for never.
    #[must_use]
    pub fn with_keep_alive(mut self, interval: Option<Duration>) -> Self {
        self.keep_alive = interval.map(|interval| KeepAlive::new(interval, Instant::now()));
        self
    }

    /// Sends up to `max_pings` [`ping`](Codec::ping)s in a row, each after this time without input;
    /// `None` for never.
    #[must_use]
    pub fn with_repeated_keep_alive(mut self, interval: Option<Duration>, max_pings: u32) -> Self {
        let timer = |interval| KeepAlive::new(interval, Instant::now()).repeating(max_pings);
        self.keep_alive = interval.map(timer);
        self
    }

    /// Passes received bytes to the codec, and reads more of them if there are none.
    fn receive(&mut self) -> io::Result<()> {
        if self.received.is_empty() {
            match self.received.fill(|buffer| self.below.read(buffer)) {
                Ok(0) => self.fail(self.codec.truncated()),
                Ok(_) => {
                    if let Some(keep_alive) = &mut self.keep_alive {
                        keep_alive.received(Instant::now());
                    }
                }
                Err(error) if sys::is_transient(&error) => {
                    // The stream below may be ready only for the bytes that the layer holds. Write
                    // them, or the caller's next wait returns at once.
                    let _ = self.flush();
                    return Err(error);
                }
                Err(error) => self.fail(error),
            }
        }
        match self.codec.read_wire(self.received.bytes()) {
            Ok(count) => self.received.consume(count),
            Err(error) => self.fail(error),
        }
        // The codec may have an answer, such as a key update. An error shows up in the next write.
        let _ = self.flush();
        Ok(())
    }

    /// Reads from the codec, without the bytes that were peeked at before.
    fn read_codec(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut filled, mut has_received) = (0, false);
        // Fill the buffer from several messages if they have already been received.
        while filled < buffer.len() {
            match self.codec.read_plain(&mut buffer[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                // The codec returns the error again.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return if filled > 0 { Ok(filled) } else { Err(error) };
                }
                Err(_) if !self.received.is_empty() => self.receive()?,
                Err(_) if filled > 0 => return Ok(filled),
                Err(blocked) => match self.take_fault() {
                    Some(fault) => return Err(fault),
                    // A peer that keeps sending messages without plaintext must not keep us here.
                    None if has_received => return Err(blocked),
                    None => {
                        has_received = true;
                        self.receive()?;
                    }
                },
            }
        }
        Ok(filled)
    }

    /// Returns the error that ended the stream. The first reader gets the error itself, whose type
    /// may have a meaning, and later ones a copy of its text.
    fn take_fault(&mut self) -> Option<io::Error> {
        let copy = sys::clone_io_error(self.fault.as_ref()?);
        self.fault.replace(copy)
    }

    /// Ends both directions. Sends the codec's message about it if there is room.
    fn fail(&mut self, cause: io::Error) {
        let _ = self.flush();
        self.received = Chunk::default();
        self.fault.get_or_insert(cause);
        self.break_off();
    }

    /// Ends the direction to the peer.
    fn break_off(&mut self) {
        self.is_broken = true;
        self.codec.wire_written(self.codec.pending_wire().len());
    }

    /// Adds the codec's closing message, once.
    fn close_codec(&mut self) {
        if !self.is_closed && !self.is_broken {
            self.is_closed = true;
            self.codec.close();
        }
    }

    #[cfg(test)]
    pub(super) fn below_channel(&self) -> Option<&Channel> {
        self.below.as_channel()
    }

    #[cfg(test)]
    pub(super) fn keep_alive_mut(&mut self) -> Option<&mut KeepAlive> {
        self.keep_alive.as_mut()
    }

    #[cfg(test)]
    pub(super) fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    fn has_buffered_input(&self) -> bool {
        !self.peeked.is_empty() || self.codec.has_plain() || !self.received.is_empty() || self.fault.is_some()
    }

    /// Returns the events to wait for on the stream below.
    fn interest_below(&self, want: Interest) -> Interest {
        let accepts = self.codec.accepts_plain() || self.fault.is_some();
        Interest {
            read: want.read || (want.write && !accepts),
            write: (want.write && accepts) || !self.codec.pending_wire().is_empty(),
            ..want
        }
    }
}

impl<C: Codec> Stream for Layered<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.peeked.is_empty() {
            let count = self.peeked.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.peeked[..count]);
            self.peeked.drain(..count);
            if self.peeked.is_empty() {
                // An idle session owns no buffer.
                self.peeked = Vec::new();
            }
            return Ok(count);
        }
        self.read_codec(buffer)
    }

    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(room) = buffer.get_mut(self.peeked.len()..).filter(|room| !room.is_empty()) {
            match self.read_codec(room) {
                Ok(count) => self.peeked.extend_from_slice(&room[..count]),
                Err(error) if self.peeked.is_empty() => return Err(error),
                // Reading will return the error again, after the bytes before it.
                Err(_) => {}
            }
        }
        let count = self.peeked.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.peeked[..count]);
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(fault) = &self.fault {
            return Err(sys::clone_io_error(fault));
        }
        self.flush()?;
        if !self.codec.accepts_plain() {
            self.receive()?;
            if !self.codec.accepts_plain() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let count = match self.codec.write_plain(bytes) {
            Err(error) if sys::is_transient(&error) => return Err(error),
            Err(error) => {
                self.fail(sys::clone_io_error(&error));
                return Err(error);
            }
            Ok(count) => count,
        };
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_broken {
            // Discard the bytes that the codec has added since.
            self.break_off();
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while !self.codec.pending_wire().is_empty() {
            match self.below.write(self.codec.pending_wire()) {
                Ok(count) => {
                    self.codec.wire_written(count);
                    if let Some(keep_alive) = &mut self.keep_alive {
                        keep_alive.has_written(count);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // Do not report the error itself: the peer may have sent the reason before it
                // closed the connection, and the next read will return it.
                Err(_) => {
                    self.break_off();
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
        self.below.flush()
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        if self.can_half_close() {
            self.close_codec();
        }
        match self.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            flushed => flushed,
        }
    }

    fn can_half_close(&self) -> bool {
        self.codec.can_half_close()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.close_codec();
        self.flush()?;
        self.below.finish()
    }

    fn reset_on_close(&mut self) {
        if !self.is_broken && self.codec.abort() {
            self.is_closed = true;
            // A reset could destroy the message.
            self.set_reset_on_exit(false);
            return;
        }
        self.break_off();
        self.below.reset_on_close();
    }

    fn set_reset_on_exit(&mut self, reset: bool) {
        self.resets_on_exit = reset;
        self.below.set_reset_on_exit(reset);
    }

    fn undelivered(&self) -> usize {
        self.codec.pending_wire().len() + self.below.undelivered()
    }

    fn time_left(&self) -> Option<Duration> {
        let own = self.keep_alive.as_ref().filter(|_| self.fault.is_none());
        let own = own.map(|keep_alive| keep_alive.time_left(Instant::now()));
        own.into_iter().chain(self.below.time_left()).min()
    }

    fn on_time(&mut self) {
        self.below.on_time();
        let Some(keep_alive) = self.keep_alive.as_mut().filter(|_| self.fault.is_none()) else { return };
        let now = Instant::now();
        match keep_alive.due(now, self.below.undelivered()) {
            Due::Nothing => {}
            Due::Ping => {
                if !self.codec.ping() {
                    keep_alive.received(now);
                }
                // An error shows up in the next write.
                let _ = self.flush();
            }
            Due::Failure => {
                let failure = keep_alive.failure();
                self.fail(failure);
            }
        }
    }

    fn is_resuming(&self) -> bool {
        self.below.is_resuming()
    }

    fn lost_data(&self) -> Option<io::Error> {
        self.below.lost_data()
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        if want.read && self.has_buffered_input() {
            polls.set_ready();
        }
        self.below.register(self.interest_below(want), polls);
    }

    fn ready(&self, want: Interest, events: &mut Events) -> Ready {
        let ready = self.below.ready(self.interest_below(want), events);
        let write = ready.write || (ready.read && !self.codec.accepts_plain());
        Ready { read: ready.read || self.has_buffered_input(), write, ..ready }
    }

    fn socket(&self) -> Option<&Channel> {
        self.below.socket()
    }
}

impl<C: Codec> Drop for Layered<C> {
    fn drop(&mut self) {
        if !self.resets_on_exit {
            self.close_codec();
            let _ = self.flush();
        }
    }
}

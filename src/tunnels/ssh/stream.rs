//! The stream of one channel of a shared connection.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::sync::Arc;

use super::slot::Wake;
use super::state::Shared;
use crate::ssh::connection::ChannelId;
use crate::stream::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel, Ready};

/// A channel of a shared connection. Dropping it closes the channel.
pub struct ChannelStream {
    shared: Arc<Shared>,
    channel: ChannelId,
    /// Bytes that were only peeked at.
    peeked: Vec<u8>,
    /// The channel is closed without an EOF of its own if the stream is dropped.
    resets_on_exit: bool,
    /// The descriptor of a wait outside a reactor, and the other end of its socket pair.
    pair: OnceCell<(Channel, Arc<Channel>)>,
    /// The last wait was for the descriptor.
    waits_for_pair: Cell<bool>,
}

impl ChannelStream {
    pub(super) fn new(shared: Arc<Shared>, channel: ChannelId) -> Self {
        Self {
            shared,
            channel,
            peeked: Vec::new(),
            resets_on_exit: false,
            pair: OnceCell::new(),
            waits_for_pair: Cell::new(false),
        }
    }

    /// Returns both ends of the socket pair; `None` if descriptors are short.
    fn pair(&self) -> Option<&(Channel, Arc<Channel>)> {
        if self.pair.get().is_none() {
            let (reader, writer) = sys::channel_pair().ok()?;
            let _ = self.pair.set((reader, Arc::new(writer)));
        }
        self.pair.get()
    }
}

impl Drop for ChannelStream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if !self.resets_on_exit {
            let _ = state.end(self.channel);
        }
        state.close(self.channel);
    }
}

impl fmt::Debug for ChannelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelStream")
    }
}

impl Stream for ChannelStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.peeked.is_empty() {
            return self.shared.lock().read(self.channel, buffer);
        }
        let count = self.peeked.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.peeked[..count]);
        self.peeked.drain(..count);
        if self.peeked.is_empty() {
            // An idle session owns no buffer.
            self.peeked = Vec::new();
        }
        Ok(count)
    }

    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(room) = buffer.get_mut(self.peeked.len()..).filter(|room| !room.is_empty()) {
            match self.shared.lock().read(self.channel, room) {
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
        self.shared.lock().write(self.channel, bytes)
    }

    /// Returns `WouldBlock` until the server has opened the channel. The driver of the connection
    /// writes the bytes of the channel.
    fn flush(&mut self) -> io::Result<()> {
        self.shared.lock().confirm(self.channel)
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        self.shared.lock().end(self.channel)
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.end(self.channel)?;
        if state.undelivered(self.channel) == 0 { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Closes the channel. SSH has no message for a reset.
    fn reset_on_close(&mut self) {
        self.resets_on_exit = true;
        self.shared.lock().close(self.channel);
    }

    fn set_reset_on_exit(&mut self, reset: bool) {
        self.resets_on_exit = reset;
    }

    fn undelivered(&self) -> usize {
        self.shared.lock().undelivered(self.channel)
    }

    fn lost_data(&self) -> Option<io::Error> {
        let state = self.shared.lock();
        state.error().filter(|_| state.undelivered(self.channel) > 0)
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        self.waits_for_pair.set(false);
        let mut state = self.shared.lock();
        if state.prepare(self.channel, want) || want.read && !self.peeked.is_empty() {
            polls.set_ready();
        } else if !want.read && !want.write {
            // Only the channel's own events wake the stream.
        } else if let Some(waker) = polls.waker() {
            state.wait(self.channel, want, Wake::Task(waker));
        } else if let Some((reader, writer)) = self.pair() {
            // Bytes of an earlier wait would end this one.
            let _ = reader.read(&mut [0; 64]);
            state.wait(self.channel, want, Wake::Pair(Arc::clone(writer)));
            self.waits_for_pair.set(true);
            polls.push(reader, Interest::READ);
        } else {
            // Without descriptors, the wait cannot end in time.
            polls.set_ready();
        }
    }

    fn ready(&self, want: Interest, events: &mut Events) -> Ready {
        if self.waits_for_pair.get() {
            events.take();
        }
        let ready = self.shared.lock().ready(self.channel, want);
        Ready { read: ready.read || want.read && !self.peeked.is_empty(), ..ready }
    }
}

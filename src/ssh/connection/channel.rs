//! One channel: its windows, its received data, and its ends.

use std::collections::VecDeque;

use crate::ssh::error::Error;

/// The most data in one message, in both directions.
pub const MAX_DATA: u32 = 32 * 1024;

/// The source of received data (RFC 4254 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `CHANNEL_DATA`.
    Data,
    /// `CHANNEL_EXTENDED_DATA` of type 1.
    Stderr,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each side ends and closes independently")]
pub(super) struct Channel {
    state: State,
    /// The window that the peer had at first. It never gets more.
    initial_window: u32,
    /// The bytes that the peer may still send.
    window: u32,
    /// The bytes that were read and are not yet granted again.
    consumed: u32,
    data: VecDeque<u8>,
    stderr: VecDeque<u8>,
    /// The peer sends no more data.
    has_ended: bool,
    /// The peer has closed the channel.
    has_closed: bool,
    /// EOF is sent.
    is_ended: bool,
    /// CLOSE is sent, or the channel was abandoned while it was opening.
    is_closed: bool,
}

#[derive(Debug)]
enum State {
    /// This side has asked for the channel.
    Opening,
    /// The peer has asked for the channel.
    Asked(Peer),
    Open(Peer),
}

/// The peer's end of a channel.
#[derive(Clone, Copy, Debug)]
struct Peer {
    id: u32,
    /// The bytes that may still be sent.
    window: u32,
    max_data: u32,
}

impl Channel {
    pub(super) fn opening(window: u32) -> Self {
        Self {
            state: State::Opening,
            initial_window: window,
            window,
            consumed: 0,
            data: VecDeque::new(),
            stderr: VecDeque::new(),
            has_ended: false,
            has_closed: false,
            is_ended: false,
            is_closed: false,
        }
    }

    pub(super) fn asked(window: u32, id: u32, peer_window: u32, max_data: u32) -> Self {
        let peer = Peer { id, window: peer_window, max_data: max_data.min(MAX_DATA) };
        Self { state: State::Asked(peer), ..Self::opening(window) }
    }

    /// Records the peer's confirmation. Returns `false` if this side did not ask for it.
    pub(super) fn confirm(&mut self, id: u32, window: u32, max_data: u32) -> bool {
        let is_opening = self.is_opening();
        self.state = State::Open(Peer { id, window, max_data: max_data.min(MAX_DATA) });
        is_opening
    }

    /// Opens a channel that the peer has asked for, and returns the peer's number of it.
    pub(super) fn accept(&mut self) -> u32 {
        if let State::Asked(peer) = self.state {
            self.state = State::Open(peer);
        }
        self.peer()
    }

    /// Returns the peer's number of the channel; 0 before it is known.
    pub(super) fn peer(&self) -> u32 {
        match self.state {
            State::Opening => 0,
            State::Asked(peer) | State::Open(peer) => peer.id,
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening)
    }

    /// Returns `true` if messages about the channel may be sent.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_)) && !self.is_closed
    }

    /// Returns `true` if the channel was abandoned before the peer confirmed it.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_closed
    }

    pub(super) fn window(&self) -> u32 {
        self.window
    }

    pub(super) fn initial_window(&self) -> u32 {
        self.initial_window
    }

    /// Takes received data.
    pub(super) fn receive(&mut self, source: Option<Source>, bytes: &[u8]) -> Result<(), Error> {
        let is_open = matches!(self.state, State::Open(_)) && !self.has_closed;
        if !is_open || self.has_ended {
            return Err(Error::Violation("data on a channel that is not open"));
        }
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MAX_DATA);
        let length = length.ok_or(Error::Violation("more data in a message than was allowed"))?;
        self.window =
            self.window.checked_sub(length).ok_or(Error::Violation("data beyond the channel's window"))?;
        match source.filter(|_| !self.is_closed) {
            Some(Source::Data) => self.data.extend(bytes),
            Some(Source::Stderr) => self.stderr.extend(bytes),
            // Data that nobody reads does not use up the window.
            None => self.consumed += length,
        }
        Ok(())
    }

    /// Takes received data out of the queue. Returns `None` if there is none, and 0 at EOF.
    pub(super) fn read(&mut self, source: Source, buffer: &mut [u8]) -> Option<usize> {
        let has_ended = self.has_ended || self.has_closed;
        let queue = match source {
            Source::Data => &mut self.data,
            Source::Stderr => &mut self.stderr,
        };
        let (front, _) = queue.as_slices();
        let count = front.len().min(buffer.len());
        buffer[..count].copy_from_slice(&front[..count]);
        queue.drain(..count);
        if queue.is_empty() {
            // An idle channel owns no buffer.
            *queue = VecDeque::new();
        }
        self.consumed += u32::try_from(count).unwrap_or(u32::MAX);
        Some(count).filter(|count| *count > 0 || has_ended)
    }

    pub(super) fn is_readable(&self, source: Source) -> bool {
        let queue = if source == Source::Data { &self.data } else { &self.stderr };
        !queue.is_empty() || self.has_ended || self.has_closed
    }

    /// Returns the bytes to grant to the peer, once they are worth a message.
    pub(super) fn window_to_grant(&mut self) -> Option<u32> {
        let is_worth_it = self.consumed >= self.initial_window / 2 && self.is_open();
        if !is_worth_it || self.has_ended || self.has_closed {
            return None;
        }
        self.window += self.consumed;
        Some(std::mem::take(&mut self.consumed))
    }

    /// Records that the peer allows more data.
    pub(super) fn adjust(&mut self, bytes: u32) -> Result<(), Error> {
        let State::Open(peer) = &mut self.state else {
            return Err(Error::Violation("a window for a channel that is not open"));
        };
        peer.window = peer.window.checked_add(bytes).ok_or(Error::Violation("a window of 4 GiB"))?;
        Ok(())
    }

    pub(super) fn has_window(&self) -> bool {
        match self.state {
            State::Open(peer) => peer.window > 0 && !self.is_ended && !self.is_closed && !self.has_closed,
            _ => false,
        }
    }

    /// Uses the peer's window for up to `count` bytes of one message. Returns the peer's number of
    /// the channel, and the number of bytes.
    pub(super) fn take_window(&mut self, count: usize) -> Option<(u32, usize)> {
        if !self.has_window() || count == 0 {
            return None;
        }
        let State::Open(peer) = &mut self.state else { return None };
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(peer.window).min(peer.max_data);
        peer.window -= count;
        usize::try_from(count).ok().map(|count| (peer.id, count))
    }

    /// Ends the direction to the peer. Returns the peer's number if EOF must be sent.
    pub(super) fn end(&mut self) -> Option<u32> {
        let must_send = self.is_open() && !self.is_ended && !self.has_closed;
        self.is_ended |= must_send;
        must_send.then(|| self.peer())
    }

    /// Records the peer's EOF.
    pub(super) fn receive_end(&mut self) {
        self.has_ended = true;
    }

    /// Closes the channel. Returns the peer's number if CLOSE must be sent.
    pub(super) fn close(&mut self) -> Option<u32> {
        self.data = VecDeque::new();
        self.stderr = VecDeque::new();
        self.close_sending()
    }

    /// Closes the channel, but keeps what has been received. Returns the peer's number if
    /// CLOSE must be sent.
    pub(super) fn close_sending(&mut self) -> Option<u32> {
        let must_send = self.is_open();
        self.is_closed = true;
        must_send.then(|| self.peer())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended || self.has_closed
    }

    pub(super) fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Records the peer's CLOSE.
    pub(super) fn receive_close(&mut self) {
        self.has_closed = true;
    }

    /// Returns `true` if both sides have closed the channel, and all received data has been read.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed && self.has_closed && self.data.is_empty() && self.stderr.is_empty()
    }
}

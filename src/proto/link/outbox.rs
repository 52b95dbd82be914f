//! The bytes for the peer: counted frames, which are kept until they are acknowledged, and
//! uncounted frames between them.

use std::collections::VecDeque;

use super::frame::{HEADER, HELLO, Kind, header};

/// Maximum length of the uncounted frames that are sent together: HELLO, or ACK, PING and PONG.
const MAX_UNCOUNTED: usize = HELLO;

/// The bytes for the peer, over any number of pipes.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The counted bytes that are not acknowledged. Begins with a frame.
    held: VecDeque<u8>,
    /// The position of the first byte in `held`.
    acknowledged: u64,
    /// The position of the next byte for the pipe.
    next: u64,
    /// The position after the last byte that any pipe has accepted.
    highest: u64,
    /// The end of the frame that the byte before `next` belongs to.
    frame_end: u64,
    /// Uncounted frames.
    uncounted: Vec<u8>,
    /// The bytes of `uncounted` that the pipe has accepted.
    uncounted_sent: usize,
    /// The number of bytes that the peer has received is known, so that the pipe takes counted
    /// frames.
    is_open: bool,
}

impl Outbox {
    /// Returns the number of counted bytes that are not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.held.len()
    }

    /// Returns the number of counted bytes that the pipe has not accepted.
    pub(super) fn unsent(&self) -> usize {
        offset(self.end(), self.next)
    }

    /// Appends a counted frame.
    pub(super) fn append(&mut self, kind: Kind, stream: u32, payload: &[u8]) {
        self.held.extend(&header(kind, stream, payload.len()));
        self.held.extend(payload);
    }

    /// Continues with a new pipe, which begins with this HELLO.
    pub(super) fn restart(&mut self, hello: Vec<u8>) {
        self.close();
        self.uncounted = hello;
    }

    /// Drops uncounted frames and keeps counted ones, because there is no pipe.
    pub(super) fn close(&mut self) {
        self.uncounted.clear();
        self.uncounted_sent = 0;
        self.is_open = false;
        (self.next, self.frame_end) = (self.acknowledged, self.acknowledged);
    }

    /// Starts sending counted frames, at the position up to which the peer has received them.
    /// Returns `false` if the position is invalid.
    pub(super) fn open(&mut self, received: u64) -> bool {
        if !self.accepts(received) {
            return false;
        }
        self.remove_until(received);
        (self.next, self.frame_end) = (received, received);
        self.is_open = true;
        true
    }

    /// Returns `true` if the peer may have received the counted frames up to this position.
    pub(super) fn accepts(&self, received: u64) -> bool {
        (self.acknowledged..=self.highest).contains(&received) && self.is_frame_start(received)
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Drops what the peer has received. Returns `false` if the position is invalid.
    pub(super) fn acknowledge(&mut self, received: u64) -> bool {
        if received <= self.acknowledged {
            // The ACK repeats an earlier one.
            return true;
        }
        let is_valid = received <= self.next && self.is_frame_start(received);
        if is_valid {
            self.remove_until(received);
        }
        is_valid
    }

    /// Drops the frames that the pipe has not begun, so that the next one is the last.
    pub(super) fn discard_unsent(&mut self) {
        self.held.truncate(offset(self.frame_end, self.acknowledged));
    }

    /// Returns `true` if the next byte begins a frame and no uncounted frames are pending.
    pub(super) fn takes_uncounted(&self) -> bool {
        self.next == self.frame_end && self.uncounted.is_empty()
    }

    /// Adds an uncounted frame, which is sent before other frames. Call only while
    /// [`takes_uncounted`](Self::takes_uncounted), for at most [`MAX_UNCOUNTED`] bytes in all.
    pub(super) fn append_uncounted(&mut self, kind: Kind, payload: [u8; 8]) {
        self.uncounted.extend(header(kind, 0, payload.len()));
        self.uncounted.extend(payload);
        debug_assert!(self.uncounted.len() <= MAX_UNCOUNTED);
    }

    /// Returns bytes for the pipe. They end with a frame if `is_short`.
    pub(super) fn pending(&self, is_short: bool) -> &[u8] {
        if !self.uncounted.is_empty() {
            return &self.uncounted[self.uncounted_sent..];
        }
        if !self.is_open {
            return &[];
        }
        let start = offset(self.next, self.acknowledged);
        let end = if is_short { offset(self.frame_end, self.acknowledged) } else { self.held.len() };
        let (first, second) = self.held.as_slices();
        match start.checked_sub(first.len()) {
            Some(start) => &second[start..end - first.len()],
            None => &first[start..end.min(first.len())],
        }
    }

    /// Removes the first `count` pending bytes, which the pipe has accepted.
    pub(super) fn written(&mut self, count: usize) {
        if !self.uncounted.is_empty() {
            self.uncounted_sent += count;
            if self.uncounted_sent >= self.uncounted.len() {
                self.uncounted = Vec::new();
                self.uncounted_sent = 0;
            }
            return;
        }
        self.next += count as u64;
        self.highest = self.highest.max(self.next);
        while self.frame_end < self.next {
            self.frame_end = self.frame_after(self.frame_end);
        }
    }

    fn end(&self) -> u64 {
        self.acknowledged + self.held.len() as u64
    }

    /// Returns the end of the frame that begins at this position.
    fn frame_after(&self, start: u64) -> u64 {
        let start_index = offset(start, self.acknowledged);
        let byte = |index| u64::from(self.held.get(start_index + index).copied().unwrap_or(0));
        let length = (4..HEADER).fold(0, |length, index| length << 8 | byte(index));
        start + HEADER as u64 + length
    }

    /// Returns `true` if a frame begins at this position, or may be appended there.
    fn is_frame_start(&self, position: u64) -> bool {
        if position > self.end() {
            return false;
        }
        let mut start = self.acknowledged;
        while start < position {
            start = self.frame_after(start);
        }
        start == position
    }

    fn remove_until(&mut self, position: u64) {
        self.held.drain(..offset(position, self.acknowledged));
        self.acknowledged = position;
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
    }
}

/// Returns the number of bytes from `start` to `end`, which are both positions of held bytes.
fn offset(end: u64, start: u64) -> usize {
    usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX)
}

#[cfg(test)]
impl Outbox {
    /// Returns the position after the last byte that a pipe has accepted.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }
}

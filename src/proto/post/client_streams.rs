//! The client's ends of the two streams of a tunnel.

use std::collections::VecDeque;

/// The stream to the server.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The position of the first byte in `held`.
    pub(super) acknowledged: u64,
    pub(super) held: VecDeque<u8>,
    /// The local end has sent EOF, which follows the bytes in `held`.
    pub(super) is_closed: bool,
    pub(super) is_end_acknowledged: bool,
}

/// The stream from the server.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The number of positions received.
    pub(super) received: u64,
    pub(super) has_ended: bool,
    /// The server knows that its EOF has arrived.
    pub(super) is_end_acknowledged: bool,
}

impl Outgoing {
    /// Returns the position after the last byte, and after EOF if there is one.
    pub(super) fn end(&self) -> u64 {
        let is_end_held = self.is_closed && !self.is_end_acknowledged;
        self.acknowledged + self.held.len() as u64 + u64::from(is_end_held)
    }

    /// Appends the first bytes to the body of a request.
    pub(super) fn copy(&self, length: usize, body: &mut Vec<u8>) {
        let (first, second) = self.held.as_slices();
        let in_first = length.min(first.len());
        body.extend_from_slice(&first[..in_first]);
        body.extend_from_slice(&second[..length - in_first]);
    }

    /// Drops what the server has received before this position.
    pub(super) fn acknowledge(&mut self, position: u64) {
        let count = position.saturating_sub(self.acknowledged);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let bytes = count.min(self.held.len());
        self.held.drain(..bytes);
        self.acknowledged += bytes as u64;
        if count > bytes && self.is_closed {
            self.is_end_acknowledged = true;
            self.acknowledged += 1;
        }
    }
}

impl Incoming {
    /// Receives data at a position that is not after the last known one. Returns the new bytes.
    pub(super) fn accept<'a>(&mut self, position: u64, is_eof: bool, data: &'a [u8]) -> &'a [u8] {
        let known = usize::try_from(self.received.saturating_sub(position)).unwrap_or(usize::MAX);
        let new = data.get(known..).unwrap_or_default();
        self.received += new.len() as u64;
        if is_eof && !self.has_ended && self.received == position + data.len() as u64 {
            self.has_ended = true;
            self.received += 1;
        }
        new
    }
}

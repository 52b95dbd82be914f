//! Bytes that are added at the end and taken from the front.

use std::ops::Range;

/// Taken bytes are removed once they are at least this many, and half of the buffer.
const MIN_REMOVED: usize = 64 * 1024;

/// A queue of bytes in one piece.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Buffer {
    bytes: Vec<u8>,
    /// The bytes before this one are taken.
    start: usize,
}

impl Buffer {
    /// Returns the bytes that are left.
    pub(in crate::ssh) fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Returns the vector to which bytes are appended.
    pub(in crate::ssh) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes up to `count` bytes. Returns their place for [`Self::bytes`], which stays valid until
    /// the next call, even if bytes are added.
    pub(in crate::ssh) fn take(&mut self, count: usize) -> Range<usize> {
        self.remove_taken();
        let start = self.start;
        self.start = self.bytes.len().min(start.saturating_add(count));
        start..self.start
    }

    pub(in crate::ssh) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Takes up to `count` bytes, and removes them if that is cheap.
    pub(in crate::ssh) fn discard(&mut self, count: usize) {
        self.take(count);
        self.remove_taken();
    }

    fn remove_taken(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start >= MIN_REMOVED.max(self.bytes.len() / 2) {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}

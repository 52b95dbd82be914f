//! Buffers that own memory only while they hold bytes.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use super::Stream;
use crate::sys;

/// Usual size of a chunk: 64 KiB, with room for what encryption adds to them.
const SIZE: usize = 65 * 1024;

/// Maximum number of free buffers that a thread keeps.
const MAX_FREE: usize = 3;

thread_local! {
    /// Buffers of [`SIZE`] bytes that no stream of this thread uses.
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes on their way through a layer. An idle session has no buffer, because there may be
/// thousands of them.
#[derive(Default)]
pub struct Chunk {
    buffer: Vec<u8>,
    /// The part of `buffer` that holds bytes.
    pending: Range<usize>,
}

impl Chunk {
    /// Returns `true` if there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.pending.clone()]
    }

    /// Removes the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.pending.start += count;
        self.release_if_empty();
    }

    /// Reads from a stream. The chunk must be empty. Returns 0 at EOF.
    pub(super) fn fill(&mut self, source: &mut dyn Stream) -> io::Result<usize> {
        self.allocate()?;
        let result = source.read(&mut self.buffer);
        self.pending = 0..*result.as_ref().unwrap_or(&0);
        self.release_if_empty();
        result
    }

    fn allocate(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            let free = FREE.with_borrow_mut(Vec::pop);
            let new = || sys::try_buffer(SIZE).map(Vec::from);
            self.buffer = free.or_else(new).ok_or(io::ErrorKind::OutOfMemory)?;
        }
        Ok(())
    }

    fn release_if_empty(&mut self) {
        if self.is_empty() {
            let buffer = std::mem::take(self).buffer;
            FREE.with_borrow_mut(|free| {
                if buffer.len() == SIZE && free.len() < MAX_FREE {
                    free.push(buffer);
                }
            });
        }
    }
}

/// Appends bytes. Fails only if memory is short.
impl Write for Chunk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.allocate()?;
        let end = self.pending.end + bytes.len();
        if end > self.buffer.len() {
            self.buffer.try_reserve(end - self.buffer.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
            self.buffer.resize(end, 0);
        }
        self.buffer[self.pending.end..end].copy_from_slice(bytes);
        self.pending.end = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.pending.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_chunk_without_bytes_owns_no_memory() {
        let mut chunk = Chunk::default();
        chunk.write_all(b"some").unwrap();
        chunk.consume(3);
        assert_eq!((chunk.bytes(), chunk.buffer.len()), (&b"e"[..], SIZE));
        chunk.consume(1);
        assert_eq!((chunk.bytes(), chunk.buffer.capacity()), (&b""[..], 0));
    }

    #[test]
    fn a_chunk_grows_and_the_thread_keeps_only_buffers_of_the_usual_size() {
        FREE.with_borrow_mut(Vec::clear);
        let sent: Vec<u8> = b"0123456789abc".iter().copied().cycle().take(2 * SIZE).collect();
        let mut large = Chunk::default();
        sent.chunks(1000).for_each(|part| large.write_all(part).unwrap());
        assert_eq!(large.bytes(), sent);
        large.consume(sent.len());
        assert_eq!(FREE.with_borrow(Vec::len), 0);
        let mut chunks: Vec<Chunk> = (0..2 * MAX_FREE).map(|_| Chunk::default()).collect();
        for chunk in &mut chunks {
            chunk.write_all(b"x").unwrap();
        }
        for chunk in &mut chunks {
            chunk.consume(1);
        }
        assert_eq!(FREE.with_borrow(Vec::len), MAX_FREE);
    }
}

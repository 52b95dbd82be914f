//! Buffers that own memory only while they hold bytes.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

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

    /// Fills the chunk, which must be empty, with a call of `read`. Returns the number of bytes
    /// that `read` returned.
    ///
    /// # Errors
    /// Returns the error of `read`, or fails if memory is short.
    pub fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        self.allocate()?;
        let result = read(&mut self.buffer);
        self.pending = 0..*result.as_ref().unwrap_or(&0);
        self.release_if_empty();
        result
    }

    /// Appends `count` bytes and returns them. The caller must overwrite all of them.
    ///
    /// # Errors
    /// Memory is short.
    pub fn extend(&mut self, count: usize) -> io::Result<&mut [u8]> {
        self.allocate()?;
        let Range { start, end: old_end } = self.pending;
        let end = old_end + count;
        if end > self.buffer.len() && start > 0 {
            self.buffer.copy_within(start..old_end, 0);
            self.pending = 0..old_end - start;
            return self.extend(count);
        }
        if end > self.buffer.len() {
            grow(&mut self.buffer, end)?;
        }
        self.pending.end = end;
        Ok(&mut self.buffer[old_end..end])
    }

    fn allocate(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            match FREE.with_borrow_mut(Vec::pop) {
                Some(free) => self.buffer = free,
                None => grow(&mut self.buffer, SIZE)?,
            }
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
        self.extend(bytes.len())?.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Grows a buffer to this length, or fails if memory is short.
fn grow(buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let missing = length - buffer.len();
    let reserved =
        if buffer.is_empty() { buffer.try_reserve_exact(missing) } else { buffer.try_reserve(missing) };
    reserved.map_err(|_| io::ErrorKind::OutOfMemory)?;
    buffer.resize(length, 0);
    Ok(())
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
    fn a_chunk_reuses_the_room_of_consumed_bytes() {
        let mut chunk = Chunk::default();
        chunk.extend(SIZE).unwrap().fill(b'a');
        chunk.consume(SIZE - 3);
        chunk.write_all(b"bc").unwrap();
        assert_eq!((chunk.bytes(), chunk.buffer.len()), (&b"aaabc"[..], SIZE));
        // An empty extension leaves an unused buffer behind, which the next bytes use.
        chunk.consume(5);
        assert!(chunk.extend(0).unwrap().is_empty() && chunk.is_empty());
        chunk.write_all(b"d").unwrap();
        assert_eq!(chunk.bytes(), b"d");
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

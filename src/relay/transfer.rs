//! Holds the bytes of one direction after they are read and before they are written: in a memory
//! buffer, or in a kernel pipe.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::stream::Stream;
use crate::sys::{Channel, Pipe, try_buffer};

/// Size of a copy buffer, and of a pipe until a bulk transfer makes it grow.
pub(super) const CAPACITY: usize = 64 * 1024;

/// After this many consecutive `EAGAIN`s from splice(2) on descriptors that poll(2) reported ready,
/// fall back to copying.
pub(super) const MAX_SPLICE_RETRIES: u32 = 4;

/// Empty copy buffers and pipes, shared by all sessions of the process.
///
/// A flow takes a buffer or a pipe only while it holds data, so an idle session has none.
/// `--listen` may have thousands of idle sessions. A buffer for each would exhaust memory, and a
/// pipe for each would exceed the limit `pipe-user-pages-soft` (pipe(7)).
#[derive(Debug, Default)]
pub(super) struct Pool {
    buffers: FreeList<Box<[u8]>>,
    pipes: FreeList<Pipe>,
}

impl Pool {
    fn take_buffer(&self) -> io::Result<Box<[u8]>> {
        let buffer = self.buffers.pop().or_else(|| try_buffer(CAPACITY));
        Ok(buffer.ok_or(io::ErrorKind::OutOfMemory)?)
    }

    fn return_buffer(&self, buffer: Box<[u8]>) {
        if buffer.len() == CAPACITY {
            self.buffers.push(buffer);
        }
    }

    /// Takes an empty pipe. Reports a failure to create one as `Unsupported`, so that the caller
    /// falls back to copying.
    fn take_pipe(&self) -> io::Result<Pipe> {
        let pipe = self.pipes.pop().map_or_else(|| Pipe::new(CAPACITY), Ok);
        pipe.map_err(|cause| io::Error::new(io::ErrorKind::Unsupported, cause))
    }

    fn return_pipe(&self, pipe: Pipe) {
        self.pipes.push(pipe);
    }
}

#[derive(Debug)]
struct FreeList<T>(Mutex<Vec<T>>);

impl<T> FreeList<T> {
    /// Maximum number of items kept for reuse; any more are freed.
    const MAX_LEN: usize = 16;

    fn pop(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, item: T) {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if items.len() < Self::MAX_LEN {
            items.push(item);
        }
    }
}

impl<T> Default for FreeList<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A copy buffer, which owns memory only while it holds data.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    /// The part of `bytes` that has been read but not yet written.
    pending: Range<usize>,
}

impl Buffer {
    /// Creates a buffer that holds these bytes, which may be more than `CAPACITY`.
    pub(super) fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { pending: 0..bytes.len(), bytes }
    }

    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.pending.clone()]
    }

    /// Reads into the buffer, which must be empty. Returns 0 at EOF.
    pub(super) fn fill(&mut self, source: &mut dyn Stream, pool: &Pool) -> io::Result<usize> {
        let mut bytes = pool.take_buffer()?;
        let result = source.read(&mut bytes);
        match result {
            Ok(count) if count > 0 => *self = Self { bytes, pending: 0..count },
            _ => pool.return_buffer(bytes),
        }
        result
    }

    /// Writes as much as the sink accepts, and gives up the memory once everything is written.
    pub(super) fn drain(&mut self, sink: &mut dyn Stream, pool: &Pool) -> io::Result<()> {
        self.pending.start += sink.write(self.pending())?;
        if self.pending.is_empty() {
            pool.return_buffer(std::mem::take(self).bytes);
        }
        Ok(())
    }
}

/// Detects bulk transfers, for which a larger pipe pays off: each splice(2) call then moves more.
///
/// The pipes of interactive sessions stay small, because the kernel limits the total capacity of a
/// user's pipes.
#[derive(Default)]
pub(super) struct BulkDetector {
    /// Rises with each large splice and falls with each small one. Even a bulk transfer includes
    /// some small splices, so a single one must not reset the score.
    score: u32,
}

impl BulkDetector {
    /// Minimum size of a large splice: half the initial capacity of a pipe.
    pub(super) const LARGE: usize = CAPACITY / 2;
    /// Weight of a large splice. The score rises while more than one in five is large.
    const LARGE_WEIGHT: u32 = 4;
    /// Score that indicates a bulk transfer: 16 large splices in a row, or 21 alternating with
    /// small ones.
    const THRESHOLD: u32 = 16 * Self::LARGE_WEIGHT;

    /// Records the size of a splice. Returns `true` during a bulk transfer.
    pub(super) fn record(&mut self, count: usize) -> bool {
        self.score = match count {
            Self::LARGE.. => Self::THRESHOLD.min(self.score + Self::LARGE_WEIGHT),
            _ => self.score.saturating_sub(1),
        };
        self.score >= Self::THRESHOLD
    }
}

/// A pipe through which data is spliced from one socket to another. It is taken from the pool when
/// data arrives, and returned once it is empty.
#[derive(Default)]
pub(super) struct SplicePipe {
    pipe: Option<Pipe>,
    /// Number of bytes in the pipe.
    len: usize,
    bulk: BulkDetector,
    /// Consecutive calls that moved nothing into the pipe.
    retries: u32,
}

impl SplicePipe {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Moves bytes from a socket into the pipe, which must be empty. Returns 0 at EOF.
    ///
    /// Fails with `Unsupported` if the socket was ready several times and nothing could be moved.
    /// splice(2) moves nothing before urgent data, which only other calls skip.
    pub(super) fn fill(&mut self, source: &Channel, pool: &Pool) -> io::Result<usize> {
        let mut pipe = pool.take_pipe()?;
        let result = pipe.fill(source);
        match result {
            Ok(count) if count > 0 => {
                if self.bulk.record(count) {
                    pipe.grow();
                }
                (self.pipe, self.len, self.retries) = (Some(pipe), count, 0);
                return result;
            }
            _ => pool.return_pipe(pipe),
        }
        let is_blocked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.retries += u32::from(result.as_ref().is_err_and(is_blocked));
        if self.retries > MAX_SPLICE_RETRIES {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "nothing can be moved"));
        }
        result
    }

    /// Moves bytes from the pipe to a socket.
    pub(super) fn drain(&mut self, sink: &Channel, pool: &Pool) -> io::Result<()> {
        if let Some(pipe) = &self.pipe {
            self.len -= pipe.drain(sink, self.len)?;
        }
        if self.is_empty()
            && let Some(pipe) = self.pipe.take()
        {
            pool.return_pipe(pipe);
        }
        Ok(())
    }

    /// Reads the contents of the pipe into memory, and drops the pipe.
    pub(super) fn unload(&mut self) -> io::Result<Buffer> {
        let mut bytes = try_buffer(self.len).ok_or(io::ErrorKind::OutOfMemory)?;
        self.len = 0;
        if let Some(pipe) = self.pipe.take() {
            let mut rest = &mut bytes[..];
            while !rest.is_empty() {
                let count = pipe.read(rest)?;
                rest = &mut rest[count..];
            }
        }
        Ok(Buffer::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::sys;

    /// Returns a channel and the stream at its other end.
    fn connected() -> (Channel, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (Channel::socket(stream), peer)
    }

    fn wait_to_read(channel: &Channel) {
        sys::poll(&mut [sys::watch(channel, true, false)], None).unwrap();
    }

    /// Each idle session used to keep a 64 KiB buffer for each direction that had ever copied data.
    #[test]
    fn a_drained_copy_buffer_stayed_allocated() {
        let (mut source, mut sender) = connected();
        let (mut sink, _receiver) = connected();
        let (pool, mut buffer) = (Pool::default(), Buffer::default());
        for _ in 0..3 {
            sender.write_all(b"some").unwrap();
            wait_to_read(&source);
            assert_eq!(buffer.fill(&mut source, &pool).unwrap(), 4);
            assert_eq!((buffer.pending(), buffer.bytes.len()), (&b"some"[..], CAPACITY));
            buffer.drain(&mut sink, &pool).unwrap();
            assert_eq!((buffer.pending(), buffer.bytes.len()), (&b""[..], 0));
            // The next session reuses the memory.
            assert_eq!(pool.buffers.0.lock().unwrap().len(), 1);
        }
        assert_eq!(buffer.fill(&mut source, &pool).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(buffer.bytes.len(), 0, "after a read that returned nothing");
    }

    #[test]
    fn the_pool_keeps_a_bounded_number_of_buffers() {
        let pool = Pool::default();
        for _ in 0..100 {
            pool.return_buffer(vec![0; CAPACITY].into());
        }
        pool.return_buffer(vec![0; 2 * CAPACITY].into());
        let buffers = pool.buffers.0.lock().unwrap();
        assert_eq!(buffers.len(), FreeList::<Box<[u8]>>::MAX_LEN);
        assert!(buffers.iter().all(|buffer| buffer.len() == CAPACITY));
    }

    /// This happens when splice(2) into the pipe works, but splice(2) out of it does not.
    #[test]
    fn the_content_of_a_pipe_can_be_read_into_memory() {
        let pool = Pool::default();
        let mut pipe = SplicePipe::default();
        let (source, mut sender) = connected();
        sender.write_all(b"held").unwrap();
        wait_to_read(&source);
        match pipe.fill(&source, &pool) {
            Ok(count) => assert_eq!((count, pipe.is_empty()), (4, false)),
            // This system lacks splice(2).
            Err(error) => return assert!(sys::cannot_be_spliced(&error), "{error}"),
        }
        assert_eq!(pipe.unload().unwrap().pending(), b"held");
        assert!(
            pool.pipes.0.lock().unwrap().is_empty(),
            "a pipe that was not drained in the usual way was returned to the pool"
        );
    }

    /// A grown pipe can hold more data than a copy buffer.
    #[test]
    fn the_content_of_a_grown_pipe_can_be_read_into_memory() {
        const SIZE: usize = 2 * CAPACITY;
        let pool = Pool::default();
        let mut pipe = match pool.take_pipe() {
            Ok(pipe) => pipe,
            // This system lacks splice(2).
            Err(error) => return assert!(sys::cannot_be_spliced(&error), "{error}"),
        };
        pipe.grow();
        pool.return_pipe(pipe);
        let mut pipe = SplicePipe::default();
        let (source, mut sender) = connected();
        let sent: Vec<u8> = b"0123456789abc".iter().copied().cycle().take(SIZE).collect();
        let writer = std::thread::spawn({
            let sent = sent.clone();
            // Returning the stream keeps it open until the test is done.
            move || sender.write_all(&sent).map(|()| sender)
        });
        while source.peek(&mut vec![0; SIZE]).unwrap_or_default() <= CAPACITY {
            std::thread::yield_now();
        }
        let count = pipe.fill(&source, &pool).unwrap();
        assert!(count > CAPACITY, "{count}");
        assert_eq!(pipe.unload().unwrap().pending(), &sent[..count]);
        drop(source);
        let _ = writer.join();
    }

    /// Records splices of these sizes, over and over. Returns how many it takes until a bulk
    /// transfer is detected, or `None` if that never happens.
    fn transfers_until_bulk(sizes: &[usize]) -> Option<usize> {
        let mut bulk = BulkDetector::default();
        sizes.iter().cycle().take(1000).position(|&size| bulk.record(size)).map(|before| before + 1)
    }

    #[test]
    fn sixteen_large_transfers_in_a_row_are_bulk() {
        assert_eq!(transfers_until_bulk(&[BulkDetector::LARGE]), Some(16));
        assert_eq!(transfers_until_bulk(&[BulkDetector::LARGE - 1]), None);
        assert_eq!(transfers_until_bulk(&[CAPACITY, 10, 10, 10, 10]), None, "an occasional screenful");
    }

    /// A reader that empties a pipe piecemeal makes every other splice small. The pipe used to stay
    /// at 64 KiB for the whole download.
    #[test]
    fn large_transfers_alternating_with_small_ones_were_not_bulk() {
        assert_eq!(transfers_until_bulk(&[10, CAPACITY]), Some(42));
    }
}

//! What the bytes of one direction are in on their way: memory, or a pipe inside the kernel.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::sys::{Channel, Pipe};

/// The most bytes that one direction holds in memory; also what a pipe holds unless it is [`Bulk`].
pub(super) const CAPACITY: usize = 64 * 1024;

/// Memory. It is taken when it is first filled.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    /// What has been read and not yet written.
    pending: Range<usize>,
}

impl Buffer {
    /// Holds these bytes, which may be more than it will be filled with later.
    pub(super) fn holding(mut bytes: Vec<u8>) -> Self {
        let pending = 0..bytes.len();
        bytes.resize(CAPACITY.max(bytes.len()), 0);
        Self { bytes: bytes.into(), pending }
    }

    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.pending.clone()]
    }

    /// Reads into it, which must be empty. No bytes are the end.
    pub(super) fn fill(&mut self, from: &Channel) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; CAPACITY].into();
        }
        let count = from.read(&mut self.bytes)?;
        self.pending = 0..count;
        Ok(count)
    }

    /// Writes from it.
    pub(super) fn drain(&mut self, to: &Channel) -> io::Result<()> {
        self.pending.start += to.write(self.pending())?;
        Ok(())
    }
}

/// Pipes that are empty and not in use, for all sessions of the process: a session has one only while there are bytes
/// in it, so that many sessions need few. They would soon reach the limit of `pipe-user-pages-soft` (see pipe(7)).
#[derive(Debug, Default)]
pub struct Pipes {
    idle: Mutex<Vec<Pipe>>,
}

impl Pipes {
    /// How many are kept.
    const KEPT: usize = 16;

    /// An empty pipe. That none can be had is no worse than that none can be used.
    fn take(&self) -> io::Result<Pipe> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Pipe::new(CAPACITY), Ok)
            .map_err(|cause| io::Error::new(io::ErrorKind::Unsupported, cause))
    }

    fn give_back(&self, pipe: Pipe) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::KEPT {
            idle.push(pipe);
        }
    }
}

/// Tells when much is being moved, and a pipe should be wider: each call then moves more, and there are fewer of them.
/// The pipes of an idle session stay as they are, for the system counts what all pipes of a user could hold.
#[derive(Default)]
pub(super) struct Bulk {
    /// It rises with each large move and falls with each other one, which no large transfer is without.
    score: u32,
}

impl Bulk {
    /// Half of what a pipe holds from the start.
    pub(super) const LARGE: usize = CAPACITY / 2;
    /// What a large move adds. One in five of them keeps the score where it is.
    const RISE: u32 = 4;
    /// Sixteen in a row, or half as many again with as many others among them.
    const ENOUGH: u32 = 16 * Self::RISE;

    /// So much was moved. Returns whether much is.
    pub(super) fn moved(&mut self, count: usize) -> bool {
        self.score = match count {
            Self::LARGE.. => Self::ENOUGH.min(self.score + Self::RISE),
            _ => self.score.saturating_sub(1),
        };
        self.score >= Self::ENOUGH
    }
}

/// A pipe inside the kernel, while there is something in it.
pub(super) struct Conduit<'a> {
    pipes: &'a Pipes,
    pipe: Option<Pipe>,
    /// How many bytes are in it.
    held: usize,
    bulk: Bulk,
}

impl<'a> Conduit<'a> {
    pub(super) fn new(pipes: &'a Pipes) -> Self {
        Self { pipes, pipe: None, held: 0, bulk: Bulk::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Moves bytes from a socket into it, which must be empty. No bytes are the end.
    pub(super) fn fill(&mut self, from: &Channel) -> io::Result<usize> {
        let mut pipe = self.pipes.take()?;
        let filled = pipe.fill(from);
        match filled {
            Ok(count) if count > 0 => {
                if self.bulk.moved(count) {
                    pipe.grow();
                }
                (self.pipe, self.held) = (Some(pipe), count);
            }
            _ => self.pipes.give_back(pipe),
        }
        filled
    }

    /// Moves bytes from it to a socket.
    pub(super) fn drain(&mut self, to: &Channel) -> io::Result<()> {
        if let Some(pipe) = &self.pipe {
            self.held -= pipe.drain(to, self.held)?;
        }
        if self.is_empty()
            && let Some(pipe) = self.pipe.take()
        {
            self.pipes.give_back(pipe);
        }
        Ok(())
    }

    /// Takes what it holds into memory.
    pub(super) fn unload(&mut self) -> io::Result<Buffer> {
        let mut bytes = vec![0; std::mem::take(&mut self.held)];
        if let Some(pipe) = self.pipe.take() {
            let mut rest = &mut bytes[..];
            while !rest.is_empty() {
                let count = pipe.read(rest)?;
                rest = &mut rest[count..];
            }
        }
        Ok(Buffer::holding(bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::sys;

    /// A channel, and the stream at its other end.
    fn connected() -> (Channel, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        (Channel::socket(near), far)
    }

    /// Nothing else can take back what a pipe holds when its sink turns out not to be one for splice(2).
    #[test]
    fn what_a_pipe_holds_can_be_taken_into_memory() {
        let pipes = Pipes::default();
        let mut conduit = Conduit::new(&pipes);
        let (near, mut far) = connected();
        far.write_all(b"held").unwrap();
        sys::poll(&mut [sys::watch(&near, true, false)], None).unwrap();
        match conduit.fill(&near) {
            Ok(count) => assert_eq!((count, conduit.is_empty()), (4, false)),
            // A system without splice.
            Err(error) => return assert!(sys::cannot_be_spliced(&error), "{error}"),
        }
        assert_eq!(conduit.unload().unwrap().pending(), b"held");
        assert!(
            pipes.idle.lock().unwrap().is_empty(),
            "a pipe that was not emptied by its own is not used again"
        );
    }

    /// That is more than memory otherwise has room for.
    #[test]
    fn what_a_wide_pipe_holds_can_be_taken_into_memory() {
        const MUCH: usize = 2 * CAPACITY;
        let pipes = Pipes::default();
        let mut pipe = match pipes.take() {
            Ok(pipe) => pipe,
            // A system without splice.
            Err(error) => return assert!(sys::cannot_be_spliced(&error), "{error}"),
        };
        pipe.grow();
        pipes.give_back(pipe);
        let mut conduit = Conduit::new(&pipes);
        let (near, mut far) = connected();
        let sent: Vec<u8> = b"0123456789abc".iter().copied().cycle().take(MUCH).collect();
        let writer = std::thread::spawn({
            let sent = sent.clone();
            // The far end stays open until the test has what it wants.
            move || far.write_all(&sent).map(|()| far)
        });
        while near.peek(&mut vec![0; MUCH]).unwrap_or_default() <= CAPACITY {
            std::thread::yield_now();
        }
        let count = conduit.fill(&near).unwrap();
        assert!(count > CAPACITY, "{count}");
        assert_eq!(conduit.unload().unwrap().pending(), &sent[..count]);
        drop(near);
        let _ = writer.join();
    }

    /// How many moves of these sizes, over and over, there are until they are much, if they ever are.
    fn until_much(sizes: &[usize]) -> Option<usize> {
        let mut bulk = Bulk::default();
        sizes.iter().cycle().take(1000).position(|&size| bulk.moved(size)).map(|before| before + 1)
    }

    #[test]
    fn much_is_half_a_pipe_for_a_while() {
        assert_eq!(until_much(&[Bulk::LARGE]), Some(16));
        assert_eq!(until_much(&[Bulk::LARGE - 1]), None);
        assert_eq!(until_much(&[CAPACITY, 10, 10, 10, 10]), None, "a screen now and then");
    }

    /// A pipe that its reader empties in pieces is seldom filled in one: every other move was small, and it stayed at
    /// 64 KiB for all of a download.
    #[test]
    fn large_moves_with_small_ones_between_them_are_much_as_well() {
        assert_eq!(until_much(&[10, CAPACITY]), Some(42));
    }
}

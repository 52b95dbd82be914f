//! The parts of a file that are read ahead, and returned in order.

use std::collections::VecDeque;

use super::event::{MAX_DATA, MAX_REQUESTS};
use crate::ssh::sftp::wire::Status;
use crate::ssh::wire::Malformed;

/// Reads do not become shorter than this, however short the server's replies are.
const MIN_READ: u32 = 4096;

/// A part of the file.
#[derive(Debug)]
struct Chunk {
    number: u64,
    offset: u64,
    length: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Sent,
    Received(Vec<u8>),
    /// The file ends here, or the server has failed to read.
    Ended(Status),
}

/// A read to request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) number: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// Something whose turn it is.
#[derive(Debug)]
pub(super) enum Returned {
    /// Data that had to wait.
    Data(Vec<u8>),
    /// The end of the file, or a failure.
    End(Status),
}

#[derive(Debug)]
pub(super) struct ReadAhead {
    /// The expected size of the file.
    size: u64,
    /// The parts that were requested and not yet returned, in the order of the file.
    chunks: VecDeque<Chunk>,
    next_number: u64,
    next_offset: u64,
    /// The most bytes of a read.
    read_length: u32,
    /// The number of reads beyond the expected size. The first one is to find the end of the file;
    /// they become more while the file proves to be longer.
    reads_beyond: usize,
    /// A read has found the end of the file, or an error.
    has_ended: bool,
}

impl ReadAhead {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            chunks: VecDeque::new(),
            next_number: 0,
            next_offset: 0,
            read_length: MAX_DATA,
            reads_beyond: 1,
            has_ended: false,
        }
    }

    /// Returns the next read, which the caller requests. `may_add` allows reading further ahead.
    pub(super) fn next_read(&mut self, max_length: u32, may_add: bool) -> Option<Read> {
        self.read_length = self.read_length.min(max_length);
        if may_add && !self.chunks.iter().any(Chunk::is_new) {
            self.add_chunk();
        }
        let chunk = self.chunks.iter_mut().find(|chunk| chunk.is_new())?;
        chunk.state = State::Sent;
        Some(Read { number: chunk.number, offset: chunk.offset, length: chunk.length })
    }

    /// Adds the next part of the file if reading further ahead makes sense.
    fn add_chunk(&mut self) {
        let beyond = self.chunks.iter().rev().take_while(|chunk| chunk.offset >= self.size).count();
        let is_beyond = self.next_offset >= self.size;
        let is_enough = self.chunks.len() >= MAX_REQUESTS || is_beyond && beyond >= self.reads_beyond;
        if self.has_ended || is_enough {
            return;
        }
        let left = if is_beyond { u64::MAX } else { self.size - self.next_offset };
        let length = self.read_length.min(u32::try_from(left).unwrap_or(u32::MAX));
        let chunk = self.chunk(self.next_offset, length);
        self.chunks.push_back(chunk);
        self.next_offset = self.next_offset.saturating_add(length.into());
    }

    fn chunk(&mut self, offset: u64, length: u32) -> Chunk {
        self.next_number += 1;
        Chunk { number: self.next_number, offset, length, state: State::New }
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.chunks.iter().position(|chunk| chunk.number == number)
    }

    /// Processes the data of a read. Returns `true` if they are the next bytes of the file;
    /// otherwise keeps them. Data after the end of the file have no effect.
    ///
    /// # Errors
    /// The data are empty, or longer than requested.
    pub(super) fn receive(&mut self, number: u64, data: &[u8]) -> Result<bool, Malformed> {
        let Some(index) = self.index(number) else { return Ok(false) };
        let length = u32::try_from(data.len()).map_err(|_| Malformed)?;
        if length == 0 || length > self.chunks[index].length {
            return Err(Malformed);
        }
        self.adapt(index, length);
        self.split_off_rest(index, length);
        if index == 0 {
            self.chunks.pop_front();
        } else {
            self.chunks[index].state = State::Received(data.to_vec());
        }
        Ok(index == 0)
    }

    /// Processes a status other than success.
    pub(super) fn end(&mut self, number: u64, status: Status) {
        if let Some(index) = self.index(number) {
            self.has_ended = true;
            self.chunks.truncate(index + 1);
            self.chunks[index].state = State::Ended(status);
        }
    }

    /// Returns what was kept and is next.
    pub(super) fn next_returned(&mut self) -> Option<Returned> {
        if matches!(self.chunks.front()?.state, State::New | State::Sent) {
            return None;
        }
        match self.chunks.pop_front()?.state {
            State::Received(data) => Some(Returned::Data(data)),
            State::Ended(status) => Some(Returned::End(status)),
            State::New | State::Sent => None,
        }
    }

    /// Adapts the following reads to a reply of this length.
    fn adapt(&mut self, index: usize, length: u32) {
        let chunk = &self.chunks[index];
        if chunk.offset >= self.size {
            self.reads_beyond = (self.reads_beyond * 2).min(MAX_REQUESTS);
        } else if length < chunk.length {
            self.read_length = self.read_length.min(length.max(MIN_READ));
        }
    }

    /// Adds a part for the bytes that the server has not returned.
    fn split_off_rest(&mut self, index: usize, length: u32) {
        let Chunk { offset, length: requested, .. } = self.chunks[index];
        if length < requested {
            let rest = self.chunk(offset.saturating_add(length.into()), requested - length);
            self.chunks.insert(index + 1, rest);
        }
    }

    /// Returns the number of parts that are kept.
    pub(super) fn kept(&self) -> usize {
        self.chunks.iter().filter(|chunk| matches!(chunk.state, State::Received(_))).count()
    }

    /// Returns about how many reads follow.
    pub(super) fn remaining(&self, max_length: u32) -> usize {
        if self.has_ended {
            return 0;
        }
        let left = self.size.saturating_sub(self.next_offset);
        let reads = usize::try_from(left / u64::from(max_length)).unwrap_or(usize::MAX);
        // While the file is longer than expected, it may continue.
        let beyond = if self.reads_beyond > 1 { MAX_REQUESTS } else { 0 };
        let first = usize::from(self.next_offset == 0);
        reads.saturating_add(beyond).saturating_add(first)
    }

    /// Continues at this offset, to test large offsets.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.chunks.clear();
        self.next_offset = offset;
    }
}

impl Chunk {
    fn is_new(&self) -> bool {
        matches!(self.state, State::New)
    }
}

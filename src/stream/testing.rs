//! A codec for tests that does little.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io::{self, Read};

use super::codec::Codec;

/// A codec for messages of at most 200 bytes, each after its length. An empty one ends the stream;
/// a length of 254 is ignored, and one of 255 is invalid.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    received: Vec<u8>,
    plain: VecDeque<u8>,
    has_ended: bool,
    pub(crate) wire: Vec<u8>,
}

impl Codec for Frames {
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            self.received.push(*byte);
            match self.received[0] {
                255 => return Err(io::ErrorKind::InvalidData.into()),
                0 => self.has_ended = true,
                254 => {
                    self.received.clear();
                    continue;
                }
                length if usize::from(length) < self.received.len() => {
                    self.plain.extend(self.received.drain(..).skip(1));
                }
                _ => continue,
            }
            return Ok(index + 1);
        }
        Ok(bytes.len())
    }

    fn truncated(&self) -> io::Error {
        io::ErrorKind::UnexpectedEof.into()
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.plain.read(buffer)? {
            0 if !self.has_ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn has_plain(&self) -> bool {
        !self.plain.is_empty() || self.has_ended
    }

    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(200);
        self.wire.push(u8::try_from(count).unwrap());
        self.wire.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn pending_wire(&self) -> &[u8] {
        &self.wire
    }

    fn wire_written(&mut self, count: usize) {
        self.wire.drain(..count);
    }

    fn close(&mut self) {
        self.wire.push(0);
    }

    fn ping(&mut self) -> bool {
        self.wire.push(254);
        true
    }
}

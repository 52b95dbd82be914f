//! End-to-end encryption with a shared key: `Noise_NNpsk0_25519_AESGCM_SHA256`.
//!
//! A dest and an origin that share a key perform a [`Handshake`] on each pipe, and encrypt what
//! follows with [`Noise`]. The hub between them sees neither the key nor the data. A message is
//! `length u16 | encrypted bytes | tag`, and message boundaries have no meaning.

use std::fmt;
use std::io::{self, Read};

use snow::TransportState;

use crate::stream::{Chunk, Codec};
use crypto::TAG;

mod crypto;
mod handshake;
#[cfg(test)]
mod tests;

pub use handshake::{Handshake, HandshakeError};

/// Maximum number of bytes in one message.
const MAX_PLAIN: usize = 0xffff - TAG;

/// An established connection. It holds at most one message in each direction. It has no message
/// that ends the stream, which is up to what it carries.
pub struct Noise {
    state: TransportState,
    /// The start of a message from the peer, with its length.
    received: Chunk,
    plain: Chunk,
    wire: Chunk,
}

impl Noise {
    /// Continues after a handshake. Returns `None` if it has not finished.
    ///
    /// # Errors
    /// Memory is short.
    pub fn new(handshake: Handshake) -> io::Result<Option<Self>> {
        let Some((state, pending)) = handshake.into_transport() else { return Ok(None) };
        let mut wire = Chunk::default();
        if !pending.is_empty() {
            io::Write::write_all(&mut wire, &pending)?;
        }
        Ok(Some(Self { state, received: Chunk::default(), plain: Chunk::default(), wire }))
    }

    /// Decrypts a message without its length.
    fn decrypt(state: &mut TransportState, plain: &mut Chunk, message: &[u8]) -> io::Result<()> {
        let length = message.len().checked_sub(TAG).ok_or_else(malformed)?;
        let mut result = Ok(0);
        plain.fill(|buffer| {
            let buffer = &mut buffer[..length];
            result = state.read_message(message, buffer);
            // Nothing of a message that does not decrypt may be read.
            Ok(result.as_ref().map_or(0, |count| *count))
        })?;
        result.map(|_| ()).map_err(|_| malformed())
    }

    /// Returns the length of the message in `bytes`, with the length itself.
    fn framed_length(bytes: &[u8]) -> Option<usize> {
        let length = bytes.first_chunk()?;
        Some(2 + usize::from(u16::from_be_bytes(*length)))
    }

    /// Consumes bytes of a message that arrives in pieces.
    fn collect<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let missing = match Self::framed_length(self.received.bytes()) {
            Some(length) => length - self.received.bytes().len(),
            None => 2 - self.received.bytes().len(),
        };
        let (part, rest) = bytes.split_at(missing.min(bytes.len()));
        io::Write::write_all(&mut self.received, part)?;
        let held = self.received.bytes();
        if Self::framed_length(held) == Some(held.len()) {
            let result = Self::decrypt(&mut self.state, &mut self.plain, &held[2..]);
            let count = held.len();
            self.received.consume(count);
            result?;
        }
        Ok(rest)
    }
}

impl Codec for Noise {
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() && self.plain.is_empty() {
            let whole = Self::framed_length(rest).filter(|length| *length <= rest.len());
            rest = match whole {
                Some(length) if self.received.is_empty() => {
                    let (message, rest) = rest.split_at(length);
                    Self::decrypt(&mut self.state, &mut self.plain, &message[2..])?;
                    rest
                }
                _ => self.collect(rest)?,
            };
        }
        Ok(bytes.len() - rest.len())
    }

    fn truncated(&self) -> io::Error {
        io::Error::new(io::ErrorKind::UnexpectedEof, "the encrypted connection was cut off")
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.plain.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.plain.bytes().read(buffer)?;
        self.plain.consume(count);
        Ok(count)
    }

    fn has_plain(&self) -> bool {
        !self.plain.is_empty()
    }

    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(MAX_PLAIN)];
        let length = u16::try_from(bytes.len() + TAG).map_err(io::Error::other)?;
        let frame = self.wire.extend(2 + bytes.len() + TAG)?;
        frame[..2].copy_from_slice(&length.to_be_bytes());
        match self.state.write_message(bytes, &mut frame[2..]) {
            Ok(count) if count == bytes.len() + TAG => Ok(bytes.len()),
            _ => Err(io::Error::other("encryption failed")),
        }
    }

    fn pending_wire(&self) -> &[u8] {
        self.wire.bytes()
    }

    fn wire_written(&mut self, count: usize) {
        self.wire.consume(count);
    }

    fn close(&mut self) {}
}

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Noise({:?} received, {:?} to be sent)", self.plain, self.wire)
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an encrypted message was changed or is malformed")
}

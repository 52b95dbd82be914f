//! Splits received bytes into packets.

use std::ops::Range;

use super::MAX_PACKET;
use crate::ssh::sftp::Error;
use crate::ssh::sftp::buffer::Buffer;

/// The length before each packet.
const LENGTH: usize = 4;

/// The received bytes, split into packets. The caller takes all packets before it adds more bytes,
/// so that at most one incomplete packet is buffered.
#[derive(Debug, Default)]
pub struct Packets(Buffer);

impl Packets {
    /// Adds received bytes.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.0.end().extend_from_slice(bytes);
    }

    /// Returns the next packet without its length; `None` if it is incomplete. It is not empty.
    ///
    /// # Errors
    /// The length of the packet is 0, or greater than [`MAX_PACKET`].
    pub fn next_packet(&mut self) -> Result<Option<&[u8]>, Error> {
        Ok(self.next_range()?.map(|range| self.0.bytes(range)))
    }

    /// Returns the place of the next packet. It stays valid until the next call, even if bytes are
    /// added.
    pub(in crate::ssh::sftp) fn next_range(&mut self) -> Result<Option<Range<usize>>, Error> {
        let Some((length, rest)) = self.0.rest().split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if !(1..=MAX_PACKET).contains(&size) {
            return Err(Error::PacketLength(length));
        }
        if rest.len() < size {
            return Ok(None);
        }
        let range = self.0.take(LENGTH + size);
        Ok(Some(range.start + LENGTH..range.end))
    }

    pub(in crate::ssh::sftp) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.0.bytes(range)
    }

    /// Returns `true` if a packet is incomplete.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !self.0.rest().is_empty()
    }
}

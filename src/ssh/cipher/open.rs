//! The receiving direction.

use std::ops::Range;

use super::chacha::Open;
use super::ctr::BLOCK;
use super::method::Method;
use super::{Cipher, Framing, Keys, LENGTH_FIELD, Mac};
use crate::ssh::error::Error;

/// Decrypts packets and checks them.
#[derive(Debug)]
pub struct Opener {
    method: Method<Open>,
    /// The sequence number of the current packet (RFC 4253 §6.4).
    pub(super) sequence: u32,
}

/// The result of [`Opener::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The packet is not complete.
    Incomplete,
    /// A packet.
    Packet {
        /// The place of its payload, which is never empty.
        payload: Range<usize>,
        /// Its length, including the MAC.
        length: usize,
        /// Its sequence number.
        sequence: u32,
    },
}

impl Default for Opener {
    /// Packets are not encrypted before the first key exchange.
    fn default() -> Self {
        Self { method: Method::Plain, sequence: 0 }
    }
}

impl Opener {
    /// Uses new keys from the next packet on.
    ///
    /// # Errors
    /// The keys do not fit the cipher.
    pub fn rekey(&mut self, cipher: Cipher, mac: Mac, keys: &Keys) -> Result<(), Error> {
        self.method = Method::new(cipher, mac, keys, Open::new)?;
        Ok(())
    }

    /// Restarts the sequence numbers at 0, as strict key exchange requires after each NEWKEYS.
    pub fn restart_sequence(&mut self) {
        self.sequence = 0;
    }

    /// Decrypts the packet at the start of `input`, in place. While the packet is incomplete, call
    /// again with the same bytes and more after them.
    ///
    /// # Errors
    /// The packet is corrupt, or too long.
    pub fn open(&mut self, input: &mut [u8]) -> Result<Opened, Error> {
        let sequence = self.sequence;
        let Some((length, framing)) = self.length(input) else { return Ok(Opened::Incomplete) };
        let length = framing.total(length)?;
        let Some(packet) = input.get_mut(..length) else { return Ok(Opened::Incomplete) };
        match &mut self.method {
            Method::Plain => {}
            Method::Gcm(gcm) => gcm.open(packet)?,
            Method::ChaCha(open) => open.open(sequence, packet)?,
            Method::Ctr(ctr) => ctr.open(sequence, packet)?,
        }
        self.sequence = sequence.wrapping_add(1);
        let payload = Framing::payload(&packet[..length - framing.tag])?;
        Ok(Opened::Packet { payload, length, sequence })
    }

    /// Returns the value of the length field, once it is complete.
    fn length(&mut self, input: &mut [u8]) -> Option<(u32, Framing)> {
        let field = *input.first_chunk::<LENGTH_FIELD>()?;
        let field = match &mut self.method {
            Method::Plain | Method::Gcm(_) => field,
            Method::ChaCha(open) => open.length(self.sequence, field),
            Method::Ctr(ctr) if ctr.has_plain_length() => field,
            Method::Ctr(ctr) => {
                ctr.open_first_block(input.get_mut(..BLOCK)?);
                *input.first_chunk()?
            }
        };
        Some((u32::from_be_bytes(field), self.method.framing()))
    }
}

//! The sending direction.

use super::chacha::Seal;
use super::method::Method;
use super::{Cipher, Keys, LENGTH_FIELD, Mac, Random};
use crate::ssh::error::Error;

/// Builds packets and encrypts them.
#[derive(Debug)]
pub struct Sealer {
    method: Method<Seal>,
    /// The sequence number of the next packet (RFC 4253 §6.4).
    pub(super) sequence: u32,
}

impl Default for Sealer {
    /// Packets are not encrypted before the first key exchange.
    fn default() -> Self {
        Self { method: Method::Plain, sequence: 0 }
    }
}

impl Sealer {
    /// Uses new keys from the next packet on.
    ///
    /// # Errors
    /// The keys do not fit the cipher.
    pub fn rekey(&mut self, cipher: Cipher, mac: Mac, keys: &Keys) -> Result<(), Error> {
        self.method = Method::new(cipher, mac, keys, Seal::new)?;
        Ok(())
    }

    /// Restarts the sequence numbers at 0, as strict key exchange requires after each NEWKEYS.
    pub fn restart_sequence(&mut self) {
        self.sequence = 0;
    }

    /// Appends to `wire` the packet with a payload that consists of `parts`.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn seal(&mut self, parts: &[&[u8]], wire: &mut Vec<u8>, random: Random) -> Result<(), Error> {
        let framing = self.method.framing();
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        let padding = framing.padding(payload);
        let length = 1 + payload + padding;
        let start = wire.len();
        wire.reserve(LENGTH_FIELD + length + framing.tag);
        wire.extend(u32::try_from(length).map_err(|_| Error::PacketLength)?.to_be_bytes());
        wire.push(u8::try_from(padding).map_err(|_| Error::Padding)?);
        for part in parts {
            wire.extend_from_slice(part);
        }
        let end = wire.len() + padding;
        while wire.len() < end {
            let bytes = random().ok_or(Error::NoRandomBytes)?;
            wire.extend_from_slice(&bytes[..bytes.len().min(end - wire.len())]);
        }
        let packet = &mut wire[start..];
        match &mut self.method {
            Method::Plain => {}
            Method::Gcm(gcm) => {
                let tag = gcm.seal(packet)?;
                wire.extend_from_slice(tag.as_ref());
            }
            Method::ChaCha(seal) => {
                let tag = seal.seal(self.sequence, packet);
                wire.extend_from_slice(&tag);
            }
            Method::Ctr(ctr) => {
                let tag = ctr.seal(self.sequence, packet);
                wire.extend_from_slice(tag.as_ref());
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }
}

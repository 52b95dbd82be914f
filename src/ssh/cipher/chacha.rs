//! `chacha20-poly1305@openssh.com`: encrypts the length field with a key of its own.

use std::fmt;

use ring::aead::chacha20_poly1305_openssh::{OpeningKey, SealingKey, TAG_LEN};

use super::{Framing, Keys, LENGTH_FIELD};
use crate::ssh::error::Error;

pub(super) const FRAMING: Framing = Framing { block: 8, counts_length: false, tag: TAG_LEN };

/// Encrypts packets.
pub(super) struct Seal(SealingKey);

/// Decrypts packets.
pub(super) struct Open(OpeningKey);

impl Seal {
    /// Returns `None` if the keys have a wrong length.
    pub(super) fn new(keys: &Keys) -> Option<Self> {
        Some(Self(SealingKey::new(keys.cipher.first_chunk()?)))
    }

    /// Encrypts a packet, and returns the tag.
    pub(super) fn seal(&self, sequence: u32, packet: &mut [u8]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        self.0.seal_in_place(sequence, packet, &mut tag);
        tag
    }
}

impl Open {
    /// Returns `None` if the keys have a wrong length.
    pub(super) fn new(keys: &Keys) -> Option<Self> {
        Some(Self(OpeningKey::new(keys.cipher.first_chunk()?)))
    }

    /// Decrypts the length field.
    pub(super) fn length(&self, sequence: u32, field: [u8; LENGTH_FIELD]) -> [u8; LENGTH_FIELD] {
        self.0.decrypt_packet_length(sequence, field)
    }

    /// Checks the tag after a packet and decrypts all but the length field.
    pub(super) fn open(&self, sequence: u32, packet: &mut [u8]) -> Result<(), Error> {
        let (packet, tag) = packet.split_last_chunk_mut().ok_or(Error::Corrupt)?;
        self.0.open_in_place(sequence, packet, tag).map(drop).map_err(|_| Error::Corrupt)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open(…)")
    }
}

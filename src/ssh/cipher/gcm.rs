//! AES in Galois/Counter Mode (RFC 5647). As in OpenSSH, the cipher also selects the MAC.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};

use super::{Framing, Keys, LENGTH_FIELD};
use crate::ssh::error::Error;

/// AES-128 or AES-256 in GCM, for one direction.
#[derive(Debug)]
pub(super) struct Gcm {
    key: LessSafeKey,
    /// The fixed field and the invocation counter (RFC 5647 §7.1).
    nonce: [u8; NONCE_LEN],
}

impl Gcm {
    /// The length field is authenticated but not encrypted.
    pub(super) const FRAMING: Framing = Framing { block: 16, counts_length: false, tag: 16 };

    /// Returns `None` if the keys have a wrong length.
    pub(super) fn new(keys: &Keys) -> Option<Self> {
        let algorithm = if keys.cipher.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, &keys.cipher).ok()?;
        Some(Self { key: LessSafeKey::new(key), nonce: keys.iv.as_slice().try_into().ok()? })
    }

    /// Encrypts all but the length field, and returns the tag.
    pub(super) fn seal(&mut self, packet: &mut [u8]) -> Result<Tag, Error> {
        let nonce = self.next_nonce();
        let (length, text) = packet.split_at_mut(LENGTH_FIELD);
        self.key.seal_in_place_separate_tag(nonce, Aad::from(length), text).map_err(|_| Error::Encryption)
    }

    /// Checks the tag after a packet and decrypts the packet.
    pub(super) fn open(&mut self, packet: &mut [u8]) -> Result<(), Error> {
        let nonce = self.next_nonce();
        let (length, text) = packet.split_at_mut(LENGTH_FIELD);
        self.key.open_in_place(nonce, Aad::from(length), text).map(drop).map_err(|_| Error::Corrupt)
    }

    /// Returns the nonce, and increments its counter for the next packet. The connection gets new
    /// keys long before 2^64 packets.
    fn next_nonce(&mut self) -> Nonce {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        if let Some(counter) = self.nonce.last_chunk_mut::<8>() {
            *counter = u64::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
        }
        nonce
    }
}

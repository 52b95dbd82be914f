//! AES in counter mode (RFC 4344 §4) with HMAC-SHA-2 (RFC 6668).

use std::fmt;

use aes::{Aes128, Aes256};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use ring::hmac;
use subtle::ConstantTimeEq;

use super::{Framing, Keys, LENGTH_FIELD, Mac, MacHash};
use crate::ssh::error::Error;

/// The length of an AES block.
pub(super) const BLOCK: usize = 16;

/// AES in counter mode and a MAC, for one direction.
pub(super) struct CtrHmac {
    cipher: KeyStream,
    key: hmac::Key,
    mac: Mac,
    /// The first block of the current packet is decrypted.
    first_block_done: bool,
}

/// The key stream of one direction. It continues from packet to packet.
enum KeyStream {
    Aes128(Box<Ctr128BE<Aes128>>),
    Aes256(Box<Ctr128BE<Aes256>>),
}

impl KeyStream {
    fn apply(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Aes128(stream) => stream.apply_keystream(bytes),
            Self::Aes256(stream) => stream.apply_keystream(bytes),
        }
    }
}

impl CtrHmac {
    /// Returns `None` if the keys have a wrong length.
    pub(super) fn new(mac: Mac, keys: &Keys) -> Option<Self> {
        let Keys { iv, cipher, mac: mac_key } = keys;
        let cipher = if cipher.len() == 32 {
            KeyStream::Aes256(Box::new(Ctr128BE::new_from_slices(cipher, iv).ok()?))
        } else {
            KeyStream::Aes128(Box::new(Ctr128BE::new_from_slices(cipher, iv).ok()?))
        };
        let algorithm = match mac.hash {
            MacHash::Sha256 => hmac::HMAC_SHA256,
            MacHash::Sha512 => hmac::HMAC_SHA512,
        };
        let key = hmac::Key::new(algorithm, mac_key);
        Some(Self { cipher, key, mac, first_block_done: false })
    }

    pub(super) fn framing(&self) -> Framing {
        Framing { block: BLOCK, counts_length: !self.mac.encrypt_then_mac, tag: self.mac.key_length() }
    }

    /// Returns `true` if the length field is not encrypted.
    pub(super) fn has_plain_length(&self) -> bool {
        self.mac.encrypt_then_mac
    }

    /// Encrypts a packet, and returns its MAC.
    pub(super) fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> hmac::Tag {
        if self.mac.encrypt_then_mac {
            self.cipher.apply(&mut packet[LENGTH_FIELD..]);
            return self.sign(sequence, packet);
        }
        let tag = self.sign(sequence, packet);
        self.cipher.apply(packet);
        tag
    }

    /// Decrypts the first block of a packet once, for its length.
    pub(super) fn open_first_block(&mut self, block: &mut [u8]) {
        if !self.first_block_done {
            self.cipher.apply(block);
            self.first_block_done = true;
        }
    }

    /// Checks the MAC after a packet and decrypts what is still encrypted.
    pub(super) fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), Error> {
        let (packet, tag) = packet.split_at_mut(packet.len() - self.mac.key_length());
        if self.mac.encrypt_then_mac {
            self.verify(sequence, packet, tag)?;
            self.cipher.apply(&mut packet[LENGTH_FIELD..]);
            return Ok(());
        }
        self.first_block_done = false;
        self.cipher.apply(&mut packet[BLOCK..]);
        self.verify(sequence, packet, tag)
    }

    fn sign(&self, sequence: u32, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&sequence.to_be_bytes());
        context.update(packet);
        context.sign()
    }

    fn verify(&self, sequence: u32, packet: &[u8], tag: &[u8]) -> Result<(), Error> {
        let expected = self.sign(sequence, packet);
        if expected.as_ref().ct_eq(tag).into() { Ok(()) } else { Err(Error::Corrupt) }
    }
}

impl fmt::Debug for CtrHmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtrHmac").field("mac", &self.mac).finish_non_exhaustive()
    }
}

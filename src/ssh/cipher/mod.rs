//! Encryption and authentication of packets (RFC 4253 §6).

use std::ops::Range;

use zeroize::Zeroizing;

use super::error::Error;

mod chacha;
mod ctr;
mod gcm;
mod method;
mod open;
mod seal;
#[cfg(test)]
mod tests;

pub use open::{Opened, Opener};
pub use seal::Sealer;

/// The longest packet that is accepted, without MAC: 256 KiB. RFC 4253 §6.1 requires 35,000 bytes.
pub const MAX_PACKET: usize = 256 * 1024;

/// The least number of bytes of padding (RFC 4253 §6).
const MIN_PADDING: usize = 4;

/// The length of the field that holds the length of the packet.
const LENGTH_FIELD: usize = 4;

/// Returns 16 random bytes; `None` if the system has none.
pub type Random = fn() -> Option<[u8; 16]>;

/// A cipher for packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256 in GCM (RFC 5647, as in OpenSSH).
    Aes256Gcm,
    /// AES-128 in GCM.
    Aes128Gcm,
    /// `ChaCha20` and Poly1305, as in OpenSSH's `PROTOCOL.chacha20poly1305`.
    ChaCha20Poly1305,
    /// AES-256 in counter mode (RFC 4344).
    Aes256Ctr,
    /// AES-128 in counter mode.
    Aes128Ctr,
}

impl Cipher {
    /// All ciphers, the preferred one first.
    pub const ALL: [Self; 5] =
        [Self::Aes256Gcm, Self::Aes128Gcm, Self::ChaCha20Poly1305, Self::Aes256Ctr, Self::Aes128Ctr];

    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
            Self::Aes256Ctr => "aes256-ctr",
            Self::Aes128Ctr => "aes128-ctr",
        }
    }

    /// Returns the length of the key.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
            Self::Aes128Gcm | Self::Aes128Ctr => 16,
            Self::ChaCha20Poly1305 => 64,
        }
    }

    /// Returns the length of the initial IV.
    #[must_use]
    pub fn iv_length(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::Aes128Gcm => 12,
            Self::Aes256Ctr | Self::Aes128Ctr => 16,
            Self::ChaCha20Poly1305 => 0,
        }
    }

    /// Returns `true` if the cipher authenticates packets itself, so no MAC is negotiated.
    #[must_use]
    pub fn is_aead(self) -> bool {
        !matches!(self, Self::Aes256Ctr | Self::Aes128Ctr)
    }
}

/// A message authentication code, for ciphers without their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac {
    hash: MacHash,
    /// The MAC covers the ciphertext and an unencrypted length.
    encrypt_then_mac: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MacHash {
    Sha256,
    Sha512,
}

impl Mac {
    /// All MACs, the preferred one first.
    pub const ALL: [Self; 4] = [
        Self { hash: MacHash::Sha256, encrypt_then_mac: true },
        Self { hash: MacHash::Sha512, encrypt_then_mac: true },
        Self { hash: MacHash::Sha256, encrypt_then_mac: false },
        Self { hash: MacHash::Sha512, encrypt_then_mac: false },
    ];

    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.hash, self.encrypt_then_mac) {
            (MacHash::Sha256, true) => "hmac-sha2-256-etm@openssh.com",
            (MacHash::Sha512, true) => "hmac-sha2-512-etm@openssh.com",
            (MacHash::Sha256, false) => "hmac-sha2-256",
            (MacHash::Sha512, false) => "hmac-sha2-512",
        }
    }

    /// Returns `true` if the MAC covers the ciphertext.
    #[must_use]
    pub fn encrypts_then_macs(self) -> bool {
        self.encrypt_then_mac
    }

    /// Returns the length of the key, which is that of the MAC.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self.hash {
            MacHash::Sha256 => 32,
            MacHash::Sha512 => 64,
        }
    }
}

/// The secrets for one direction (RFC 4253 §7.2).
#[derive(Debug, Default)]
pub struct Keys {
    /// The initial IV.
    pub iv: Zeroizing<Vec<u8>>,
    /// The key of the cipher.
    pub cipher: Zeroizing<Vec<u8>>,
    /// The key of the MAC; empty for a cipher that needs none.
    pub mac: Zeroizing<Vec<u8>>,
}

/// The part of a packet that is checked before the packet is complete.
#[derive(Clone, Copy, Debug)]
struct Framing {
    /// The length of a packet, or the encrypted part of it, is a multiple of this.
    block: usize,
    /// The length field is part of the multiple.
    counts_length: bool,
    /// The length of the MAC.
    tag: usize,
}

impl Framing {
    /// Returns the number of bytes of padding for a payload of this length.
    fn padding(self, payload: usize) -> usize {
        let unpadded = usize::from(self.counts_length) * LENGTH_FIELD + 1 + payload;
        let padding = self.block - unpadded % self.block;
        if padding < MIN_PADDING { padding + self.block } else { padding }
    }

    /// Checks the value of the length field, and returns the length of the whole packet with its
    /// MAC.
    fn total(self, length: u32) -> Result<usize, Error> {
        let length = usize::try_from(length).map_err(|_| Error::PacketLength)?;
        let counted = usize::from(self.counts_length) * LENGTH_FIELD + length;
        if length > MAX_PACKET || length <= 1 + MIN_PADDING || !counted.is_multiple_of(self.block) {
            return Err(Error::PacketLength);
        }
        Ok(LENGTH_FIELD + length + self.tag)
    }

    /// Returns the range of the payload in a decrypted packet of this length, without MAC.
    fn payload(packet: &[u8]) -> Result<Range<usize>, Error> {
        let start = LENGTH_FIELD + 1;
        let padding = usize::from(*packet.get(LENGTH_FIELD).ok_or(Error::Padding)?);
        let end = packet.len().checked_sub(padding).filter(|end| padding >= MIN_PADDING && *end > start);
        Ok(start..end.ok_or(Error::Padding)?)
    }
}

//! The method of encryption of one direction.

use super::chacha;
use super::ctr::CtrHmac;
use super::gcm::Gcm;
use super::{Cipher, Framing, Keys, Mac};
use crate::ssh::error::Error;

/// The method of encryption of one direction. `C` seals or opens packets with `ChaCha20` and
/// Poly1305; the other ciphers have one type for both.
#[derive(Debug)]
pub(super) enum Method<C> {
    /// Packets are not encrypted before the first key exchange.
    Plain,
    Gcm(Box<Gcm>),
    ChaCha(Box<C>),
    Ctr(Box<CtrHmac>),
}

impl<C> Method<C> {
    /// Returns the method for a cipher. `chacha` returns `None` if the keys have a wrong length.
    ///
    /// # Errors
    /// The keys do not fit the cipher.
    pub(super) fn new(
        cipher: Cipher,
        mac: Mac,
        keys: &Keys,
        chacha: impl FnOnce(&Keys) -> Option<C>,
    ) -> Result<Self, Error> {
        match cipher {
            Cipher::Aes256Gcm | Cipher::Aes128Gcm => Gcm::new(keys).map(|gcm| Self::Gcm(Box::new(gcm))),
            Cipher::ChaCha20Poly1305 => chacha(keys).map(|chacha| Self::ChaCha(Box::new(chacha))),
            Cipher::Aes256Ctr | Cipher::Aes128Ctr => {
                CtrHmac::new(mac, keys).map(|ctr| Self::Ctr(Box::new(ctr)))
            }
        }
        .ok_or(Error::Encryption)
    }

    pub(super) fn framing(&self) -> Framing {
        match self {
            Self::Plain => Framing { block: 8, counts_length: true, tag: 0 },
            Self::Gcm(_) => Gcm::FRAMING,
            Self::ChaCha(_) => chacha::FRAMING,
            Self::Ctr(ctr) => ctr.framing(),
        }
    }
}

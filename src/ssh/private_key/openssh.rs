//! OpenSSH's key files (its `PROTOCOL.key`): a public key, and a section with the private key that
//! may be encrypted.

use std::fmt;

use aes::Aes256;
use bcrypt_pbkdf::bcrypt_pbkdf_with_memory;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::error::{KeyFileError, MAX_ROUNDS};
use super::key::PrivateKey;
use super::{rsa, section};
use crate::ssh::public_key::{KeyError, PublicKey};
use crate::ssh::wire::Reader;
use crate::text::printable;

pub(super) const MAGIC: &[u8] = b"openssh-key-v1\0";

/// The lengths of a key and an IV, together.
const DERIVED: usize = KEY + 16;
const KEY: usize = 32;

/// The length of the tag of AES-GCM.
const TAG: usize = 16;

/// A file with a private key.
#[derive(Debug)]
pub enum KeyFile {
    /// The key is not encrypted.
    Plain(PrivateKey),
    /// The key is encrypted, but its public key is known.
    Encrypted(EncryptedKey),
}

/// A private key that is encrypted with a passphrase.
pub struct EncryptedKey {
    public: PublicKey,
    cipher: Cipher,
    salt: Vec<u8>,
    rounds: u32,
    /// The encrypted section, with the tag of AES-GCM.
    section: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Aes256Ctr,
    Aes256Gcm,
}

/// Reads a file whose text encoding is removed.
pub(super) fn read(file: &[u8]) -> Result<KeyFile, KeyFileError> {
    let mut reader = Reader::new(file);
    if reader.bytes(MAGIC.len())? != MAGIC {
        return Err(KeyFileError::Malformed);
    }
    let (cipher, kdf) = (reader.string()?, reader.string()?);
    let mut options = Reader::new(reader.string()?);
    if reader.u32()? != 1 {
        return Err(KeyFileError::Malformed);
    }
    let public = public_key(reader.string()?)?;
    let section = reader.string()?;
    let tag = reader.rest();
    if cipher == b"none" {
        if kdf != b"none" || options.end().is_err() || !tag.is_empty() {
            return Err(KeyFileError::Malformed);
        }
        section::check_length(section, 8)?;
        return section::read(section, &public).map(KeyFile::Plain);
    }
    let (cipher, tag_length) = match cipher {
        b"aes256-ctr" => (Cipher::Aes256Ctr, 0),
        b"aes256-gcm@openssh.com" => (Cipher::Aes256Gcm, TAG),
        name => return Err(KeyFileError::Cipher(printable(name))),
    };
    let (salt, rounds) = (options.string()?.to_vec(), options.u32()?);
    options.end()?;
    if kdf != b"bcrypt" || salt.is_empty() || rounds == 0 || tag.len() != tag_length {
        return Err(KeyFileError::Malformed);
    }
    if rounds > MAX_ROUNDS {
        return Err(KeyFileError::Rounds(rounds));
    }
    section::check_length(section, 16)?;
    Ok(KeyFile::Encrypted(EncryptedKey { public, cipher, salt, rounds, section: [section, tag].concat() }))
}

/// Decodes the public key, if there is a signer for it.
fn public_key(blob: &[u8]) -> Result<PublicKey, KeyFileError> {
    let mut reader = Reader::new(blob);
    let name = reader.string()?;
    if name == b"ssh-rsa" {
        let (exponent, modulus) = (reader.positive_integer()?, reader.positive_integer()?);
        rsa::check_public(modulus, exponent)?;
    }
    PublicKey::parse(blob).map_err(|error| match error {
        KeyError::Unsupported => KeyFileError::for_type(name),
        KeyError::Malformed | KeyError::RsaLength => KeyFileError::Malformed,
    })
}

impl EncryptedKey {
    /// Returns the public key. The file contains it unencrypted.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Decrypts the key. With the usual 16 rounds of bcrypt, that takes about 0.1 s.
    ///
    /// # Errors
    /// The passphrase is wrong, or the decrypted key is malformed.
    pub fn decrypt(&self, passphrase: &[u8]) -> Result<PrivateKey, KeyFileError> {
        let mut derived = Zeroizing::new([0; DERIVED]);
        let mut memory = Zeroizing::new([0; DERIVED.next_multiple_of(32)]);
        // The function refuses only an empty passphrase: the file has checked the rest.
        bcrypt_pbkdf_with_memory(passphrase, &self.salt, self.rounds, &mut *derived, &mut *memory)
            .map_err(|_| KeyFileError::WrongPassphrase)?;
        let mut section = Zeroizing::new(self.section.clone());
        let plain = self.cipher.decrypt(&derived, &mut section).ok_or(KeyFileError::WrongPassphrase)?;
        if !section::has_equal_checks(plain) {
            return Err(KeyFileError::WrongPassphrase);
        }
        section::read(plain, &self.public)
    }
}

impl Cipher {
    /// Decrypts the section in its place. Returns `None` if the tag is wrong.
    fn decrypt<'a>(self, derived: &[u8; DERIVED], section: &'a mut [u8]) -> Option<&'a [u8]> {
        let (key, iv) = derived.split_at(KEY);
        match self {
            Self::Aes256Ctr => {
                Ctr128BE::<Aes256>::new_from_slices(key, iv).ok()?.apply_keystream(section);
                Some(section)
            }
            Self::Aes256Gcm => {
                // The IV has only 12 bytes. bcrypt interleaves blocks of 32 bytes; 44 and 48 bytes
                // both need two blocks, so the bytes are the same.
                let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
                let nonce = Nonce::try_assume_unique_for_key(&iv[..NONCE_LEN]).ok()?;
                key.open_in_place(nonce, Aad::empty(), section).ok().map(|plain| &*plain)
            }
        }
    }
}

impl fmt::Debug for EncryptedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncryptedKey").field(&self.public).field(&self.cipher).finish_non_exhaustive()
    }
}

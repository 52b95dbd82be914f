//! A private key.

use std::fmt;

use super::error::KeyFileError;
use super::signer::Signer;
use crate::ssh::public_key::PublicKey;
use crate::ssh::transport::HostKey;
use crate::ssh::wire::Write;

/// A private key that can sign. Its `Debug` output shows only the public key.
///
/// `ring` holds the secret numbers and does not clear them; they are on the heap, where the
/// program's allocator zeroes them when the key is dropped.
pub struct PrivateKey {
    signer: Signer,
    public: PublicKey,
    comment: String,
}

impl PrivateKey {
    /// Combines a key with its comment.
    pub(super) fn new(signer: Signer, comment: &[u8]) -> Result<Self, KeyFileError> {
        let public = PublicKey::parse(&signer.public_blob()).map_err(|_| KeyFileError::Malformed)?;
        Ok(Self { signer, public, comment: String::from_utf8_lossy(comment).into_owned() })
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the comment as the file contains it. Only OpenSSH files have one.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Returns the public key as a line for `authorized_keys` or `FILE.pub`, without a newline.
    /// Control characters of the comment are left out.
    #[must_use]
    pub fn public_line(&self) -> String {
        let comment: String = self.comment.chars().filter(|char| !char.is_control()).collect();
        format!("{} {comment}", self.public).trim_end().to_owned()
    }

    /// Signs with an algorithm of the key. Returns the signature with the name of the algorithm
    /// (RFC 4253 §6.6). Returns `None` if the key has no such algorithm, or if signing fails.
    #[must_use]
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
        if !self.public.algorithms().contains(&algorithm) {
            return None;
        }
        let signature = self.signer.sign(algorithm, message)?;
        let mut blob = Vec::new();
        blob.put_string(algorithm).put_string(signature);
        Some(blob)
    }
}

impl HostKey for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        self.public_key()
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
        self.sign(algorithm, message)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {})", self.public.short_name(), self.public.fingerprint())
    }
}

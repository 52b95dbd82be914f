//! Replaces `ed25519` in a build without support for tokens.

use zeroize::Zeroizing;

/// A public key of Ed25519.
pub(super) type PublicKey = [u8; 32];

/// Returns `false`, because this build cannot check signatures. The configuration refuses to start
/// a server that needs this.
pub(super) fn is_signed_by(_: &PublicKey, _: &[u8], _: &[u8]) -> bool {
    false
}

/// A private key, which cannot exist in this build.
#[derive(Debug)]
pub enum SigningKey {}

/// The reason why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// This build does not support tokens.
    #[error("this build does not support tokens")]
    Unsupported,
}

impl SigningKey {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn from_pem(_: &[u8]) -> Result<Self, SigningKeyError> {
        Err(SigningKeyError::Unsupported)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn from_seed(_: &[u8; 32]) -> Result<(Self, Zeroizing<String>), SigningKeyError> {
        Err(SigningKeyError::Unsupported)
    }

    /// Cannot be called, because no key exists.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match *self {}
    }

    /// Cannot be called, because no key exists.
    pub(super) fn sign(&self, _: &[u8]) -> [u8; 64] {
        match *self {}
    }
}

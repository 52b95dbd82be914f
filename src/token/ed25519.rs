//! Ed25519 (RFC 8032) and the files of private keys (PKCS#8, RFC 8410).

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// A public key of Ed25519.
pub(super) type PublicKey = [u8; 32];

/// The DER encoding of a private key without its last 32 bytes, the seed: PKCS#8 version 1 (RFC
/// 5208), which OpenSSL and others can read.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Returns `true` if the owner of the key has signed the message.
pub(super) fn is_signed_by(public: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// A private key that signs tokens.
pub struct SigningKey(Box<Ed25519KeyPair>);

/// An error in the file of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// The file contains no private key in PEM.
    #[error("expected a private key in PEM (BEGIN PRIVATE KEY)")]
    NotPem,
    /// The private key is encrypted.
    #[error("the key is encrypted; decrypt it with openssl pkey")]
    Encrypted,
    /// The private key is of another kind.
    #[error("expected an Ed25519 key in PKCS#8")]
    NotEd25519,
}

impl SigningKey {
    /// Reads a key in PEM, PKCS#8 version 1 or 2.
    ///
    /// # Errors
    /// The text contains no Ed25519 key.
    pub fn from_pem(text: &[u8]) -> Result<Self, SigningKeyError> {
        let has = |label: &[u8]| text.windows(label.len()).any(|window| window == label);
        if has(b"BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(SigningKeyError::Encrypted);
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| SigningKeyError::NotPem)?;
        let der = Zeroizing::new(der.secret_pkcs8_der().to_vec());
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        pair.map(|pair| Self(Box::new(pair))).map_err(|_| SigningKeyError::NotEd25519)
    }

    /// Creates a key from random bytes. Returns it with its file, in PEM.
    ///
    /// # Errors
    /// Never, in this build.
    pub fn from_seed(seed: &[u8; 32]) -> Result<(Self, Zeroizing<String>), SigningKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SigningKeyError::NotEd25519)?;
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + seed.len()));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(seed);
        let body = Zeroizing::new(BASE64_STANDARD.encode(&*der));
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body);
        Ok((Self(Box::new(pair)), Zeroizing::new(pem)))
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut public = PublicKey::default();
        // Keys of Ed25519 have this length.
        public.copy_from_slice(self.0.public_key().as_ref());
        public
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        // Signatures of Ed25519 have this length.
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }
}

/// The key is secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

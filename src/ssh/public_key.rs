//! Public keys, and the signatures that they verify (RFC 4253 §6.6, RFC 5656 §3, RFC 8332, RFC
//! 8709).

use std::fmt;

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine};
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::wire::{Malformed, Reader};

/// The shortest modulus of an RSA key, in bytes: 2048 bits.
const MIN_RSA: usize = 256;

/// The longest modulus of an RSA key, in bytes: 8192 bits.
const MAX_RSA: usize = 1024;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    material: Material,
    blob: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Ed25519([u8; 32]),
    Ecdsa(Curve, Vec<u8>),
    Rsa { exponent: Vec<u8>, modulus: Vec<u8> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

/// The reason that a public key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is malformed.
    #[error("malformed key")]
    Malformed,
    /// The type of the key is not supported.
    #[error("the key's type is not supported")]
    Unsupported,
    /// The RSA key has fewer than 2048 bits, or more than 8192.
    #[error("RSA keys must have 2048 to 8192 bits")]
    RsaLength,
}

impl From<Malformed> for KeyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Curve {
    /// The name in key types and keys, and the length of a coordinate.
    const fn name(self) -> (&'static str, &'static str, usize) {
        match self {
            Self::P256 => ("ecdsa-sha2-nistp256", "nistp256", 32),
            Self::P384 => ("ecdsa-sha2-nistp384", "nistp384", 48),
        }
    }
}

impl PublicKey {
    /// Decodes a key.
    ///
    /// # Errors
    /// The key is malformed or not supported.
    pub fn parse(blob: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(blob);
        let material = match reader.text()? {
            "ssh-ed25519" => {
                let key = reader.string()?;
                Material::Ed25519(key.try_into().map_err(|_| KeyError::Malformed)?)
            }
            "ssh-rsa" => {
                let (exponent, modulus) = (reader.positive_integer()?, reader.positive_integer()?);
                if !(MIN_RSA..=MAX_RSA).contains(&modulus.len()) {
                    return Err(KeyError::RsaLength);
                }
                Material::Rsa { exponent: exponent.to_vec(), modulus: modulus.to_vec() }
            }
            name => {
                let curve = [Curve::P256, Curve::P384].into_iter().find(|curve| curve.name().0 == name);
                let curve = curve.ok_or(KeyError::Unsupported)?;
                let (_, curve_name, length) = curve.name();
                let (name, point) = (reader.text()?, reader.string()?);
                if name != curve_name || point.len() != 1 + 2 * length || point[0] != 4 {
                    return Err(KeyError::Malformed);
                }
                Material::Ecdsa(curve, point.to_vec())
            }
        };
        reader.end()?;
        Ok(Self { material, blob: blob.to_vec() })
    }

    /// Returns the encoded key.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Returns the type of the key on the wire and in files.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.material {
            Material::Ed25519(_) => "ssh-ed25519",
            Material::Ecdsa(curve, _) => curve.name().0,
            Material::Rsa { .. } => "ssh-rsa",
        }
    }

    /// Returns the type of the key for messages, as OpenSSH shows it.
    #[must_use]
    pub fn short_name(&self) -> &'static str {
        match self.material {
            Material::Ed25519(_) => "ED25519",
            Material::Ecdsa(..) => "ECDSA",
            Material::Rsa { .. } => "RSA",
        }
    }

    /// Returns the fingerprint, as OpenSSH shows it: `SHA256:` and base64 without padding.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint_of(&self.blob)
    }

    /// Returns the signature algorithms of the key, the preferred one first.
    #[must_use]
    pub fn algorithms(&self) -> &'static [&'static str] {
        match self.material {
            Material::Ed25519(_) => &["ssh-ed25519"],
            Material::Ecdsa(Curve::P256, _) => &["ecdsa-sha2-nistp256"],
            Material::Ecdsa(Curve::P384, _) => &["ecdsa-sha2-nistp384"],
            Material::Rsa { .. } => &["rsa-sha2-512", "rsa-sha2-256"],
        }
    }

    /// Returns `true` if the owner of the key has signed the message with this algorithm.
    #[must_use]
    pub fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let mut reader = Reader::new(signature);
        let (Ok(name), Ok(signature)) = (reader.text(), reader.string()) else { return false };
        if name != algorithm || !self.algorithms().contains(&name) || reader.end().is_err() {
            return false;
        }
        match &self.material {
            Material::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
            }
            Material::Ecdsa(curve, point) => {
                let Ok(signature) = fixed_length(signature, curve.name().2) else { return false };
                let method = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED,
                };
                UnparsedPublicKey::new(method, point).verify(message, &signature).is_ok()
            }
            Material::Rsa { exponent, modulus } => {
                let method = if name == "rsa-sha2-512" {
                    &RSA_PKCS1_2048_8192_SHA512
                } else {
                    &RSA_PKCS1_2048_8192_SHA256
                };
                let Some(missing) = modulus.len().checked_sub(signature.len()) else { return false };
                // Some signers omit leading zeros.
                let signature = [&[0; MAX_RSA][..missing], signature].concat();
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(method, message, &signature).is_ok()
            }
        }
    }
}

/// Returns the fingerprint of an encoded key or certificate. That of a certificate is not the
/// fingerprint of its key.
pub(super) fn fingerprint_of(blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest(&SHA256, blob)))
}

/// Returns `r` and `s` of an ECDSA signature (RFC 5656 §3.1.2), each with the same length.
fn fixed_length(signature: &[u8], length: usize) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(signature);
    let mut fixed = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let integer = reader.positive_integer()?;
        let zeros = length.checked_sub(integer.len()).ok_or(Malformed)?;
        fixed.resize(fixed.len() + zeros, 0);
        fixed.extend_from_slice(integer);
    }
    reader.end()?;
    Ok(fixed)
}

impl fmt::Display for PublicKey {
    /// Writes the key as in a file of public keys, without comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name(), BASE64_STANDARD.encode(&self.blob))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.short_name(), self.fingerprint())
    }
}

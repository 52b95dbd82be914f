//! The curves of ECDSA keys (RFC 5656).

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use zeroize::Zeroizing;

use super::error::KeyFileError;
use crate::ssh::wire::Write;

/// The first byte of an uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A curve that `ring` can sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(super) const ALL: [Self; 2] = [Self::P256, Self::P384];

    /// Returns the type of the keys.
    pub(super) fn key_type(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
        }
    }

    /// Returns the name inside keys.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
        }
    }

    /// Returns the length of a coordinate, and of the private scalar.
    pub(super) fn length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    /// Creates a key pair. `ring` checks that the point belongs to the scalar, which may lack
    /// leading zeros.
    pub(super) fn key_pair(self, scalar: &[u8], point: &[u8]) -> Result<EcdsaKeyPair, KeyFileError> {
        if point.len() != 1 + 2 * self.length() || point[0] != UNCOMPRESSED {
            return Err(KeyFileError::MissingPublicKey);
        }
        let zeros = self.length().checked_sub(scalar.len()).ok_or(KeyFileError::Malformed)?;
        let mut padded = Zeroizing::new(vec![0; self.length()]);
        padded[zeros..].copy_from_slice(scalar);
        EcdsaKeyPair::from_private_key_and_public_key(self.algorithm(), &padded, point, &SystemRandom::new())
            .map_err(|_| KeyFileError::Malformed)
    }
}

/// Encodes a signature, whose two halves are `r` and `s`, as two `mpint` (RFC 5656 §3.1.2).
pub(super) fn encode_signature(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut signature = Vec::new();
    signature.put_integer(r).put_integer(s);
    signature
}

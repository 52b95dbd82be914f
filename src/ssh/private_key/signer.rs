//! The secret part of a key, and the signatures that it makes.

use ring::rand::SystemRandom;
use ring::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};

use super::ecdsa::{Curve, encode_signature};
use super::error::KeyFileError;
use super::rsa::Numbers;
use crate::ssh::wire::Write;

/// A key pair.
pub(super) enum Signer {
    Ed25519(Box<Ed25519KeyPair>),
    Ecdsa(Curve, Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    /// Creates an Ed25519 key from its seed. The public key, if there is one, must belong to the
    /// seed.
    pub(super) fn ed25519(seed: &[u8], public: Option<&[u8]>) -> Result<Self, KeyFileError> {
        let pair = match public {
            Some(public) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => Ed25519KeyPair::from_seed_unchecked(seed),
        };
        pair.map(|pair| Self::Ed25519(Box::new(pair))).map_err(|_| KeyFileError::Malformed)
    }

    pub(super) fn ecdsa(curve: Curve, scalar: &[u8], point: &[u8]) -> Result<Self, KeyFileError> {
        curve.key_pair(scalar, point).map(|pair| Self::Ecdsa(curve, Box::new(pair)))
    }

    pub(super) fn rsa(numbers: &Numbers<'_>) -> Result<Self, KeyFileError> {
        numbers.key_pair().map(|pair| Self::Rsa(Box::new(pair)))
    }

    /// Encodes the public key.
    pub(super) fn public_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        match self {
            Self::Ed25519(pair) => {
                blob.put_string("ssh-ed25519").put_string(pair.public_key());
            }
            Self::Ecdsa(curve, pair) => {
                blob.put_string(curve.key_type()).put_string(curve.name()).put_string(pair.public_key());
            }
            Self::Rsa(pair) => {
                let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                blob.put_string("ssh-rsa").put_integer(&public.e).put_integer(&public.n);
            }
        }
        blob
    }

    /// Signs with an algorithm, which must be one of the key's. Returns `None` if the system has no
    /// random bytes, or if the numbers of an RSA key do not belong together.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Ecdsa(_, pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).ok()?;
                Some(encode_signature(signature.as_ref()))
            }
            Self::Rsa(pair) => {
                let method = if algorithm == "rsa-sha2-512" { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(method, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

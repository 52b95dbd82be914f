//! The public values, and the agreement on a secret.

use std::fmt;

use ml_kem::kem::{Decapsulate, Kem, KeyExport};
use ml_kem::{B32, MlKem768, Seed};
use ring::agreement::{self, ECDH_P256, ECDH_P384, EphemeralPrivateKey, UnparsedPublicKey, X25519};
use ring::digest::{self, SHA256};
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

use super::{Method, SharedSecret};
use crate::ssh::cipher::Random;
use crate::ssh::error::Error;
use crate::ssh::wire::Write;

/// The length of an encapsulation key of ML-KEM-768 (FIPS 203, table 3).
const KEM_KEY: usize = 1184;

/// The length of a ciphertext of ML-KEM-768.
const KEM_CIPHERTEXT: usize = 1088;

type DecapsulationKey = <MlKem768 as Kem>::DecapsulationKey;
type EncapsulationKey = <MlKem768 as Kem>::EncapsulationKey;

impl Method {
    fn curve(self) -> &'static agreement::Algorithm {
        match self {
            Self::MlKem768X25519 | Self::Curve25519 => &X25519,
            Self::NistP256 => &ECDH_P256,
            Self::NistP384 => &ECDH_P384,
        }
    }
}

/// The client's part of a key exchange.
pub struct ClientShare {
    curve: EphemeralPrivateKey,
    /// For a hybrid method.
    kem: Option<DecapsulationKey>,
    public: Vec<u8>,
}

impl ClientShare {
    /// Creates the secrets of a key exchange.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new(method: Method, random: Random) -> Result<Self, Error> {
        let curve = new_private_key(method)?;
        let mut public = Vec::new();
        let kem = if method == Method::MlKem768X25519 {
            let mut seed = Zeroizing::new([0; 64]);
            fill(seed.as_mut_slice(), random)?;
            let kem = DecapsulationKey::from_seed(Seed::from(*seed));
            public.put(&kem.encapsulation_key().to_bytes());
            Some(kem)
        } else {
            None
        };
        public.put(curve.compute_public_key().map_err(|_| Error::NoRandomBytes)?.as_ref());
        Ok(Self { curve, kem, public })
    }

    /// Returns the public value for the server.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Returns the secret that follows from the server's public value.
    ///
    /// # Errors
    /// The value is invalid.
    pub fn agree(self, server_public: &[u8]) -> Result<SharedSecret, Error> {
        let Some(kem) = self.kem else { return agree(self.curve, server_public).map(|it| integer(&it)) };
        let (ciphertext, curve_public) =
            server_public.split_at_checked(KEM_CIPHERTEXT).ok_or(Error::PublicValue)?;
        let kem_secret = kem.decapsulate_slice(ciphertext).map_err(|_| Error::PublicValue)?;
        Ok(hybrid(&kem_secret, &agree(self.curve, curve_public)?))
    }
}

/// Returns the server's public value for that of a client, and the secret that follows.
///
/// # Errors
/// The client's value is invalid, or the system has no random bytes.
pub fn respond(
    method: Method,
    client_public: &[u8],
    random: Random,
) -> Result<(Vec<u8>, SharedSecret), Error> {
    let curve = new_private_key(method)?;
    let curve_public = curve.compute_public_key().map_err(|_| Error::NoRandomBytes)?;
    if method != Method::MlKem768X25519 {
        let secret = integer(&agree(curve, client_public)?);
        return Ok((curve_public.as_ref().to_vec(), secret));
    }
    let (key, client_curve) = client_public.split_at_checked(KEM_KEY).ok_or(Error::PublicValue)?;
    let key = key.try_into().map_err(|_| Error::PublicValue)?;
    let key = EncapsulationKey::new(key).map_err(|_| Error::PublicValue)?;
    let mut message = Zeroizing::new([0; 32]);
    fill(message.as_mut_slice(), random)?;
    let (ciphertext, kem_secret) = key.encapsulate_deterministic(&B32::from(*message));
    let secret = hybrid(&kem_secret, &agree(curve, client_curve)?);
    Ok(([&ciphertext[..], curve_public.as_ref()].concat(), secret))
}

fn new_private_key(method: Method) -> Result<EphemeralPrivateKey, Error> {
    EphemeralPrivateKey::generate(method.curve(), &SystemRandom::new()).map_err(|_| Error::NoRandomBytes)
}

/// Returns the shared coordinate. Fails for an all-zero result of X25519, as RFC 8731 §3 requires.
fn agree(private: EphemeralPrivateKey, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let peer = UnparsedPublicKey::new(private.algorithm(), peer);
    agreement::agree_ephemeral(private, &peer, |shared| Zeroizing::new(shared.to_vec()))
        .map_err(|_| Error::PublicValue)
}

/// Returns `K` of a method with one secret.
fn integer(shared: &[u8]) -> SharedSecret {
    // Reserve the full length: reallocation would leave a copy of the secret behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(shared.len() + 5));
    secret.put_integer(shared);
    SharedSecret(secret)
}

/// Returns `K` of a hybrid method: the hash of both secrets.
fn hybrid(kem: &[u8], curve: &[u8]) -> SharedSecret {
    let mut context = digest::Context::new(&SHA256);
    context.update(kem);
    context.update(curve);
    let mut secret = Zeroizing::new(Vec::with_capacity(4 + SHA256.output_len()));
    secret.put_string(context.finish());
    SharedSecret(secret)
}

fn fill(bytes: &mut [u8], random: Random) -> Result<(), Error> {
    for chunk in bytes.chunks_mut(16) {
        chunk.copy_from_slice(&random().ok_or(Error::NoRandomBytes)?[..chunk.len()]);
    }
    Ok(())
}

impl fmt::Debug for ClientShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientShare").finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}

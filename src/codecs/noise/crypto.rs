//! The primitives of Noise, from ring.

use std::sync::Mutex;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{self, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};

/// The length of a tag of AES-256-GCM.
pub(super) const TAG: usize = 16;

/// Provides X25519, AES-256-GCM and SHA-256, and nothing else.
pub(super) struct Primitives;

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(SystemNumbers(SystemRandom::new())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(Ephemeral::default()) as _)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256(digest::Context::new(&SHA256))) as _)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::AESGCM).then(|| Box::new(AesGcm(None)) as _)
    }
}

struct SystemNumbers(SystemRandom);

impl Random for SystemNumbers {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.fill(bytes).map_err(|_| Error::Rng)
    }
}

/// A key pair for one handshake. ring uses a private key only once, which is all that the pattern
/// NN needs.
#[derive(Default)]
struct Ephemeral {
    private: Mutex<Option<EphemeralPrivateKey>>,
    public: [u8; 32],
}

impl Dh for Ephemeral {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    /// Does nothing, because the pattern has no static keys.
    fn set(&mut self, _: &[u8]) {}

    fn generate(&mut self, _: &mut dyn Random) -> Result<(), Error> {
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(|_| Error::Rng)?;
        let public = private.compute_public_key().map_err(|_| Error::Rng)?;
        self.public = public.as_ref().try_into().map_err(|_| Error::Dh)?;
        self.private = Mutex::new(Some(private));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    /// Returns nothing: ring does not reveal private keys.
    fn privkey(&self) -> &[u8] {
        &[]
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let private = self.private.lock().ok().and_then(|mut private| private.take()).ok_or(Error::Dh)?;
        // The public key may be in a longer buffer.
        let public = public.get(..32).ok_or(Error::Dh)?;
        let out = out.get_mut(..32).ok_or(Error::Dh)?;
        agree_ephemeral(private, &UnparsedPublicKey::new(&X25519, public), |shared| {
            out.copy_from_slice(shared);
        })
        .map_err(|_| Error::Dh)
    }
}

struct AesGcm(Option<LessSafeKey>);

/// Noise §12.4: 32 zero bits followed by the big-endian counter.
fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new);
    }

    /// Returns 0, and no plaintext, if there is no key.
    fn encrypt(&self, counter: u64, aad: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        let (body, rest) = out.split_at_mut(plain.len());
        body.copy_from_slice(plain);
        let key = self.0.as_ref();
        let sealed = key.map(|key| key.seal_in_place_separate_tag(nonce(counter), Aad::from(aad), body));
        let Some(Ok(tag)) = sealed else {
            body.fill(0);
            return 0;
        };
        rest[..TAG].copy_from_slice(tag.as_ref());
        plain.len() + TAG
    }

    fn decrypt(&self, counter: u64, aad: &[u8], encrypted: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (body, tag) = encrypted.split_last_chunk::<TAG>().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..body.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(body);
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        key.open_in_place_separate_tag(nonce(counter), Aad::from(aad), Tag::from(*tag), out, 0..)
            .map(|plain| plain.len())
            .map_err(|_| Error::Decrypt)
    }
}

struct Sha256(digest::Context);

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = digest::Context::new(&SHA256);
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = self.0.clone().finish();
        out[..32].copy_from_slice(hash.as_ref());
    }
}

//! New keys, and the files that contain them.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::key::PrivateKey;
use super::openssh::MAGIC;
use super::signer::Signer;
use crate::ssh::cipher::Random;
use crate::ssh::wire::Write;

/// The base64 characters in a line of a key file.
const LINE: usize = 70;

const BEGIN: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----\n";
const END: &[u8] = b"-----END OPENSSH PRIVATE KEY-----\n";

/// The space for a key file, apart from its comment. Larger than needed, so that no buffer grows
/// and leaves a copy of the key behind.
const CAPACITY: usize = 512;

/// A key that was just created. Its `Debug` output shows only the public key.
pub struct NewKey {
    /// The key.
    pub key: PrivateKey,
    /// The contents of an unencrypted key file in OpenSSH's format.
    pub file: Zeroizing<Vec<u8>>,
}

/// Creates an Ed25519 key. Returns `None` if the system has no random bytes.
#[must_use]
pub fn generate(random: Random, comment: &str) -> Option<NewKey> {
    let mut seed = Zeroizing::new([0; 32]);
    seed[..16].copy_from_slice(&random()?);
    seed[16..].copy_from_slice(&random()?);
    let [a, b, c, d, ..] = random()?;

    let pair = Box::new(Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?);
    let section = section([a, b, c, d], &seed, pair.public_key().as_ref(), comment);
    let key = PrivateKey::new(Signer::Ed25519(pair), comment.as_bytes()).ok()?;

    let mut file = Zeroizing::new(Vec::with_capacity(CAPACITY + section.len()));
    file.put(MAGIC).put_string("none").put_string("none").put_string("").put_u32(1);
    file.put_string(key.public_key().blob()).put_string(section.as_slice());
    Some(NewKey { key, file: encode(&file)? })
}

/// Returns the section with the private key. `check` is random.
fn section(check: [u8; 4], seed: &[u8; 32], public: &[u8], comment: &str) -> Zeroizing<Vec<u8>> {
    let mut private = Zeroizing::new([0; 64]);
    private[..32].copy_from_slice(seed);
    private[32..].copy_from_slice(public);

    let mut section = Zeroizing::new(Vec::with_capacity(CAPACITY + comment.len()));
    section
        .put(&check)
        .put(&check)
        .put_string("ssh-ed25519")
        .put_string(public)
        .put_string(private.as_slice());
    section.put_string(comment);
    for byte in 1..8 {
        if !section.len().is_multiple_of(8) {
            section.put_u8(byte);
        }
    }
    section
}

/// Returns the text encoding of a file.
fn encode(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut base64 = Zeroizing::new(vec![0; file.len().div_ceil(3) * 4]);
    let length = BASE64_STANDARD.encode_slice(file, &mut base64).ok()?;
    let lines = length.div_ceil(LINE);
    let mut text = Zeroizing::new(Vec::with_capacity(BEGIN.len() + length + lines + END.len()));
    text.put(BEGIN);
    for line in base64[..length].chunks(LINE) {
        text.put(line).put(b"\n");
    }
    text.put(END);
    Some(text)
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

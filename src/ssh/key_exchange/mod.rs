//! Key exchange: both sides agree on a secret, from which they derive their keys (RFC 4253 §7.2 and
//! §8, RFC 5656 §4, RFC 8731, draft-ietf-sshm-mlkem-hybrid-kex).

use ring::digest::{self, Digest, SHA256, SHA384};
use zeroize::Zeroizing;

use super::cipher::{Cipher, Keys, Mac};
use super::wire::Write;

mod agreement;
#[cfg(test)]
mod tests;

pub use agreement::{ClientShare, respond};

/// A method of key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// ML-KEM-768 (FIPS 203) and X25519. An attacker must break both.
    MlKem768X25519,
    /// X25519 (RFC 8731).
    Curve25519,
    /// ECDH on P-256 (RFC 5656).
    NistP256,
    /// ECDH on P-384.
    NistP384,
}

impl Method {
    /// The names on the wire, the preferred one first.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("mlkem768x25519-sha256", Self::MlKem768X25519),
        ("curve25519-sha256", Self::Curve25519),
        ("curve25519-sha256@libssh.org", Self::Curve25519),
        ("ecdh-sha2-nistp256", Self::NistP256),
        ("ecdh-sha2-nistp384", Self::NistP384),
    ];

    fn hash(self) -> &'static digest::Algorithm {
        if self == Self::NistP384 { &SHA384 } else { &SHA256 }
    }
}

/// The shared secret `K`, encoded as it is hashed: a `string` for a hybrid method, and an `mpint`
/// for the others.
pub struct SharedSecret(Zeroizing<Vec<u8>>);

/// Everything that the exchange hash covers, besides the secret (RFC 5656 §4).
#[derive(Clone, Copy, Debug)]
pub struct Transcript<'a> {
    /// The identification line of the client, without CR and LF.
    pub client_identification: &'a [u8],
    /// The identification line of the server, without CR and LF.
    pub server_identification: &'a [u8],
    /// The client's KEXINIT.
    pub client_init: &'a [u8],
    /// The server's KEXINIT.
    pub server_init: &'a [u8],
    /// The server's public host key.
    pub host_key: &'a [u8],
    /// The client's public value.
    pub client_public: &'a [u8],
    /// The server's public value.
    pub server_public: &'a [u8],
}

impl Transcript<'_> {
    /// Returns the exchange hash `H`.
    #[must_use]
    pub fn hash(&self, method: Method, secret: &SharedSecret) -> Digest {
        let fields = [
            self.client_identification,
            self.server_identification,
            self.client_init,
            self.server_init,
            self.host_key,
            self.client_public,
            self.server_public,
        ];
        let mut context = digest::Context::new(method.hash());
        let mut length = Vec::with_capacity(4);
        for field in fields {
            length.clear();
            length.put_u32(u32::try_from(field.len()).unwrap_or(u32::MAX));
            context.update(&length);
            context.update(field);
        }
        context.update(&secret.0);
        context.finish()
    }
}

/// The result of a key exchange, from which keys are derived.
#[derive(Clone, Copy)]
pub struct Derivation<'a> {
    /// The method of the exchange.
    pub method: Method,
    /// The shared secret.
    pub secret: &'a SharedSecret,
    /// The exchange hash.
    pub exchange_hash: &'a [u8],
    /// The exchange hash of the connection's first key exchange.
    pub session_id: &'a [u8],
}

/// The direction that keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Derivation<'_> {
    /// Returns the keys for one direction.
    #[must_use]
    pub fn keys(&self, direction: Direction, cipher: Cipher, mac: Mac) -> Keys {
        let [iv, key, mac_key] = match direction {
            Direction::ToServer => *b"ACE",
            Direction::ToClient => *b"BDF",
        };
        let mac_length = if cipher.is_aead() { 0 } else { mac.key_length() };
        Keys {
            iv: self.derive(iv, cipher.iv_length()),
            cipher: self.derive(key, cipher.key_length()),
            mac: self.derive(mac_key, mac_length),
        }
    }

    /// Derives `length` bytes (RFC 4253 §7.2).
    fn derive(&self, letter: u8, length: usize) -> Zeroizing<Vec<u8>> {
        let hash = self.method.hash();
        // Reserve the full length: reallocation would leave a copy of the key behind.
        let mut key = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
        while key.len() < length {
            let mut context = digest::Context::new(hash);
            context.update(&self.secret.0);
            context.update(self.exchange_hash);
            if key.is_empty() {
                context.update(&[letter]);
                context.update(self.session_id);
            } else {
                context.update(&key);
            }
            key.extend_from_slice(context.finish().as_ref());
        }
        key.truncate(length);
        key
    }
}

//! The negotiation of algorithms (RFC 4253 §7.1).

use super::certificate;
use super::cipher::{Cipher, Mac};
use super::error::Error;
use super::key_exchange::Method;
use super::message;
use super::wire::{Malformed, Reader, Write};

/// The marker of a client with strict key exchange (OpenSSH's `PROTOCOL`, section 1.10).
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";

/// The marker of a server with strict key exchange.
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";

/// The markers of sides that accept `EXT_INFO` (RFC 8308 §2.1).
const EXT_INFO_CLIENT: &str = "ext-info-c";
const EXT_INFO_SERVER: &str = "ext-info-s";

/// zlib after authentication (draft-miller-secsh-compression-delayed).
pub const ZLIB: &str = "zlib@openssh.com";

const NONE: &str = "none";

/// The signature algorithms, the preferred one first.
pub const SIGNATURES: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsa-sha2-512", "rsa-sha2-256"];

/// Returns the algorithms for host keys, and those for certified ones after them.
#[must_use]
pub fn host_key_algorithms() -> Vec<&'static str> {
    SIGNATURES.into_iter().chain(certificate::ALGORITHMS.map(|(name, _)| name)).collect()
}

/// The side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that opened the connection.
    Client,
    /// The side that has the host key.
    Server,
}

/// The algorithms that this side offers, the preferred ones first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Names of key exchange methods.
    pub key_exchanges: Vec<&'static str>,
    /// Names of signature algorithms for host keys.
    pub host_keys: Vec<&'static str>,
    /// Ciphers for both directions.
    pub ciphers: Vec<Cipher>,
    /// MACs for both directions.
    pub macs: Vec<Mac>,
    /// The use of compression in both directions.
    pub compression: Compression,
    /// Offer strict key exchange.
    pub is_strict: bool,
    /// Use ciphers and MACs that are safe only with strict key exchange even if the peer lacks it.
    pub allow_without_strict: bool,
    /// As a client, guess that the server prefers the same algorithms: send the public value for
    /// the first method together with the first KEXINIT.
    pub guesses: bool,
}

/// The use of [`ZLIB`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not offered.
    #[default]
    Off,
    /// Offered after no compression.
    Accepted,
    /// Offered before no compression.
    Preferred,
}

impl Compression {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Off => &[NONE],
            Self::Accepted => &[NONE, ZLIB],
            Self::Preferred => &[ZLIB, NONE],
        }
    }
}

impl Default for Offer {
    /// Offers everything except compression.
    fn default() -> Self {
        Self {
            key_exchanges: Method::NAMES.iter().map(|(name, _)| *name).collect(),
            host_keys: host_key_algorithms(),
            ciphers: Cipher::ALL.to_vec(),
            macs: Mac::ALL.to_vec(),
            compression: Compression::Off,
            is_strict: true,
            allow_without_strict: false,
            guesses: false,
        }
    }
}

impl Offer {
    /// Removes what is safe only with strict key exchange.
    pub fn remove_strict_only(&mut self) {
        let allows = self.allow_without_strict;
        self.ciphers.retain(|cipher| allows || *cipher != Cipher::ChaCha20Poly1305);
        self.macs.retain(|mac| !mac.encrypts_then_macs());
    }

    /// Returns `true` if a client guesses in this key exchange.
    pub(super) fn guesses_in(&self, role: Role, is_first: bool) -> bool {
        self.guesses && is_first && role == Role::Client
    }

    /// Returns the preferred method of key exchange.
    pub(super) fn first_method(&self) -> Option<Method> {
        let first = self.key_exchanges.first()?;
        Method::NAMES.iter().find(|(name, _)| name == first).map(|(_, method)| *method)
    }

    /// Returns the KEXINIT. The markers are sent in the first one of a connection only.
    pub(super) fn message(&self, role: Role, cookie: [u8; 16], is_first: bool) -> Vec<u8> {
        let (ext_info, strict) = match role {
            Role::Client => (EXT_INFO_CLIENT, STRICT_CLIENT),
            Role::Server => (EXT_INFO_SERVER, STRICT_SERVER),
        };
        let mut key_exchanges = self.key_exchanges.clone();
        key_exchanges.extend(Some(ext_info).filter(|_| is_first));
        key_exchanges.extend(Some(strict).filter(|_| is_first && self.is_strict));
        let ciphers: Vec<_> = self.ciphers.iter().map(|cipher| cipher.name()).collect();
        let macs: Vec<_> = self.macs.iter().map(|mac| mac.name()).collect();
        let mut init = vec![message::KEXINIT];
        init.put(&cookie).put_name_list(&key_exchanges).put_name_list(&self.host_keys);
        for list in [&ciphers, &ciphers, &macs, &macs] {
            init.put_name_list(list);
        }
        let compressions = self.compression.names();
        init.put_name_list(compressions).put_name_list(compressions).put_name_list(&[]).put_name_list(&[]);
        init.put_bool(self.guesses_in(role, is_first)).put_u32(0);
        init
    }
}

/// A peer's KEXINIT.
#[derive(Debug)]
pub(super) struct Init<'a> {
    key_exchanges: Vec<&'a str>,
    host_keys: Vec<&'a str>,
    /// To the server, and to the client.
    ciphers: [Vec<&'a str>; 2],
    macs: [Vec<&'a str>; 2],
    compressions: [Vec<&'a str>; 2],
    /// The peer has guessed the method, and its next message belongs to it.
    guessed: bool,
}

impl<'a> Init<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        reader.bytes(1 + 16)?;
        let (key_exchanges, host_keys) = (reader.name_list()?, reader.name_list()?);
        let mut pair = || Ok([reader.name_list()?, reader.name_list()?]);
        let (ciphers, macs, compressions, _languages) = (pair()?, pair()?, pair()?, pair()?);
        let guessed = reader.bool()?;
        reader.u32()?;
        reader.end()?;
        Ok(Self { key_exchanges, host_keys, ciphers, macs, compressions, guessed })
    }

    /// Returns `true` if the peer, which has this role, uses strict key exchange.
    pub(super) fn is_strict(&self, role: Role) -> bool {
        let marker = if role == Role::Client { STRICT_CLIENT } else { STRICT_SERVER };
        self.key_exchanges.contains(&marker)
    }

    /// Returns `true` if the peer, which has this role, accepts `EXT_INFO`.
    pub(super) fn accepts_ext_info(&self, role: Role) -> bool {
        let marker = if role == Role::Client { EXT_INFO_CLIENT } else { EXT_INFO_SERVER };
        self.key_exchanges.contains(&marker)
    }
}

/// The algorithms that both sides use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// The method of key exchange, and its name.
    pub key_exchange: (&'static str, Method),
    /// The signature algorithm of the host key.
    pub host_key: &'static str,
    /// The cipher and the MAC to the server. The MAC of an AEAD cipher has no meaning.
    pub to_server: (Cipher, Mac),
    /// The cipher and the MAC to the client.
    pub to_client: (Cipher, Mac),
    /// Packets to the server, and those to the client, are compressed after authentication.
    pub compresses: [bool; 2],
    /// Both sides prefer the same key exchange and host key algorithm, so a guess is right (RFC
    /// 4253 §7.1).
    pub(super) is_guess_right: bool,
    /// The peer has guessed: its next message belongs to the key exchange.
    pub(super) has_peer_guessed: bool,
}

/// Returns the algorithms that follow from both offers. This side has the role `role`.
pub(super) fn negotiate(
    offer: &Offer,
    peer: &Init<'_>,
    role: Role,
    strict: bool,
) -> Result<Algorithms, Error> {
    let key_exchange = choose("key exchange", &offer.key_exchanges, &peer.key_exchanges, role)?;
    let host_key = choose("host key algorithm", &offer.host_keys, &peer.host_keys, role)?;
    let ciphers: Vec<_> = offer.ciphers.iter().map(|cipher| cipher.name()).collect();
    let macs: Vec<_> = offer.macs.iter().map(|mac| mac.name()).collect();
    let (mut directions, mut compresses) = ([(Cipher::Aes256Gcm, Mac::ALL[0]); 2], [false; 2]);
    for (index, direction) in directions.iter_mut().enumerate() {
        let name = choose("cipher", &ciphers, &peer.ciphers[index], role)?;
        let cipher = Cipher::ALL.into_iter().find(|cipher| cipher.name() == name);
        let cipher = cipher.unwrap_or(Cipher::Aes256Gcm);
        let mac = if cipher.is_aead() {
            Mac::ALL[0]
        } else {
            let name = choose("MAC", &macs, &peer.macs[index], role)?;
            Mac::ALL.into_iter().find(|mac| mac.name() == name).unwrap_or(Mac::ALL[0])
        };
        let strict_only = match cipher {
            Cipher::ChaCha20Poly1305 => Some(cipher.name()),
            cipher => Some(mac.name()).filter(|_| !cipher.is_aead() && mac.encrypts_then_macs()),
        };
        if let Some(name) = strict_only
            .filter(|_| !strict && (cipher != Cipher::ChaCha20Poly1305 || !offer.allow_without_strict))
        {
            return Err(Error::NotStrict(name));
        }
        let name = choose("compression", offer.compression.names(), &peer.compressions[index], role)?;
        compresses[index] = name == ZLIB;
        *direction = (cipher, mac);
    }
    let [to_server, to_client] = directions;
    let method = Method::NAMES.into_iter().find(|(name, _)| *name == key_exchange);
    let is_guess_right = peer.key_exchanges.first() == offer.key_exchanges.first()
        && peer.host_keys.first() == offer.host_keys.first();
    Ok(Algorithms {
        key_exchange: method.unwrap_or(Method::NAMES[0]),
        host_key,
        to_server,
        to_client,
        compresses,
        is_guess_right,
        has_peer_guessed: peer.guessed,
    })
}

/// Returns the client's first name that the server also has.
fn choose(
    kind: &'static str,
    ours: &[&'static str],
    theirs: &[&str],
    role: Role,
) -> Result<&'static str, Error> {
    let chosen = match role {
        Role::Client => ours.iter().find(|name| theirs.contains(*name)),
        Role::Server => theirs.iter().find_map(|name| ours.iter().find(|own| *own == name)),
    };
    chosen.copied().ok_or_else(|| Error::NothingInCommon { kind, offers: theirs.join(",") })
}

//! Digest (RFC 7616, and RFC 2069 for proxies that name no quality of protection): a proof that we know the password.

use md5::Md5;
use sha2::{Sha256, Sha512_256};
use zeroize::Zeroizing;

use super::super::{Credentials, Error};
use super::challenge::Challenge;
use super::credentials_header::Authorization;

/// The hash functions, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

impl Hash {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Md5, "MD5"), (Self::Sha256, "SHA-256"), (Self::Sha512_256, "SHA-512-256")];

    /// Its name, as an `algorithm`.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(hash, _)| *hash == self).map_or("", |(_, name)| name)
    }

    /// The hash of all parts, a colon between each two, in hexadecimal.
    fn of(self, parts: &[&[u8]]) -> Zeroizing<String> {
        match self {
            Self::Md5 => hex(&Zeroizing::new(hashed::<Md5>(parts))),
            Self::Sha256 => hex(&Zeroizing::new(hashed::<Sha256>(parts))),
            Self::Sha512_256 => hex(&Zeroizing::new(hashed::<Sha512_256>(parts))),
        }
    }
}

fn hashed<H: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = H::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
    Zeroizing::new(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

/// How a proxy wants to be told the user's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    AsItIs,
    /// Beyond ASCII as RFC 5987 has it: the proxy has announced to know UTF-8.
    Extended,
    Hashed,
}

/// A challenge that we can answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) hash: Hash,
    /// As the proxy writes it; a proxy that does not is answered without.
    algorithm: Option<String>,
    /// The `-sess` of an algorithm: nonces are mixed into the secret.
    session: bool,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// The quality of protection `auth`; without it the answer is the one of RFC 2069.
    qop: bool,
    name: Name,
    /// The nonce that we used is too old, and the answer was right.
    pub(super) stale: bool,
}

/// What is asked for, and by whom, for the first or the n-th time with a nonce.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) credentials: &'a Credentials,
    pub(super) cnonce: &'a str,
    pub(super) count: u32,
}

impl Digest {
    /// Reads a challenge, or says what of it we cannot do.
    pub(super) fn of(challenge: &Challenge) -> Result<Self, String> {
        let text = |name| challenge.parameter(name).map(str::to_owned);
        let is = |name, word: &str| challenge.parameter(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
        if !challenge.is_sound() {
            return Err("it is malformed".into());
        }
        let (Some(realm), Some(nonce)) = (text("realm"), text("nonce")) else {
            return Err("it has no realm or no nonce".into());
        };
        let opaque = text("opaque");
        // What is not UTF-8 could not be given back as it came.
        if [&realm, &nonce].into_iter().chain(&opaque).any(|text| text.contains('\u{fffd}')) {
            return Err("it is not UTF-8".into());
        }
        let algorithm = text("algorithm");
        let name = algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase();
        let (base, session) = name.strip_suffix("-SESS").map_or((&*name, false), |base| (base, true));
        let Some((hash, _)) = Hash::ALL.into_iter().find(|(_, known)| *known == base) else {
            return Err(format!("algorithm {name}"));
        };
        let qop = challenge.parameter("qop");
        if qop.is_some_and(|list| !list.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"))) {
            return Err("no quality of protection is auth".into());
        }
        // Its secret has our nonce in it, which RFC 2069 cannot tell the proxy.
        if session && qop.is_none() {
            return Err(format!("algorithm {name} without a quality of protection"));
        }
        Ok(Self {
            hash,
            algorithm,
            session,
            realm,
            nonce,
            opaque,
            qop: qop.is_some(),
            name: match (is("userhash", "true"), is("charset", "UTF-8")) {
                (true, _) => Name::Hashed,
                (false, true) => Name::Extended,
                (false, false) => Name::AsItIs,
            },
            stale: is("stale", "true"),
        })
    }

    /// The answer, in the order and with the quotes of the examples in RFC 7616 §3.9.
    pub(super) fn answer(&self, question: &Question<'_>) -> Result<Authorization, Error> {
        let Question { method, uri, credentials, cnonce, count } = question;
        let hash = |parts: &[&[u8]]| self.hash.of(parts);
        let (user, realm, nonce) =
            (credentials.user.as_bytes(), self.realm.as_bytes(), self.nonce.as_bytes());
        let count = format!("{count:08x}");

        let mut secret = hash(&[user, realm, credentials.password.expose()]);
        if self.session {
            secret = hash(&[secret.as_bytes(), nonce, cnonce.as_bytes()]);
        }
        let what = hash(&[method.as_bytes(), uri.as_bytes()]);
        let response = if self.qop {
            let parts = [nonce, count.as_bytes(), cnonce.as_bytes(), b"auth", what.as_bytes()];
            hash(&[&[secret.as_bytes()], &parts[..]].concat())
        } else {
            hash(&[secret.as_bytes(), nonce, what.as_bytes()])
        };

        let mut before = vec![self.user(&credentials.user)?, format!("realm={}", quoted(&self.realm))];
        before.push(format!("uri={}", quoted(uri)));
        before.extend(self.algorithm.as_ref().map(|name| format!("algorithm={name}")));
        before.push(format!("nonce={}", quoted(&self.nonce)));
        if self.qop {
            before.push(format!("nc={count}, cnonce={}, qop=auth", quoted(cnonce)));
        }
        before.push("response=\"".into());
        let mut after = vec!["\"".to_owned()];
        after.extend(self.opaque.as_ref().map(|opaque| format!("opaque={}", quoted(opaque))));
        after.extend((self.name == Name::Hashed).then(|| "userhash=true".into()));
        Ok(Authorization::new(&format!("Digest {}", before.join(", ")), &response, &after.join(", ")))
    }

    /// Checks that these credentials can be said.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<(), Error> {
        self.user(&credentials.user).map(drop)
    }

    fn user(&self, user: &str) -> Result<String, Error> {
        if self.name == Name::Hashed {
            let hash = self.hash.of(&[user.as_bytes(), self.realm.as_bytes()]);
            return Ok(format!("username=\"{}\"", *hash));
        }
        if user.chars().any(char::is_control) {
            return Err(Error::NotEncodable("HTTP allows no control character in a user name"));
        }
        if self.name == Name::AsItIs || user.is_ascii() {
            return Ok(format!("username={}", quoted(user)));
        }
        let encoded = user.bytes().map(|byte| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "!#$&+-.^_`|~".contains(c) => c.into(),
            _ => format!("%{byte:02X}"),
        });
        Ok(format!("username*=UTF-8''{}", encoded.collect::<String>()))
    }
}

/// A quoted string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;

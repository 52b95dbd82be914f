//! Digest authentication (RFC 7616, and RFC 2069 for proxies that offer no quality of protection).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Md5;
use sha2::{Sha256, Sha512_256};
use zeroize::Zeroizing;

use super::super::{Credentials, Error, Unencodable};
use super::challenge::Challenge;
use super::credentials_header::Authorization;
use crate::secret::UserName;

/// A function that returns random bytes from the system, or `None` if the system provides none.
pub type Random = fn() -> Option<[u8; 16]>;

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

    /// Returns the name that the `algorithm` parameter uses for this hash function.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(hash, _)| *hash == self).map_or("", |(_, name)| name)
    }

    /// Returns the hash of the parts joined with colons, in hexadecimal.
    fn hex_digest(self, parts: &[&[u8]]) -> Zeroizing<String> {
        match self {
            Self::Md5 => hex(&Zeroizing::new(hash_joined::<Md5>(parts))),
            Self::Sha256 => hex(&Zeroizing::new(hash_joined::<Sha256>(parts))),
            Self::Sha512_256 => hex(&Zeroizing::new(hash_joined::<Sha512_256>(parts))),
        }
    }
}

fn hash_joined<H: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
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

/// The form in which the user name is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameForm {
    Plain,
    /// Non-ASCII names in the extended notation (RFC 5987), because the proxy sent `charset=UTF-8`.
    Extended,
    Hashed,
}

/// A Digest challenge that we support.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) hash: Hash,
    /// The `algorithm` parameter as the proxy spells it. `None` if the challenge has no such
    /// parameter; the response then omits it, too.
    algorithm: Option<String>,
    /// The algorithm ends in `-sess`: the nonces are mixed into the secret.
    session: bool,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// The proxy offers the quality of protection `auth`. Without it, the response follows RFC
    /// 2069.
    qop: bool,
    name_form: NameForm,
    /// Our previous response was correct, but its nonce has expired.
    pub(super) stale: bool,
}

/// A challenge, with the uses of its nonce by all sessions that answer it.
#[derive(Debug)]
pub(super) struct UsedDigest {
    pub(super) digest: Digest,
    /// The number of requests that have used the nonce.
    uses: AtomicU32,
    /// The client nonce of the first request, for algorithms that end in `-sess`. RFC 7616 §3.4.2
    /// derives one key from it for all requests with this nonce. Proxies that derive the key for
    /// each request use the client nonce in that request, which is therefore the same one.
    session_cnonce: OnceLock<String>,
}

impl UsedDigest {
    pub(super) fn new(digest: Digest) -> Self {
        Self { digest, uses: AtomicU32::new(0), session_cnonce: OnceLock::new() }
    }

    /// Computes the response for the next request, which has this method and this request target.
    pub(super) fn respond(
        &self,
        credentials: &Credentials,
        (method, uri): (&str, &str),
        random: Random,
    ) -> Result<Authorization, Error> {
        let fresh = BASE64.encode(random().ok_or(Error::NoRandomness)?);
        let cnonce = if self.digest.session { self.session_cnonce.get_or_init(|| fresh) } else { &fresh };
        // After an overflow, the proxy rejects the count and sends a new nonce, which has a new
        // counter.
        let count = self.uses.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.digest.respond(&RequestInfo { method, uri, credentials, cnonce, count })
    }
}

/// The request for which a Digest response is computed.
pub(super) struct RequestInfo<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) credentials: &'a Credentials,
    pub(super) cnonce: &'a str,
    /// The number of requests that have used the nonce, including this one.
    pub(super) count: u32,
}

impl Digest {
    /// Parses a challenge.
    ///
    /// # Errors
    /// Returns a description of the problem, for display in parentheses after the scheme's name.
    pub(super) fn parse(challenge: &Challenge) -> Result<Self, String> {
        let text = |name| challenge.parameter(name).map(str::to_owned);
        let is = |name, value: &str| {
            challenge.parameter(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        if !challenge.is_well_formed() {
            return Err("malformed challenge".into());
        }
        let (Some(realm), Some(nonce)) = (text("realm"), text("nonce")) else {
            return Err("no realm or no nonce".into());
        };
        let opaque = text("opaque");
        // Invalid UTF-8 was replaced with U+FFFD, so the response could not repeat the original
        // bytes.
        if [&realm, &nonce].into_iter().chain(&opaque).any(|text| text.contains('\u{fffd}')) {
            return Err("not UTF-8".into());
        }
        let algorithm = text("algorithm");
        let spelled = algorithm.as_deref().unwrap_or("MD5");
        let name = spelled.to_ascii_uppercase();
        let (base, session) = name.strip_suffix("-SESS").map_or((&*name, false), |base| (base, true));
        let Some((hash, _)) = Hash::ALL.into_iter().find(|(_, known)| *known == base) else {
            // As the proxy spells it: in another case, a secret would not be recognized.
            return Err(format!("unsupported algorithm {spelled}"));
        };
        let qop = challenge.parameter("qop");
        if qop.is_some_and(|list| !list.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"))) {
            return Err("no quality of protection 'auth'".into());
        }
        // The secret includes our nonce, which an RFC 2069 response cannot transmit.
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
            name_form: match (is("userhash", "true"), is("charset", "UTF-8")) {
                (true, _) => NameForm::Hashed,
                (false, true) => NameForm::Extended,
                (false, false) => NameForm::Plain,
            },
            stale: is("stale", "true"),
        })
    }

    /// Returns the texts of the challenge that the response repeats.
    pub(super) fn repeated(&self) -> impl Iterator<Item = &str> {
        [Some(&self.realm), Some(&self.nonce), self.opaque.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Computes the response, with the parameters ordered and quoted as in the examples in RFC 7616
    /// §3.9.
    pub(super) fn respond(&self, request: &RequestInfo<'_>) -> Result<Authorization, Error> {
        let RequestInfo { method, uri, credentials, cnonce, count } = request;
        let hash = |parts: &[&[u8]]| self.hash.hex_digest(parts);
        let (user, realm, nonce) =
            (credentials.user.as_bytes(), self.realm.as_bytes(), self.nonce.as_bytes());
        let count = format!("{count:08x}");

        let mut secret = hash(&[user, realm, credentials.password.expose()]);
        if self.session {
            secret = hash(&[secret.as_bytes(), nonce, cnonce.as_bytes()]);
        }
        let request_hash = hash(&[method.as_bytes(), uri.as_bytes()]);
        let response = if self.qop {
            let parts = [nonce, count.as_bytes(), cnonce.as_bytes(), b"auth", request_hash.as_bytes()];
            hash(&[&[secret.as_bytes()], &parts[..]].concat())
        } else {
            hash(&[secret.as_bytes(), nonce, request_hash.as_bytes()])
        };

        let mut parameters = vec![format!("realm={}", quoted(&self.realm)), format!("uri={}", quoted(uri))];
        parameters.extend(self.algorithm.as_ref().map(|name| format!("algorithm={name}")));
        parameters.push(format!("nonce={}", quoted(&self.nonce)));
        if self.qop {
            parameters.push(format!("nc={count}, cnonce={}, qop=auth", quoted(cnonce)));
        }
        parameters.push("response=\"".into());
        let (user, parameters) = (self.user_parameter(&credentials.user)?, parameters.join(", "));
        let before = [b"Digest ", &*user, b", ", parameters.as_bytes()].concat();
        let mut after = vec!["\"".to_owned()];
        after.extend(self.opaque.as_ref().map(|opaque| format!("opaque={}", quoted(opaque))));
        after.extend((self.name_form == NameForm::Hashed).then(|| "userhash=true".into()));
        Ok(Authorization::new(&before, &response, &after.join(", ")))
    }

    /// Checks that the user name can be encoded.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<(), Error> {
        self.user_parameter(&credentials.user).map(drop)
    }

    fn user_parameter(&self, user: &UserName) -> Result<Vec<u8>, Error> {
        if self.name_form == NameForm::Hashed {
            let hash = self.hash.hex_digest(&[user.as_bytes(), self.realm.as_bytes()]);
            return Ok(format!("username=\"{}\"", *hash).into());
        }
        if user.to_string().chars().any(char::is_control) {
            return Err(Error::NotEncodable(Unencodable::DigestControl));
        }
        let is_utf_8 = user.to_str().is_some_and(|text| !text.is_ascii());
        if self.name_form == NameForm::Plain || !is_utf_8 {
            return Ok([b"username=", &*quoted_bytes(user.as_bytes())].concat());
        }
        let encoded = user.as_bytes().iter().map(|&byte| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "!#$&+-.^_`|~".contains(c) => c.into(),
            _ => format!("%{byte:02X}"),
        });
        Ok(format!("username*=UTF-8''{}", encoded.collect::<String>()).into())
    }
}

/// Returns `text` as a quoted string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Quotes text in any encoding as [`quoted`] does.
fn quoted_bytes(text: &[u8]) -> Vec<u8> {
    let escaped = text.iter().flat_map(|&byte| {
        let escape = matches!(byte, b'\\' | b'"').then_some(b'\\');
        escape.into_iter().chain([byte])
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}

#[cfg(test)]
mod tests;

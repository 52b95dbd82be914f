//! Digest authentication (RFC 7616, and RFC 2069 for proxies that offer no quality of protection).

use md5::Md5;
use sha2::{Sha256, Sha512_256};
use zeroize::Zeroizing;

use super::super::{Credentials, Error, Unencodable};
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
enum UserName {
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
    user_name: UserName,
    /// Our previous response was correct, but its nonce has expired.
    pub(super) stale: bool,
}

/// The request for which a Digest response is computed.
pub(super) struct RequestInfo<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) credentials: &'a Credentials,
    pub(super) cnonce: &'a str,
    /// How many requests have used the nonce, including this one.
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
            user_name: match (is("userhash", "true"), is("charset", "UTF-8")) {
                (true, _) => UserName::Hashed,
                (false, true) => UserName::Extended,
                (false, false) => UserName::Plain,
            },
            stale: is("stale", "true"),
        })
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

        let mut before =
            vec![self.user_parameter(&credentials.user)?, format!("realm={}", quoted(&self.realm))];
        before.push(format!("uri={}", quoted(uri)));
        before.extend(self.algorithm.as_ref().map(|name| format!("algorithm={name}")));
        before.push(format!("nonce={}", quoted(&self.nonce)));
        if self.qop {
            before.push(format!("nc={count}, cnonce={}, qop=auth", quoted(cnonce)));
        }
        before.push("response=\"".into());
        let mut after = vec!["\"".to_owned()];
        after.extend(self.opaque.as_ref().map(|opaque| format!("opaque={}", quoted(opaque))));
        after.extend((self.user_name == UserName::Hashed).then(|| "userhash=true".into()));
        Ok(Authorization::new(&format!("Digest {}", before.join(", ")), &response, &after.join(", ")))
    }

    /// Checks that the user name can be encoded.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<(), Error> {
        self.user_parameter(&credentials.user).map(drop)
    }

    fn user_parameter(&self, user: &str) -> Result<String, Error> {
        if self.user_name == UserName::Hashed {
            let hash = self.hash.hex_digest(&[user.as_bytes(), self.realm.as_bytes()]);
            return Ok(format!("username=\"{}\"", *hash));
        }
        if user.chars().any(char::is_control) {
            return Err(Error::NotEncodable(Unencodable::DigestControl));
        }
        if self.user_name == UserName::Plain || user.is_ascii() {
            return Ok(format!("username={}", quoted(user)));
        }
        let encoded = user.bytes().map(|byte| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "!#$&+-.^_`|~".contains(c) => c.into(),
            _ => format!("%{byte:02X}"),
        });
        Ok(format!("username*=UTF-8''{}", encoded.collect::<String>()))
    }
}

/// Returns `text` as a quoted string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;

//! Verifies tokens.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::claims::{Claims, Role};
use super::deny::DenyList;
use super::ed25519::PublicKey;
use super::json::Object;
use super::keys::KeySet;
use super::refusal::Refusal;

/// Maximum length of a token, in bytes.
pub const MAX_TOKEN: usize = 2048;

/// Tolerance for `nbf` and `iat`, in seconds, because clocks differ. `exp` has none.
const CLOCK_TOLERANCE: u64 = 30;

/// The tokens that a server accepts.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The keys that may have signed a token.
    pub keys: &'a KeySet,
    /// The tokens to refuse.
    pub denied: &'a DenyList,
    /// The server's name, which the `aud` claim must contain.
    pub audience: &'a str,
}

/// The use for which a client presents a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage<'a> {
    /// The role that is required.
    pub role: Role,
    /// The session; `None` if the role requires no session.
    pub session: Option<&'a str>,
}

/// A token that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its claims.
    pub claims: Claims,
    /// The key that has signed it.
    key: PublicKey,
}

/// A refused client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub why: Refusal,
    /// The identity of the token's holder. Empty if the token has none, or no valid signature to
    /// prove it.
    pub identity: String,
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Self {
        Self { why, identity: String::new() }
    }
}

impl Check<'_> {
    /// Verifies a token at the time `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The token is invalid, or not for this use.
    pub fn verify(&self, token: &[u8], usage: Usage<'_>, now: u64) -> Result<Verified, Refused> {
        let Parts { signed, header, payload, signature } = Parts::parse(token)?;
        // Check the signature first, so that only the holder of a key can reach the JSON parser.
        let key = self.keys.signer(signed, &signature).ok_or(Refusal::Signature)?;
        check_header(&header)?;
        let claims = Claims::parse(&payload)?;
        let verified = Verified { claims, key };
        let checked = check_start(&verified.claims, now).and_then(|()| self.recheck(&verified, usage, now));
        match checked {
            Ok(()) => Ok(verified),
            Err(why) => Err(Refused { why, identity: verified.claims.identity().to_owned() }),
        }
    }

    /// Checks whether a token that was verified earlier is still valid: it has not expired, its key
    /// has not been removed, and it is not denied.
    ///
    /// # Errors
    /// The token is no longer valid.
    pub fn recheck(&self, verified: &Verified, usage: Usage<'_>, now: u64) -> Result<(), Refusal> {
        let Verified { claims, key } = verified;
        let Usage { role, session } = usage;
        if now >= claims.expires {
            return Err(Refusal::Expired(claims.expires));
        }
        let is_permitted = self.keys.permits(key, role, session).ok_or(Refusal::KeyRemoved)?;
        if self.denied.includes(claims, session) {
            return Err(Refusal::Denied);
        }
        if !claims.audience.iter().any(|audience| audience == self.audience) {
            return Err(Refusal::Audience);
        }
        if claims.role != Some(role) {
            return Err(Refusal::Role);
        }
        let includes = |session| claims.sessions.as_ref().is_some_and(|all| all.include(session));
        if !session.is_none_or(includes) {
            return Err(Refusal::Session);
        }
        if is_permitted { Ok(()) } else { Err(Refusal::KeyLimits) }
    }
}

impl Claims {
    /// Returns the claims of a token without verifying its signature, to show them to its holder.
    /// Returns `None` if the token is malformed.
    #[must_use]
    pub fn unverified(token: &[u8]) -> Option<Self> {
        Self::parse(&Parts::parse(token).ok()?.payload).ok()
    }
}

/// The decoded parts of a token (RFC 7515 §7.1).
struct Parts<'a> {
    /// The bytes that the signature covers.
    signed: &'a [u8],
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn parse(token: &'a [u8]) -> Result<Self, Refusal> {
        if token.is_empty() {
            return Err(Refusal::Missing);
        }
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLong);
        }
        let mut parts = token.split(|&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed);
        };
        // This decoder rejects padding, and bits after the last byte that are not zero.
        let decoded = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
        Ok(Self {
            signed: &token[..header.len() + 1 + payload.len()],
            header: decoded(header)?,
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }
}

/// Checks the header of a token. Ignores unknown members, except that RFC 7515 §4.1.11 requires a
/// rejection if `crit` names extensions.
fn check_header(header: &[u8]) -> Result<(), Refusal> {
    let header = Object::parse(header).ok_or(Refusal::Malformed)?;
    let text = |name| header.string(name).map_err(|_| Refusal::Header(name));
    if text("alg")? != Some("EdDSA") {
        return Err(Refusal::Header("alg"));
    }
    if text("typ")?.is_some_and(|name| !name.eq_ignore_ascii_case("JWT")) {
        return Err(Refusal::Header("typ"));
    }
    text("kid")?;
    if header.has("crit") { Err(Refusal::Header("crit")) } else { Ok(()) }
}

/// Checks that the token is valid already.
fn check_start(claims: &Claims, now: u64) -> Result<(), Refusal> {
    let latest = now.saturating_add(CLOCK_TOLERANCE);
    match (claims.not_before, claims.issued) {
        (Some(time), _) if time > latest => Err(Refusal::NotYetValid(time)),
        (_, Some(time)) if time > latest => Err(Refusal::IssuedLater(time)),
        _ => Ok(()),
    }
}

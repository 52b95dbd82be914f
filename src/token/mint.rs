//! Creates tokens.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Value};

use super::claims::{Role, Sessions};
use super::ed25519::SigningKey;
use super::verify::MAX_TOKEN;
use crate::text::date::{LAST_TIME, parse_rfc3339};

/// The header of every token, as `PyJWT` writes it.
const HEADER: &str = r#"{"typ":"JWT","alg":"EdDSA"}"#;

/// The claims of a token to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintRequest {
    /// The claims, without those about time.
    claims: Map<String, Value>,
    /// The lifetime, in seconds.
    lifetime: u64,
}

/// An error in the claims of a token to create.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// An item is not of the form `name=value`, or its name is unknown.
    #[error("unknown claim '{0}'; use role, session, aud, ttl, sub, max or nbf")]
    Unknown(String),
    /// A claim was given twice.
    #[error("claim '{0}' given twice")]
    Repeated(&'static str),
    /// A required claim was not given.
    #[error("missing claim '{0}'")]
    Missing(&'static str),
    /// A claim has an invalid value.
    #[error("invalid value '{value}' for claim '{name}'; use {expected}")]
    Invalid {
        /// The claim.
        name: &'static str,
        /// The value.
        value: String,
        /// A description of valid values.
        expected: &'static str,
    },
    /// The token would be too long for a server.
    #[error("token longer than {MAX_TOKEN} bytes; use shorter claims")]
    TooLong,
}

impl MintRequest {
    /// Parses claims of the form `name=value,…`. `aud` may be repeated.
    ///
    /// # Errors
    /// A claim is invalid, unknown, repeated or missing.
    pub fn parse(text: &str) -> Result<Self, MintError> {
        let mut request = Self { claims: Map::new(), lifetime: 0 };
        for item in text.split(',') {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            request.add(name.trim(), value.trim())?;
        }
        let has = |name: &str| request.claims.contains_key(name);
        let needs_session = request.claims.get("role") != Some(&Role::Stats.name().into());
        let missing = ["role", "aud"].into_iter().find(|name| !has(name));
        let missing = missing.or_else(|| (needs_session && !has("session")).then_some("session"));
        let missing = missing.or_else(|| (request.lifetime == 0).then_some("ttl"));
        missing.map_or(Ok(request), |name| Err(MintError::Missing(name)))
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), MintError> {
        let text = || Some(Value::from(value)).filter(|_| !value.is_empty());
        match name {
            "aud" => self.add_audience(value),
            "ttl" => {
                let expected = "seconds, or a number with s, m, h or d";
                let lifetime = lifetime(value).ok_or_else(|| invalid("ttl", value, expected))?;
                if std::mem::replace(&mut self.lifetime, lifetime) == 0 {
                    Ok(())
                } else {
                    Err(MintError::Repeated("ttl"))
                }
            }
            "role" => {
                let role = Role::parse(value).map(|role| role.name().into());
                self.insert("role", value, role, "origin, dest or stats")
            }
            "session" => {
                let session = Sessions::parse(value).and_then(|_| text());
                self.insert("session", value, session, "a session name, or a prefix followed by *")
            }
            "sub" => self.insert("sub", value, text(), "a name"),
            "max" => {
                let count = value.parse::<u32>().ok().filter(|count| *count > 0).map(Value::from);
                self.insert("max", value, count, "a number from 1")
            }
            "nbf" => {
                let time = value.parse().ok().or_else(|| parse_rfc3339(value));
                let time = time.filter(|time| *time <= LAST_TIME).map(Value::from);
                self.insert("nbf", value, time, "seconds since 1970, or a time such as 2026-01-31T12:00:00Z")
            }
            _ => Err(MintError::Unknown(name.into())),
        }
    }

    fn insert(
        &mut self,
        name: &'static str,
        text: &str,
        value: Option<Value>,
        expected: &'static str,
    ) -> Result<(), MintError> {
        let value = value.ok_or_else(|| invalid(name, text, expected))?;
        self.claims.insert(name.into(), value).map_or(Ok(()), |_| Err(MintError::Repeated(name)))
    }

    fn add_audience(&mut self, value: &str) -> Result<(), MintError> {
        if value.is_empty() {
            return Err(invalid("aud", value, "the --relay-name of the server"));
        }
        let audience = match self.claims.remove("aud") {
            None => Value::from(value),
            Some(Value::Array(mut list)) => {
                list.push(value.into());
                Value::Array(list)
            }
            Some(first) => Value::Array(vec![first, value.into()]),
        };
        self.claims.insert("aud".into(), audience);
        Ok(())
    }

    /// Returns a token with these claims, issued at the time `now`, in seconds since 1970. `random`
    /// becomes the name of the token.
    ///
    /// # Errors
    /// The token would be too long for a server.
    pub fn sign(mut self, key: &SigningKey, now: u64, random: [u8; 16]) -> Result<String, MintError> {
        let expires = now.saturating_add(self.lifetime).min(LAST_TIME);
        self.claims.insert("iat".into(), now.into());
        self.claims.insert("exp".into(), expires.into());
        self.claims.insert("jti".into(), BASE64_URL_SAFE_NO_PAD.encode(random).into());
        let payload = Value::Object(self.claims).to_string();
        let [header, payload] = [HEADER, &payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let mut token = format!("{header}.{payload}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(token.as_bytes()));
        token.push('.');
        token.push_str(&signature);
        if token.len() > MAX_TOKEN { Err(MintError::TooLong) } else { Ok(token) }
    }
}

fn invalid(name: &'static str, value: &str, expected: &'static str) -> MintError {
    MintError::Invalid { name, value: value.into(), expected }
}

/// Parses a lifetime: a number of seconds, or a number with a unit. Returns `None` for other text,
/// and for 0.
fn lifetime(text: &str) -> Option<u64> {
    let unit = text.bytes().last()?;
    let (digits, factor) = match unit {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3600),
        b'd' => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        MintRequest::parse(text).map_or_else(|error| error.to_string(), |request| format!("{request:?}"))
    }

    #[test]
    fn a_lifetime_is_a_number_with_or_without_a_unit() {
        for (text, seconds) in
            [("5", 5), ("5s", 5), ("2m", 120), ("3h", 10_800), ("30d", 2_592_000), ("007", 7)]
        {
            assert_eq!(lifetime(text), Some(seconds), "{text}");
        }
        for text in ["", "0", "0d", "d", "1w", "-1", "+1", "1.5", "1 d", "é", "18446744073709551615d"] {
            assert_eq!(lifetime(text), None, "{text}");
        }
    }

    #[test]
    fn invalid_claims_are_explained() {
        for (text, expected) in [
            ("", "unknown claim ''; use role, session"),
            ("role=dest,foo=1", "unknown claim 'foo'"),
            ("role=admin", "invalid value 'admin' for claim 'role'; use origin, dest or stats"),
            ("session=a/b", "invalid value 'a/b' for claim 'session'"),
            ("role=dest,role=dest", "claim 'role' given twice"),
            ("ttl=5,ttl=5", "claim 'ttl' given twice"),
            ("ttl=soon", "invalid value 'soon' for claim 'ttl'"),
            ("aud=", "invalid value '' for claim 'aud'"),
            ("sub=", "invalid value '' for claim 'sub'"),
            ("max=0", "invalid value '0' for claim 'max'"),
            ("nbf=tomorrow", "invalid value 'tomorrow' for claim 'nbf'"),
            ("aud=a,ttl=5,session=x", "missing claim 'role'"),
            ("role=dest,ttl=5,session=x", "missing claim 'aud'"),
            ("role=dest,aud=a,ttl=5", "missing claim 'session'"),
            ("role=dest,aud=a,session=x", "missing claim 'ttl'"),
        ] {
            assert!(error(text).starts_with(expected), "{text}: {}", error(text));
        }
        assert!(MintRequest::parse("role=stats, aud=a, aud=b, ttl=5m").is_ok());
    }
}

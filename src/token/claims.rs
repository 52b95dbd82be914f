//! The claims of a token.

use std::fmt;

use super::json::Object;
use super::refusal::Refusal;
use crate::text::date::rfc3339;
use crate::text::printable;

/// Maximum length of a session name.
const MAX_SESSION_NAME: usize = 64;

/// A role in which a token's holder may use a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Offers a target.
    Origin,
    /// Connects to a target.
    Dest,
    /// Reads statistics.
    Stats,
}

impl Role {
    /// Parses the value of a `role` claim.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Origin, Self::Dest, Self::Stats].into_iter().find(|role| role.name() == text)
    }

    /// Returns the value of the `role` claim.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Dest => "dest",
            Self::Stats => "stats",
        }
    }
}

/// Returns `true` for the name of a session: 1 to 64 letters, digits, `.`, `_`, `~` and `-`.
#[must_use]
pub fn is_session_name(text: &str) -> bool {
    (1..=MAX_SESSION_NAME).contains(&text.len()) && text.bytes().all(is_session_byte)
}

fn is_session_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)
}

/// The sessions that a token is for: one name, or all names with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sessions {
    Name(String),
    Prefix(String),
}

impl Sessions {
    /// Parses a name, or a prefix followed by `*`. Returns `None` for text that matches no session.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if is_session_name(text) {
            return Some(Self::Name(text.into()));
        }
        let prefix = text.strip_suffix('*')?;
        (prefix.is_empty() || is_session_name(prefix)).then(|| Self::Prefix(prefix.into()))
    }

    pub(super) fn include(&self, session: &str) -> bool {
        match self {
            Self::Name(name) => name == session,
            Self::Prefix(prefix) => session.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// The claims of a token. Displayed on one line, for logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `aud`: the servers that may accept the token.
    pub audience: Vec<String>,
    /// `role`; `None` if it is missing or unknown.
    pub role: Option<Role>,
    /// `session`; `None` if it is missing or matches no session.
    pub(super) sessions: Option<Sessions>,
    /// `exp`: the time from which the token is invalid.
    pub expires: u64,
    /// `nbf`: the time before which the token is invalid.
    pub not_before: Option<u64>,
    /// `iat`: the time at which the token was issued.
    pub issued: Option<u64>,
    /// `sub`: the holder's identity.
    pub subject: Option<String>,
    /// `jti`: the name of the token.
    pub id: Option<String>,
    /// `max`: the number of connections at a time with this token.
    pub max: Option<u32>,
}

impl Claims {
    /// Parses the payload of a token.
    ///
    /// # Errors
    /// The payload is not a JSON object, `exp` is missing, or a claim has a value of the wrong
    /// type.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let object = Object::parse(payload).ok_or(Refusal::Malformed)?;
        let text = |name| object.string(name).map(|text| text.map(str::to_owned));
        Ok(Self {
            expires: object.time("exp")?.ok_or(Refusal::Claim("exp"))?,
            not_before: object.time("nbf")?,
            issued: object.time("iat")?,
            audience: object.strings("aud")?.unwrap_or_default(),
            role: object.string("role")?.and_then(Role::parse),
            sessions: object.string("session")?.and_then(Sessions::parse),
            subject: text("sub")?,
            id: text("jti")?,
            max: object.count("max")?,
        })
    }

    /// Returns the holder's identity, which is empty without a `sub` claim.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.subject.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| printable(text.as_bytes());
        write!(f, "role {}", self.role.map_or("unknown", Role::name))?;
        if let Some(sessions) = &self.sessions {
            write!(f, ", session {sessions}")?;
        }
        if !self.audience.is_empty() {
            write!(f, ", audience {}", shown(&self.audience.join(" ")))?;
        }
        for (name, value) in [("subject", &self.subject), ("id", &self.id)] {
            if let Some(value) = value {
                write!(f, ", {name} {}", shown(value))?;
            }
        }
        if let Some(max) = self.max {
            write!(f, ", max {max}")?;
        }
        if let Some(time) = self.not_before {
            write!(f, ", not before {}", rfc3339(time))?;
        }
        write!(f, ", expires {}", rfc3339(self.expires))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn claims_are_parsed_and_displayed() {
        let claims = Claims::parse(
            br#"{"aud":["a","hub.example"],"role":"dest","session":"lab*","exp":1795035187.9,"nbf":0,
                "sub":"Jane\u001b[1m","jti":"17","max":2,"extra":{"a":[null]}}"#,
        );
        assert_eq!(
            claims.unwrap().to_string(),
            "role dest, session lab*, audience a hub.example, subject Jane\\x1b[1m, id 17, max 2, not before \
             1970-01-01T00:00:00Z, expires 2026-11-18T20:53:07Z"
        );
        let claims =
            Claims::parse(br#"{"exp":1e300,"role":"admin","aud":"x","session":"a*b","iat":-7.5}"#).unwrap();
        assert_eq!(claims.to_string(), "role unknown, audience x, expires 9999-12-31T23:59:59Z");
        assert_eq!((claims.identity(), claims.issued), ("", Some(0)));
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_invalid() {
        for (payload, refusal) in [
            ("", Refusal::Malformed),
            ("[]", Refusal::Malformed),
            ("{\"exp\":1", Refusal::Malformed),
            ("{\"exp\":1}{}", Refusal::Malformed),
            ("{}", Refusal::Claim("exp")),
            ("{\"exp\":\"1\"}", Refusal::Claim("exp")),
            ("{\"exp\":null}", Refusal::Claim("exp")),
            ("{\"exp\":1,\"nbf\":true}", Refusal::Claim("nbf")),
            ("{\"exp\":1,\"iat\":[]}", Refusal::Claim("iat")),
            ("{\"exp\":1,\"aud\":7}", Refusal::Claim("aud")),
            ("{\"exp\":1,\"aud\":[\"a\",7]}", Refusal::Claim("aud")),
            ("{\"exp\":1,\"role\":7}", Refusal::Claim("role")),
            ("{\"exp\":1,\"session\":{}}", Refusal::Claim("session")),
            ("{\"exp\":1,\"sub\":7}", Refusal::Claim("sub")),
            ("{\"exp\":1,\"jti\":7}", Refusal::Claim("jti")),
            ("{\"exp\":1,\"max\":0}", Refusal::Claim("max")),
            ("{\"exp\":1,\"max\":1.5}", Refusal::Claim("max")),
            ("{\"exp\":1,\"max\":4294967296}", Refusal::Claim("max")),
        ] {
            assert_eq!(Claims::parse(payload.as_bytes()), Err(refusal), "{payload}");
        }
    }

    #[test]
    fn a_session_is_a_name_or_a_prefix() {
        let matching =
            |pattern: &str, session: &str| Sessions::parse(pattern).map(|all| all.include(session));
        for (pattern, session, expected) in [
            ("lab1", "lab1", Some(true)),
            ("lab1", "lab12", Some(false)),
            ("lab*", "lab", Some(true)),
            ("lab*", "lab1", Some(true)),
            ("lab*", "la", Some(false)),
            ("*", "anything", Some(true)),
            ("a*b", "axb", None),
            ("lab**", "lab", None),
            ("", "", None),
            ("a/b", "a/b", None),
        ] {
            assert_eq!(matching(pattern, session), expected, "{pattern} {session}");
        }
        assert!(is_session_name(&"a".repeat(64)) && !is_session_name(&"a".repeat(65)));
        assert!(is_session_name("A-z_0.9~") && !is_session_name("a b") && !is_session_name("é"));
    }
}

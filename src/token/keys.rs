//! Keys files: the public keys whose tokens a server accepts.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::claims::Role;
use super::ed25519::{self, PublicKey};
use super::lines::{LineError, parse_lines};
use super::pattern::Pattern;

/// Maximum number of keys in a file. A token without a valid signature costs one check per key.
const MAX_KEYS: usize = 64;

/// The keys whose tokens a server accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// A key, with one grant for each line that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    public: PublicKey,
    grants: Vec<Grant>,
}

/// The tokens that a key may sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Grant {
    /// `session=`; `None` for all sessions.
    session: Option<Pattern>,
    /// `role=`; `None` for all roles.
    role: Option<Role>,
}

impl KeySet {
    /// Parses lines of the form `ed25519 BASE64 [NAME] [session=GLOB] [role=ROLE]`.
    ///
    /// # Errors
    /// A line is invalid, or there are more than 64 keys.
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        let mut keys = Self::default();
        parse_lines(text, |line| keys.add(line))?;
        Ok(keys)
    }

    /// Returns `true` if there are no keys, so that no token is valid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the key that has signed the message; `None` if no key has.
    pub(super) fn signer(&self, message: &[u8], signature: &[u8]) -> Option<PublicKey> {
        let signed = |key: &&Key| ed25519::is_signed_by(&key.public, message, signature);
        self.0.iter().find(signed).map(|key| key.public)
    }

    /// Returns `true` if the key may sign tokens for this role and session; `None` if the key is
    /// not in the set.
    pub(super) fn permits(&self, public: &PublicKey, role: Role, session: Option<&str>) -> Option<bool> {
        let key = self.0.iter().find(|key| key.public == *public)?;
        Some(key.grants.iter().any(|grant| grant.includes(role, session)))
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        if line.contains("PRIVATE KEY") {
            return Err("this is a private key; use the line that --mint-signing-key prints");
        }
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("ed25519") {
            return Err("expected 'ed25519 BASE64 [NAME] [session=GLOB] [role=ROLE]'");
        }
        let key = words.next().and_then(|word| BASE64_STANDARD.decode(word).ok());
        let public = key.and_then(|key| key.try_into().ok()).ok_or("expected a key of 32 bytes in base64")?;
        let grant = grant(words)?;
        match self.0.iter().position(|key| key.public == public) {
            Some(index) => self.0[index].grants.push(grant),
            None if self.0.len() == MAX_KEYS => return Err("more than 64 keys"),
            None => self.0.push(Key { public, grants: vec![grant] }),
        }
        Ok(())
    }
}

/// Parses the words after the key.
fn grant<'a>(words: impl Iterator<Item = &'a str>) -> Result<Grant, &'static str> {
    let mut grant = Grant::default();
    let mut has_name = false;
    for word in words.take_while(|word| !word.starts_with('#')) {
        match word.split_once('=') {
            Some(("session", pattern)) if grant.session.is_none() && !pattern.is_empty() => {
                grant.session = Some(Pattern::new(pattern));
            }
            Some(("role", role)) if grant.role.is_none() => {
                grant.role = Some(Role::parse(role).ok_or("unknown role; use origin, dest or stats")?);
            }
            Some(("session" | "role", _)) => return Err("empty or repeated session= or role="),
            // A misspelled limit must not make the key unlimited.
            Some(_) => return Err("unknown limit; use session=GLOB or role=ROLE"),
            None if has_name => return Err("expected one name after the key"),
            None => has_name = true,
        }
    }
    Ok(grant)
}

impl Grant {
    fn includes(&self, role: Role, session: Option<&str>) -> bool {
        let has_session = |pattern: &Pattern| session.is_some_and(|session| pattern.matches(session));
        self.role.is_none_or(|only| only == role) && self.session.as_ref().is_none_or(has_session)
    }
}

/// Returns the line for a keys file. Replaces the characters of `name` that are not allowed there.
#[must_use]
pub fn key_line(public: &[u8; 32], name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    format!("ed25519 {} {name}", BASE64_STANDARD.encode(public)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const OTHER: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

    fn permits(text: &str, role: Role, session: Option<&str>) -> Option<bool> {
        let public = BASE64_STANDARD.decode(KEY).unwrap().try_into().unwrap();
        KeySet::parse(text.as_bytes()).unwrap().permits(&public, role, session)
    }

    #[test]
    fn a_key_may_sign_for_the_sessions_and_roles_of_its_lines() {
        let text = format!(
            "\u{feff}# keys\r\n\r\n  ed25519 {KEY} a.key role=dest session=lab*  # of the lab\r\ned25519 {KEY} \
             role=stats\ned25519\t{OTHER}"
        );
        for (role, session, expected) in [
            (Role::Dest, Some("lab1"), true),
            (Role::Dest, Some("web"), false),
            (Role::Dest, None, false),
            (Role::Origin, Some("lab1"), false),
            (Role::Stats, None, true),
        ] {
            assert_eq!(permits(&text, role, session), Some(expected), "{role:?} {session:?}");
        }
        assert_eq!(permits(&format!("ed25519 {KEY}"), Role::Origin, Some("x")), Some(true));
        assert_eq!(permits(&format!("ed25519 {OTHER} name"), Role::Origin, Some("x")), None);
        assert!(KeySet::parse(b"# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn an_invalid_line_is_an_error() {
        for (line, why) in [
            ("rsa AAAA", "expected 'ed25519"),
            ("ed25519", "32 bytes"),
            ("ed25519 AAAA", "32 bytes"),
            ("ed25519 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", "32 bytes"),
            ("ed25519 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=", "32 bytes"),
            ("ed25519 KEY a b", "one name"),
            ("ed25519 KEY sesion=lab1", "unknown limit"),
            ("ed25519 KEY session=", "empty"),
            ("ed25519 KEY role=dest role=origin", "repeated"),
            ("ed25519 KEY role=admin", "unknown role"),
            ("-----BEGIN PRIVATE KEY-----", "private key"),
        ] {
            let error =
                KeySet::parse(format!("\n{}\n", line.replace(" KEY ", &format!(" {KEY} "))).as_bytes())
                    .unwrap_err();
            assert!(error.line == 2 && error.why.contains(why), "{line}: {error}");
        }
        assert!(KeySet::parse(b"\xff\xfee\0").is_err() && KeySet::parse(b"\x80").is_err());
        let key = |number: u8| format!("ed25519 {}\n", BASE64_STANDARD.encode([number; 32]));
        let many: String = (0..=64).map(key).collect();
        assert_eq!(KeySet::parse(many.as_bytes()).unwrap_err().to_string(), "line 65: more than 64 keys");
    }

    #[test]
    fn a_line_for_a_key_can_be_parsed() {
        for name in ["hub.key", "my key=1 #x", "", "clé"] {
            let line = key_line(&[7; 32], name);
            let keys = KeySet::parse(line.as_bytes()).unwrap();
            assert_eq!(keys.permits(&[7; 32], Role::Dest, None), Some(true), "{line}");
        }
        assert!(key_line(&[7; 32], "my key").ends_with("= my_key"));
    }
}

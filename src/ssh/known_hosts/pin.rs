//! Fingerprints that the user gives.

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};

use crate::ssh::public_key::PublicKey;

/// The beginning of a fingerprint.
const SHA256: &str = "SHA256:";

/// The length of a SHA-256 hash.
const HASH_LENGTH: usize = 32;

/// The fingerprint of the only host key to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// Parses `SHA256:` and base64, with or without padding. Returns `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fingerprint = text.trim_end_matches('=');
        let hash = BASE64_STANDARD_NO_PAD.decode(fingerprint.strip_prefix(SHA256)?).ok()?;
        (hash.len() == HASH_LENGTH).then(|| Self(fingerprint.to_owned()))
    }

    /// Returns `true` if the key has this fingerprint.
    #[must_use]
    pub fn matches(&self, key: &PublicKey) -> bool {
        self.0 == key.fingerprint()
    }

    /// Returns the error about a key that `server` presented.
    #[must_use]
    pub fn mismatch(server: &str, key: &PublicKey) -> String {
        let (kind, fingerprint) = (key.short_name(), key.fingerprint());
        format!("host key of {server} does not match --ssh-pin: {kind} {fingerprint}")
    }
}

/// The user's answer to the question about an unknown host key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The user accepts the key.
    Accept,
    /// The user rejects the key.
    Reject,
    /// The answer is a fingerprint of another key.
    Mismatch,
    /// The answer is neither `yes` nor `no` nor a fingerprint.
    Unclear,
}

impl Answer {
    /// Parses an answer to the question about this key.
    #[must_use]
    pub fn parse(text: &str, key: &PublicKey) -> Self {
        let text = text.trim();
        match Pin::parse(text) {
            Some(pin) if pin.matches(key) => Self::Accept,
            Some(_) => Self::Mismatch,
            None if text.eq_ignore_ascii_case("yes") => Self::Accept,
            None if text.eq_ignore_ascii_case("no") => Self::Reject,
            None => Self::Unclear,
        }
    }
}

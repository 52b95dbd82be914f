//! Lines that apply to a server, and invalid ones.

use std::fmt;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use ring::digest::{SHA256, digest};

use super::invalid::Invalid;
use super::line::{Key, Marker};

/// The place of a line, shown as `FILE:LINE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the file.
    pub file: Arc<str>,
    /// The number of the line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An invalid line, which is skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: skipping invalid line: {reason}")]
pub struct Problem {
    /// The place of the line.
    pub place: Place,
    /// The reason that it is invalid.
    pub reason: Invalid,
}

/// A line that applies to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(super) marker: Marker,
    pub(super) place: Place,
    pub(super) key: Key,
    /// The line applies to the bare name and not to `[host]:port`.
    pub(super) is_fallback: bool,
}

impl Entry {
    /// Returns the meaning of the line.
    #[must_use]
    pub fn marker(&self) -> Marker {
        self.marker
    }

    /// Returns the place of the line.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the type of the key in files. It may be a type that we do not support.
    #[must_use]
    pub fn type_name(&self) -> &str {
        self.key.type_name()
    }

    /// Returns the type of the key for messages, as OpenSSH shows it.
    #[must_use]
    pub fn short_name(&self) -> &str {
        match &self.key {
            Key::Supported(key) => key.short_name(),
            Key::Other { type_name, .. } => match type_name.as_str() {
                "ssh-rsa" => "RSA",
                "ssh-dss" => "DSA",
                "ecdsa-sha2-nistp521" => "ECDSA",
                "sk-ssh-ed25519@openssh.com" => "ED25519-SK",
                "sk-ecdsa-sha2-nistp256@openssh.com" => "ECDSA-SK",
                other => other,
            },
        }
    }

    /// Returns the fingerprint of the key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest(&SHA256, self.key.blob())))
    }
}

//! The keys with which a user can log in.

use std::fmt;

/// A key of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The public key, or the certificate.
    pub(super) blob: Vec<u8>,
    /// The algorithms for requests, the preferred one first, such as those for RSA keys.
    pub(super) algorithms: &'static [&'static str],
    /// The name for messages, such as `ED25519 SHA256:…, FILE`.
    pub(super) name: String,
    /// Ask the server first, because signing requires the user.
    pub(super) is_locked: bool,
}

impl Identity {
    /// Creates an identity. If `is_locked`, signing needs the user, such as for a passphrase.
    #[must_use]
    pub fn new(blob: Vec<u8>, algorithms: &'static [&'static str], name: String, is_locked: bool) -> Self {
        Self { blob, algorithms, name, is_locked }
    }

    /// Returns the public key, or the certificate.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Returns `true` if the algorithm depends on the server's extensions.
    pub(super) fn needs_signature_algorithms(&self) -> bool {
        self.algorithms.len() > 1
    }
}

/// Something that was tried, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// A key.
    Key(String),
    /// `keyboard-interactive`.
    Questions,
    /// A password.
    Password,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "publickey ({name})"),
            Self::Questions => f.write_str("keyboard-interactive"),
            Self::Password => f.write_str("password"),
        }
    }
}

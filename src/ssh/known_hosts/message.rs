//! The messages about host keys.

use std::collections::BTreeSet;

use super::{HostName, Verdict};
use crate::ssh::public_key::PublicKey;

impl Verdict {
    /// Returns the error or warning about a key that `server` presented, for example `SSH server
    /// bastion:22`. Returns `None` if the key is trusted.
    #[must_use]
    pub fn message(&self, server: &str, name: &HostName, key: &PublicKey) -> Option<String> {
        let key = format!("{} {}", key.short_name(), key.fingerprint());
        Some(match self {
            Self::Trusted { .. } => return None,
            Self::Unknown { authority: None } => format!(
                "unknown host key of {server}: {key}; compare the fingerprint, then use --ssh-strict accept-new \
                 or ssh-keyscan"
            ),
            Self::Unknown { authority: Some(authority) } => format!(
                "unknown host key of {server}: {key}, certified by an authority that is not trusted for this \
                 name: {authority}"
            ),
            Self::OtherTypes { .. } => format!(
                "unknown host key of {server}: {key}; known types: {}; compare the fingerprint, then use --ssh-strict \
                 ask or ssh-keyscan",
                self.known_types().unwrap_or_default()
            ),
            Self::Changed { place, fingerprint } => format!(
                "host key of {server} has changed: {place} has {fingerprint}, the server sent {key}; someone may \
                 be intercepting the connection; if the change is expected, run ssh-keygen -R {}",
                shell_word(name.as_str())
            ),
            Self::Revoked { place } => format!("host key of {server} is revoked: {key} ({place})"),
            Self::AuthorityRevoked { place, fingerprint } => {
                format!("invalid host certificate of {server}: authority {fingerprint} is revoked ({place})")
            }
            Self::InvalidCertificate(problem) => {
                format!("invalid host certificate of {server}: {problem}")
            }
        })
    }

    /// Returns the types of the known keys, if the key has none of them: `ECDSA (FILE:3), RSA
    /// (FILE:4)`. A type is named once, with its first line.
    #[must_use]
    pub fn known_types(&self) -> Option<String> {
        let Self::OtherTypes { known } = self else { return None };
        let mut named = BTreeSet::new();
        let first = known.iter().filter(|entry| named.insert(entry.short_name()));
        let types: Vec<_> =
            first.map(|entry| format!("{} ({})", entry.short_name(), entry.place())).collect();
        Some(types.join(", "))
    }
}

/// Quotes a name for a shell if necessary, because the brackets of `[host]:port` form a pattern.
fn shell_word(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte);
    if name.bytes().all(is_plain) { name.to_owned() } else { format!("'{name}'") }
}

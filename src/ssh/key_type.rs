//! The types of keys and certificates with which a user can log in.

use super::public_key::fingerprint_of;
use super::wire::Reader;

/// A type of keys.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyType {
    /// The name in keys.
    name: &'static str,
    /// The name for messages, as OpenSSH shows it.
    short_name: &'static str,
    /// The signature algorithms for requests, the preferred one first.
    algorithms: &'static [&'static str],
}

const fn key_type(
    name: &'static str,
    short_name: &'static str,
    algorithms: &'static [&'static str],
) -> KeyType {
    KeyType { name, short_name, algorithms }
}

/// All types. Those for security keys and P-521 need an agent.
static TYPES: [KeyType; 14] = [
    key_type("ssh-ed25519", "ED25519", &["ssh-ed25519"]),
    key_type("ecdsa-sha2-nistp256", "ECDSA", &["ecdsa-sha2-nistp256"]),
    key_type("ecdsa-sha2-nistp384", "ECDSA", &["ecdsa-sha2-nistp384"]),
    key_type("ecdsa-sha2-nistp521", "ECDSA", &["ecdsa-sha2-nistp521"]),
    key_type("ssh-rsa", "RSA", &["rsa-sha2-512", "rsa-sha2-256"]),
    key_type("sk-ssh-ed25519@openssh.com", "ED25519-SK", &["sk-ssh-ed25519@openssh.com"]),
    key_type("sk-ecdsa-sha2-nistp256@openssh.com", "ECDSA-SK", &["sk-ecdsa-sha2-nistp256@openssh.com"]),
    key_type("ssh-ed25519-cert-v01@openssh.com", "ED25519-CERT", &["ssh-ed25519-cert-v01@openssh.com"]),
    key_type(
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ECDSA-CERT",
        &["ecdsa-sha2-nistp256-cert-v01@openssh.com"],
    ),
    key_type(
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        "ECDSA-CERT",
        &["ecdsa-sha2-nistp384-cert-v01@openssh.com"],
    ),
    key_type(
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        "ECDSA-CERT",
        &["ecdsa-sha2-nistp521-cert-v01@openssh.com"],
    ),
    key_type(
        "ssh-rsa-cert-v01@openssh.com",
        "RSA-CERT",
        &["rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com"],
    ),
    key_type(
        "sk-ssh-ed25519-cert-v01@openssh.com",
        "ED25519-SK-CERT",
        &["sk-ssh-ed25519-cert-v01@openssh.com"],
    ),
    key_type(
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ECDSA-SK-CERT",
        &["sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"],
    ),
];

impl KeyType {
    /// Returns the type of an encoded key or certificate; `None` if it cannot log in.
    #[must_use]
    pub fn of(blob: &[u8]) -> Option<&'static Self> {
        let name = Reader::new(blob).text().ok()?;
        TYPES.iter().find(|known| known.name == name)
    }

    /// Returns the signature algorithms for requests, the preferred one first.
    #[must_use]
    pub fn algorithms(&self) -> &'static [&'static str] {
        self.algorithms
    }

    /// Describes a key of this type, as in `ED25519 SHA256:…`.
    #[must_use]
    pub fn describe(&self, blob: &[u8]) -> String {
        format!("{} {}", self.short_name, fingerprint_of(blob))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::certificate;
    use crate::ssh::wire::Write;

    #[test]
    fn each_type_is_found_by_its_name() {
        for known in &TYPES {
            let mut blob = Vec::new();
            blob.put_string(known.name);
            assert_eq!(KeyType::of(&blob), Some(known));
        }
        assert_eq!(KeyType::of(b"\0\0\0\x07ssh-dss"), None);
        assert_eq!(KeyType::of(b"\0\0\0\x07ssh"), None);
    }

    #[test]
    fn certificates_have_algorithms_of_their_own() {
        for (name, _) in certificate::ALGORITHMS {
            assert!(TYPES.iter().any(|known| known.algorithms.contains(&name)), "{name}");
        }
    }
}

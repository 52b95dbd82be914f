//! The host key of the peer.

use crate::ssh::certificate::{self, Certificate};
use crate::ssh::public_key::PublicKey;

/// The key that the server has proved to own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HostKeyProof {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

impl HostKeyProof {
    /// Decodes a host key for this algorithm.
    pub(super) fn parse(algorithm: &str, blob: &[u8]) -> Option<Self> {
        if certificate::signature_algorithm(algorithm).is_some() {
            return Certificate::parse(blob).ok().map(|it| Self::Certificate(Box::new(it)));
        }
        PublicKey::parse(blob).ok().map(Self::Key)
    }

    /// Returns `true` if the owner has signed the message.
    pub(super) fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Key(key) => key.verifies(algorithm, message, signature),
            Self::Certificate(certificate) => certificate::signature_algorithm(algorithm)
                .is_some_and(|algorithm| certificate.key().verifies(algorithm, message, signature)),
        }
    }
}

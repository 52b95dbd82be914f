//! Our credentials, left out of what the proxy says: some repeat a request in their answer.

use super::basic;
use crate::proto::Credentials;
use crate::secret::Secret;
use crate::text::printable;

/// What must not be shown: the password, and the form in which it was sent.
#[derive(Debug, Default)]
pub(super) struct Mask(Vec<Secret>);

impl Mask {
    /// A secret that could be a part of any text is left: a mask would tell where it stands.
    const SHORT: usize = 4;

    /// Masks these; only the password, if they cannot be sent at all.
    pub(super) fn of(credentials: &Credentials) -> Self {
        let sent = basic(credentials).ok().map(|sent| Secret::from(sent.as_str()));
        let mut secrets: Vec<_> = sent.into_iter().chain([credentials.password.clone()]).collect();
        secrets.retain(|secret| secret.expose().len() >= Self::SHORT);
        Self(secrets)
    }

    /// What the proxy says, fit to be shown.
    pub(super) fn fit(&self, bytes: &[u8]) -> String {
        // Masked first: a text that is cut could end in a part of a secret, which would not be found.
        printable(&self.over(bytes))
    }

    /// The bytes with `xxxxx` in the place of each secret.
    pub(super) fn over(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.iter().fold(bytes.to_vec(), |bytes, secret| replaced(&bytes, secret.expose()))
    }
}

fn replaced(bytes: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
        masked.extend(&rest[..at]);
        masked.extend(b"xxxxx");
        rest = &rest[at + secret.len()..];
    }
    masked.extend(rest);
    masked
}

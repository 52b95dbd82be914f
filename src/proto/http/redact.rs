//! Our secrets, left out of what the proxy says: some repeat a request in their answer.

use super::credentials_header::Authorization;
use crate::proto::Credentials;
use crate::secret::Secret;
use crate::text::printable;

/// What must not be shown: the password, and whatever was sent for it.
#[derive(Debug, Default)]
pub(super) struct Mask(Vec<Secret>);

impl Mask {
    /// A secret that could be a part of any text is left: a mask would tell where it stands.
    const SHORT: usize = 4;

    /// Masks the password and its form in Basic as well; only the password, if it has none.
    pub(super) fn add(&mut self, credentials: &Credentials) {
        if let Ok(sent) = Authorization::basic(credentials) {
            self.add_secret(sent.parts()[1].into());
        }
        self.add_secret(credentials.password.clone());
    }

    /// Masks the value of a header field, whole and without its first word: `Bearer` is no secret, and `token` is.
    pub(super) fn add_value(&mut self, value: Secret) {
        if let Some(blank) = value.expose().iter().position(|&byte| byte == b' ') {
            self.add_secret(Secret::new(value.expose()[blank + 1..].to_vec()));
        }
        self.add_secret(value);
    }

    /// Masks this as well.
    pub(super) fn add_secret(&mut self, secret: Secret) {
        if secret.expose().len() >= Self::SHORT && !self.0.contains(&secret) {
            self.0.push(secret);
        }
    }

    /// What the proxy says, fit to be shown.
    pub(super) fn fit(&self, bytes: &[u8]) -> String {
        // Masked first: a text that is cut could end in a part of a secret, which would not be found.
        printable(&self.over(bytes))
    }

    /// Whether a secret stands in a text, as it is or as a quoted string.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let plain = text.replace("\\\"", "\"").replace("\\\\", "\\");
        let holds =
            |text: &str, secret: &[u8]| text.as_bytes().windows(secret.len()).any(|part| part == secret);
        self.0.iter().any(|secret| [text, &plain].iter().any(|text| holds(text, secret.expose())))
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

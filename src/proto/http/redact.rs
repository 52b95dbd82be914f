//! Masks our secrets in the proxy's responses, because some proxies echo the request.

use super::credentials_header::Authorization;
use crate::proto::Credentials;
use crate::secret::Secret;
use crate::text::printable;

/// The secrets to mask: the password, everything derived from it that was sent, and secret header
/// values.
#[derive(Debug, Default)]
pub(super) struct Redactor(Vec<Secret>);

impl Redactor {
    /// Shorter secrets are not masked: they match by chance, and the mask would then reveal them.
    const MIN_LENGTH: usize = 4;

    /// Adds the password and, if the credentials can be encoded for Basic authentication, that
    /// encoding.
    pub(super) fn add_credentials(&mut self, credentials: &Credentials) {
        if let Ok(authorization) = Authorization::basic(credentials) {
            self.add(authorization.parts()[1].into());
        }
        self.add(credentials.password.clone());
    }

    /// Adds a header value, both whole and without its first word: in `Bearer TOKEN`, the token
    /// alone is secret.
    pub(super) fn add_header_value(&mut self, value: Secret) {
        if let Some(blank) = value.expose().iter().position(|&byte| byte == b' ') {
            self.add(Secret::new(value.expose()[blank + 1..].to_vec()));
        }
        self.add(value);
    }

    /// Adds a secret, unless it is too short.
    pub(super) fn add(&mut self, secret: Secret) {
        if secret.expose().len() >= Self::MIN_LENGTH && !self.0.contains(&secret) {
            self.0.push(secret);
        }
    }

    /// Masks the secrets and makes the rest printable.
    pub(super) fn printable(&self, bytes: &[u8]) -> String {
        // Mask first: `printable` may cut a secret in two, and the rest would not be recognized.
        printable(&self.redact(bytes))
    }

    /// Returns `true` if a secret occurs in the text, literally or escaped as in a quoted string.
    pub(super) fn occurs_in(&self, text: &str) -> bool {
        let unquoted = text.replace("\\\"", "\"").replace("\\\\", "\\");
        let contains =
            |text: &str, secret: &[u8]| text.as_bytes().windows(secret.len()).any(|part| part == secret);
        self.0.iter().any(|secret| [text, &unquoted].iter().any(|text| contains(text, secret.expose())))
    }

    /// Replaces each secret with `xxxxx`.
    pub(super) fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.iter().fold(bytes.to_vec(), |bytes, secret| replace_all(&bytes, secret.expose()))
    }
}

fn replace_all(bytes: &[u8], secret: &[u8]) -> Vec<u8> {
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

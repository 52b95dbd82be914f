//! Our credentials, left out of what the proxy says: some repeat a request in their answer.

use std::borrow::Cow;

use super::basic;
use crate::proto::Credentials;
use crate::secret::Secret;

/// What must not be shown, in the form in which it was sent.
#[derive(Debug, Default)]
pub(super) struct Mask(Option<Secret>);

impl Mask {
    /// Masks these; nothing, if they cannot be sent at all.
    pub(super) fn of(credentials: &Credentials) -> Self {
        Self(basic(credentials).ok().map(|sent| Secret::from(sent.as_str())))
    }

    /// The bytes with `xxxxx` in the place of the credentials. To be used before a text is cut: a part of them would not
    /// be found.
    pub(super) fn over<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(secret) = &self.0 else { return Cow::Borrowed(bytes) };
        let secret = secret.expose();
        let mut masked = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
            masked.extend(&rest[..at]);
            masked.extend(b"xxxxx");
            rest = &rest[at + secret.len()..];
        }
        masked.extend(rest);
        Cow::Owned(masked)
    }
}

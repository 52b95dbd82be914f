//! The value of `Proxy-Authorization`, and the part of it that must not be displayed.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::super::{Credentials, Error, Unencodable};

/// The value of the header field. Zeroed on drop.
pub(super) struct Authorization {
    bytes: Zeroizing<Vec<u8>>,
    secret: Range<usize>,
}

impl Authorization {
    /// Creates a value from a secret and the text around it.
    pub(super) fn new(before: &[u8], secret: &str, after: &str) -> Self {
        // Reserve the full length: reallocation would leave a copy of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(before.len() + secret.len() + after.len()));
        for part in [before, secret.as_bytes(), after.as_bytes()] {
            bytes.extend(part);
        }
        Self { bytes, secret: before.len()..before.len() + secret.len() }
    }

    /// Creates the value for Basic: base64 of `user:password` (RFC 7617 §2).
    pub(super) fn basic(credentials: &Credentials) -> Result<Self, Error> {
        let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
        if user.contains(&b':') {
            return Err(Error::NotEncodable(Unencodable::BasicColon));
        }
        let has_control = |bytes: &[u8]| bytes.iter().any(u8::is_ascii_control);
        if has_control(user) || has_control(password) {
            return Err(Error::NotEncodable(Unencodable::BasicControl));
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
        for part in [user, b":", password] {
            plain.extend(part);
        }
        Ok(Self::new(b"Basic ", &Zeroizing::new(BASE64.encode(&plain)), ""))
    }

    /// Returns the value in three parts; the second one is secret.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        let Range { start, end } = self.secret;
        [&self.bytes[..start], &self.bytes[start..end], &self.bytes[end..]]
    }
}

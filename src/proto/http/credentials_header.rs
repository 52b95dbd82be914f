//! What stands in `Proxy-Authorization`, and what of it must not be shown.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::super::{Credentials, Error};

/// The value of the field. Wiped on drop.
pub(super) struct Authorization {
    text: Zeroizing<String>,
    secret: Range<usize>,
}

impl Authorization {
    /// A secret and the open text around it.
    pub(super) fn new(before: &str, secret: &str, after: &str) -> Self {
        // Large enough from the start: growing would leave a copy of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(before.len() + secret.len() + after.len()));
        for part in [before, secret, after] {
            text.push_str(part);
        }
        Self { text, secret: before.len()..before.len() + secret.len() }
    }

    /// Base64 of `user:password` (RFC 7617 §2).
    pub(super) fn basic(credentials: &Credentials) -> Result<Self, Error> {
        let (user, password) = (credentials.user.as_str(), credentials.password.expose());
        if user.contains(':') {
            return Err(Error::NotEncodable(
                "Basic authentication allows no ':' in the user name (RFC 7617)",
            ));
        }
        let controls = |bytes: &[u8]| bytes.iter().any(u8::is_ascii_control);
        if controls(user.as_bytes()) || controls(password) {
            return Err(Error::NotEncodable(
                "Basic authentication allows no control character in user name and password (RFC 7617)",
            ));
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
        for part in [user.as_bytes(), b":", password] {
            plain.extend(part);
        }
        Ok(Self::new("Basic ", &Zeroizing::new(BASE64.encode(&plain)), ""))
    }

    /// What goes on the wire, in three parts of which the second is secret.
    pub(super) fn parts(&self) -> [&str; 3] {
        let Range { start, end } = self.secret;
        [&self.text[..start], &self.text[start..end], &self.text[end..]]
    }
}

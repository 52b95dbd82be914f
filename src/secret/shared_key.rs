//! Keys that two users share.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

/// The length of a key in bytes.
const LENGTH: usize = 32;

/// A key of 32 random bytes that both ends of an encrypted connection have. It has no `Display`,
/// its `Debug` output is masked, and its memory is zeroed on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKey(Zeroizing<[u8; LENGTH]>);

impl SharedKey {
    /// Creates a key from random bytes.
    #[must_use]
    pub fn new(bytes: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Parses base64 of exactly 32 bytes. Returns `None` for anything else, such as a password.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text).ok()?);
        bytes.as_slice().try_into().ok().map(Self::new)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(****)")
    }
}

//! Passwords: masked when shown, wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A password, as bytes. It has no `Display`, its `Debug` is masked, and its memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; no copy is left behind.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the wire.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// Somebody who may know a password.
pub trait AskPassword {
    /// Whether there is somebody to ask, on a terminal for instance.
    fn can_be_asked(&self) -> bool;

    /// Asks, with this prompt; waits as long as it takes.
    ///
    /// # Errors
    /// Why there was no answer, in words for the user.
    fn ask(&self, prompt: &str) -> Result<Secret, String>;
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(secret.expose(), b"hunter2");
    }
}

//! The user names and passwords that a listener accepts.

use std::fmt;
use std::hint::black_box;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The user names and passwords that a listener accepts, as hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct Logins(Vec<[u8; 32]>);

/// An error in a file of user names and passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginsError {
    /// The line with this number has no colon, or no user name before it.
    #[error("line {0}: expected user:password")]
    BadLine(usize),
    /// The user name or password in the line with this number is too long for SOCKS5 (RFC 1929).
    #[error("line {0}: user name or password longer than 255 bytes")]
    TooLong(usize),
    /// The file has no lines.
    #[error("expected lines with user:password")]
    Empty,
}

impl Logins {
    /// Parses lines of the form `user:password`. Skips empty lines, and those that begin with `#`.
    ///
    /// # Errors
    /// A line is invalid, or there is none.
    pub fn parse(text: &[u8]) -> Result<Self, LoginsError> {
        let mut logins = Vec::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let colon = line.iter().position(|&byte| byte == b':').filter(|&colon| colon > 0);
            let (user, password) = line.split_at(colon.ok_or(LoginsError::BadLine(index + 1))?);
            let password = &password[1..];
            if user.len() > 255 || password.len() > 255 {
                return Err(LoginsError::TooLong(index + 1));
            }
            logins.push(hash(user, password));
        }
        if logins.is_empty() { Err(LoginsError::Empty) } else { Ok(Self(logins)) }
    }

    /// Returns `true` if the user name and password are correct. The time that this takes does not
    /// depend on which bytes are wrong.
    #[must_use]
    pub fn accept(&self, user: &[u8], password: &[u8]) -> bool {
        let offered = hash(user, password);
        let is_equal = |known: &[u8; 32]| {
            let difference = known.iter().zip(&offered).fold(0, |sum, (a, b)| sum | (a ^ b));
            black_box(difference) == 0
        };
        // Compare with every entry, because an early match would reveal its position.
        self.0.iter().fold(false, |found, known| found | is_equal(known))
    }

    /// Returns `true` if `user:password` is correct.
    pub(super) fn accept_pair(&self, pair: &[u8]) -> bool {
        let colon = pair.iter().position(|&byte| byte == b':');
        colon.is_some_and(|colon| self.accept(&pair[..colon], &pair[colon + 1..]))
    }
}

fn hash(user: &[u8], password: &[u8]) -> [u8; 32] {
    // A user name contains no colon.
    let mut input = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
    for part in [user, b":", password] {
        input.extend_from_slice(part);
    }
    // On the heap, where it is zeroed: finalizing by value would leave the password on the stack.
    let mut hasher = Box::new(Sha256::new());
    hasher.update(&*input);
    hasher.finalize_reset().into()
}

/// The hashes of weak passwords can be guessed.
impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logins({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn only_the_listed_pairs_are_accepted() {
        let logins = Logins::parse(b"# users\nalice:one\r\n\nbob:t:wo\ncarol:\n").unwrap();
        for (pair, expected) in [
            ("alice:one", true),
            ("bob:t:wo", true),
            ("carol:", true),
            ("alice:on", false),
            ("alice:one ", false),
            ("alice:", false),
            ("bob:one", false),
            ("Alice:one", false),
            (":", false),
            ("alice", false),
            ("", false),
            ("# users", false),
        ] {
            assert_eq!(logins.accept_pair(pair.as_bytes()), expected, "{pair}");
        }
        // The bytes are equal, but the user name is not.
        assert!(logins.accept(b"bob", b"t:wo") && !logins.accept(b"bob:", b"wo"));
    }

    #[test]
    fn an_invalid_line_is_named_by_its_number_only() {
        for (text, error) in [
            ("", LoginsError::Empty),
            ("# none\n", LoginsError::Empty),
            ("a:b\nhunter2\n", LoginsError::BadLine(2)),
            (":hunter2", LoginsError::BadLine(1)),
            (&format!("a:{}", "x".repeat(256)), LoginsError::TooLong(1)),
        ] {
            assert_eq!(Logins::parse(text.as_bytes()), Err(error));
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(format!("{:?}", Logins::parse(b"alice:hunter2").unwrap()), "Logins(1)");
    }
}

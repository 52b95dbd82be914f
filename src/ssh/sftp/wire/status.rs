//! The outcome of a request (§7 of the draft).

use std::fmt;

use crate::text::printable;

/// The code of a status reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode(pub u32);

impl StatusCode {
    /// The request has succeeded.
    pub const OK: Self = Self(0);
    /// The end of a file or of a directory.
    pub const EOF: Self = Self(1);
    /// The file does not exist.
    pub const NO_SUCH_FILE: Self = Self(2);
    /// The user may not do this.
    pub const PERMISSION_DENIED: Self = Self(3);
    /// The request has failed for another reason.
    pub const FAILURE: Self = Self(4);
    /// The request is malformed.
    pub const BAD_MESSAGE: Self = Self(5);
    /// The peer does not support the request.
    pub const UNSUPPORTED: Self = Self(8);

    /// Returns the cause in words. Codes above 8 belong to later versions, but some servers send
    /// them. `None` for an unknown code.
    #[must_use]
    pub fn words(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "unexpected success",
            1 => "unexpected end of file",
            2 | 10 => "no such file",
            3 => "permission denied",
            4 => "failure",
            5 => "the server received a malformed request",
            6 => "the server has no connection",
            7 => "the server lost its connection",
            8 => "operation not supported",
            9 => "invalid handle",
            11 => "file already exists",
            12 => "read-only file system",
            13 => "no medium in the drive",
            14 => "no space left",
            15 => "quota exceeded",
            _ => return None,
        })
    }
}

/// A status reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: StatusCode,
    /// The server's words, which may be empty.
    pub text: Vec<u8>,
}

impl fmt::Display for Status {
    /// Writes the cause of a failure. Adds the server's words if the code alone is vague, and the
    /// words say more than OpenSSH's `Failure`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = printable(&self.text);
        match self.code.words() {
            Some(words) if self.code != StatusCode::FAILURE => f.write_str(words),
            Some(words) if text.is_empty() || text.eq_ignore_ascii_case("failure") => f.write_str(words),
            Some(words) => write!(f, "{words}: {text}"),
            None if text.is_empty() => write!(f, "status {}", self.code.0),
            None => write!(f, "status {}: {text}", self.code.0),
        }
    }
}

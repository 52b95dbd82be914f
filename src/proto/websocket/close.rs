//! Close codes (RFC 6455 §7.4) and their payload.

use std::fmt;

use super::MAX_CONTROL;
use crate::text::prefix;

/// A close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// Normal closure: the sender has sent everything.
    pub const NORMAL: Self = Self(1000);
    /// The sender shuts down.
    pub const GOING_AWAY: Self = Self(1001);
    /// The sender received a malformed frame.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The sender received a type of message that it does not accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The sender received a message that is too long.
    pub const TOO_BIG: Self = Self(1009);
    /// The sender failed; here, its connection to the target.
    pub const INTERNAL_ERROR: Self = Self(1011);

    /// The client's token has expired, or its key was removed.
    pub const TOKEN_EXPIRED: Self = Self(4401);
    /// The client's token was denied.
    pub const TOKEN_DENIED: Self = Self(4403);
    /// The end-to-end key is missing or different.
    pub const WRONG_KEY: Self = Self(4406);
    /// Another origin has registered for the receiver's session.
    pub const REPLACED: Self = Self(4409);

    /// Returns `true` if an endpoint may send this code (RFC 6455 §7.4.1, §7.4.2, and IANA's
    /// registry, which adds 1012 to 1014).
    #[must_use]
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    fn meaning(self) -> &'static str {
        match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1007 => "invalid data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "missing extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            _ => "",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            "" => write!(f, "{}", self.0),
            meaning => write!(f, "{} ({meaning})", self.0),
        }
    }
}

/// The payload of a Close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// `None` if the frame is empty.
    pub code: Option<CloseCode>,
    /// Text for people, as received.
    pub reason: Vec<u8>,
}

impl Close {
    /// Parses a payload. Returns `None` if it is malformed.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (code, reason) = match payload {
            [] => (None, &[][..]),
            [_] => return None,
            [high, low, reason @ ..] => (Some(CloseCode(u16::from_be_bytes([*high, *low]))), reason),
        };
        code.is_none_or(CloseCode::may_be_sent).then(|| Self { code, reason: reason.to_vec() })
    }

    /// Returns `true` if the peer has sent everything that it wanted to send.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        self.code.is_none_or(|code| code == CloseCode::NORMAL)
    }

    /// Returns the payload of this frame.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let code = self.code.map(|code| code.0.to_be_bytes());
        [code.as_ref().map_or(&[][..], |code| &code[..]), &self.reason].concat()
    }

    /// Creates a frame with a reason, which is cut to the length that fits.
    #[must_use]
    pub fn new(code: CloseCode, reason: &str) -> Self {
        Self { code: Some(code), reason: prefix(reason, MAX_CONTROL - 2).into() }
    }

    /// Returns the code for the answer (RFC 6455 §5.5.1).
    #[must_use]
    pub fn answer(&self) -> CloseCode {
        self.code.unwrap_or(CloseCode::NORMAL)
    }
}

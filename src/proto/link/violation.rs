//! Violations of the protocol by the peer.

use std::fmt;

use super::frame::Malformed;

/// The way in which the peer violated the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame is malformed.
    Malformed(Malformed),
    /// The HELLO does not belong to this link, or contradicts an earlier one.
    Hello,
    /// The epoch of the HELLO is not higher than that of the latest pipe.
    Epoch,
    /// An ACK or HELLO acknowledges bytes that were not sent.
    Acknowledgement,
    /// OPEN by the origin, after GOAWAY, or with a number that is even or used.
    Open,
    /// Too many streams at once, although each one beyond the limit was refused.
    TooManyStreams,
    /// A frame for a stream that was never opened.
    UnknownStream,
    /// DATA beyond the window.
    Window,
    /// DATA or EOF after EOF.
    AfterEof,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Malformed(malformed) => return write!(f, "malformed frame: {malformed}"),
            Self::Hello => "HELLO of another link",
            Self::Epoch => "HELLO of an older pipe",
            Self::Acknowledgement => "acknowledgement of bytes that were not sent",
            Self::Open => "invalid OPEN",
            Self::TooManyStreams => "too many streams",
            Self::UnknownStream => "frame for a stream that was never opened",
            Self::Window => "DATA beyond the window",
            Self::AfterEof => "DATA or EOF after EOF",
        };
        f.write_str(text)
    }
}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

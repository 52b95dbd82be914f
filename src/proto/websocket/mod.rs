//! WebSocket (RFC 6455) as a transport for bytes: message boundaries have no meaning.

mod accept;
mod close;
mod decoder;
mod handshake;
mod header;
mod mask;
mod refusal;
mod server;
pub mod wstunnel;

pub(super) use accept::accept_value;
pub use close::{Close, CloseCode};
pub use decoder::{Decoder, Item, Malformed, Sender};
pub use handshake::{HalfClose, Handshake, Request};
pub use header::Header;
pub use mask::Mask;
pub(in crate::proto) use refusal::refusal_response;
pub use server::{ServerHandshake, Site};

/// The type of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A fragment of a message that an earlier frame began.
    Continuation = 0,
    /// The first frame of a message in UTF-8, which is treated as binary.
    Text = 1,
    /// The first frame of a message.
    Binary = 2,
    /// The last frame in its direction.
    Close = 8,
    /// A frame that the receiver answers with a Pong.
    Ping = 9,
    /// The answer to a Ping.
    Pong = 10,
}

impl Opcode {
    /// Returns `None` for an opcode that RFC 6455 reserves.
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// Maximum length of a control frame's payload (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

/// Maximum length of a frame's header: two bytes, a 64-bit length and a masking key.
const MAX_HEADER: usize = 14;

//! The header of a frame that we send.

use super::mask::Mask;
use super::{MAX_HEADER, Opcode};

/// The header of a frame that is a complete message or a control frame.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

impl Header {
    /// Creates the header of a frame with a payload of this length. A client passes the mask of
    /// the payload.
    #[must_use]
    pub fn new(opcode: Opcode, payload_length: usize, mask: Option<Mask>) -> Self {
        let mut bytes = [0; MAX_HEADER];
        bytes[0] = 0x80 | opcode as u8;
        let mut length = match (u8::try_from(payload_length), u16::try_from(payload_length)) {
            (Ok(short @ 0..=125), _) => {
                bytes[1] = short;
                2
            }
            (_, Ok(medium)) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(payload_length as u64).to_be_bytes());
                10
            }
        };
        if let Some(Mask(key)) = mask {
            bytes[1] |= 0x80;
            bytes[length..length + 4].copy_from_slice(&key);
            length += 4;
        }
        Self { bytes, length }
    }

    /// Returns the bytes to send.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

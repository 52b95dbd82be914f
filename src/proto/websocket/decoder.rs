//! Parses frames incrementally. Payload is returned as it arrives, so frames may have any length.

use std::fmt;

use super::mask::Mask;
use super::{MAX_CONTROL, MAX_HEADER, Opcode};

/// The sender of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client, whose frames are masked.
    Client,
    /// A server, whose frames are not masked.
    Server,
}

/// The reason why a frame is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A reserved bit is set, although no extension was negotiated.
    ReservedBit,
    /// The opcode is reserved.
    Opcode(u8),
    /// A control frame is longer than 125 bytes.
    ControlLength,
    /// A control frame is fragmented.
    ControlFragment,
    /// A continuation frame without a message.
    Continuation,
    /// A new message before the end of the previous one.
    Interrupted,
    /// The length is not encoded in its shortest form, or is 2^63 or more.
    Length,
    /// A server's frame is masked.
    Masked,
    /// A client's frame is not masked.
    Unmasked,
    /// The payload of a Close frame.
    Close,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::ReservedBit => "reserved bit set",
            Self::Opcode(opcode) => return write!(f, "unknown opcode {opcode}"),
            Self::ControlLength => "control frame longer than 125 bytes",
            Self::ControlFragment => "fragmented control frame",
            Self::Continuation => "continuation without a message",
            Self::Interrupted => "new message inside another",
            Self::Length => "invalid length",
            Self::Masked => "masked frame from a server",
            Self::Unmasked => "unmasked frame from a client",
            Self::Close => "invalid close code",
        };
        f.write_str(text)
    }
}

/// A parsed piece of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Payload of a message, to be unmasked with this key.
    Payload(&'a [u8], Option<Mask>),
    /// A complete control frame, unmasked.
    Control(Opcode, Vec<u8>),
}

/// Parses the frames of one direction.
#[derive(Debug)]
pub struct Decoder {
    sender: Sender,
    header: [u8; MAX_HEADER],
    /// The number of bytes in `header`.
    header_len: usize,
    state: State,
    /// The latest data frame did not end its message.
    in_message: bool,
}

#[derive(Debug)]
enum State {
    Header,
    Payload { left: u64, mask: Option<Mask> },
    Control { opcode: Opcode, left: usize, mask: Option<Mask>, payload: Vec<u8> },
}

impl Decoder {
    /// Creates a decoder for the frames of this sender.
    #[must_use]
    pub fn new(sender: Sender) -> Self {
        let header = [0; MAX_HEADER];
        Self { sender, header, header_len: 0, state: State::Header, in_message: false }
    }

    /// Parses the next item and removes its bytes from `input`. Returns `None` if all of the input
    /// has been consumed without a complete item.
    ///
    /// # Errors
    /// A frame is malformed, and the decoder must not be used anymore.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, Malformed> {
        loop {
            match &mut self.state {
                State::Header => {
                    if !self.take_header(input)? {
                        return Ok(None);
                    }
                }
                State::Payload { left: 0, .. } => self.state = State::Header,
                State::Payload { left, mask } => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    if count == 0 {
                        return Ok(None);
                    }
                    let item = Item::Payload(take(input, count), *mask);
                    *left -= count as u64;
                    if let Some(mask) = mask {
                        mask.advance(count);
                    }
                    return Ok(Some(item));
                }
                State::Control { opcode, left, mask, payload } => {
                    let part = take(input, (*left).min(input.len()));
                    *left -= part.len();
                    payload.extend_from_slice(part);
                    if *left > 0 {
                        return Ok(None);
                    }
                    let (opcode, masked, mask) = (*opcode, std::mem::take(payload), *mask);
                    self.state = State::Header;
                    return Ok(Some(Item::Control(opcode, unmasked(masked, mask))));
                }
            }
        }
    }

    /// Returns `true` if the latest frame began a message of type binary.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.header[0] & 0x0f == Opcode::Binary as u8
    }

    /// Consumes bytes up to the end of the header. Returns `true` once it is complete. Checks each
    /// byte as it arrives, so the error does not depend on the fragmentation.
    fn take_header(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.header[self.header_len] = byte;
            self.header_len += 1;
            match self.header_len {
                1 => self.check_type(byte)?,
                2 => self.check_second(byte)?,
                _ => {}
            }
            if self.header_len >= 2 && self.header_len == self.length_end() {
                self.payload_length()?;
            }
            if self.header_len >= 2 && self.header_len == self.length_end() + self.key_length() {
                self.begin_payload()?;
                self.header_len = 0;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn check_type(&self, byte: u8) -> Result<(), Malformed> {
        if byte & 0x70 != 0 {
            return Err(Malformed::ReservedBit);
        }
        let is_final = byte & 0x80 != 0;
        match Opcode::from_bits(byte & 0x0f) {
            None => Err(Malformed::Opcode(byte & 0x0f)),
            Some(opcode) if opcode.is_control() && !is_final => Err(Malformed::ControlFragment),
            Some(Opcode::Continuation) if !self.in_message => Err(Malformed::Continuation),
            Some(Opcode::Text | Opcode::Binary) if self.in_message => Err(Malformed::Interrupted),
            Some(_) => Ok(()),
        }
    }

    fn check_second(&self, byte: u8) -> Result<(), Malformed> {
        match (self.sender, byte & 0x80 != 0) {
            (Sender::Client, false) => return Err(Malformed::Unmasked),
            (Sender::Server, true) => return Err(Malformed::Masked),
            _ => {}
        }
        let is_control = self.header[0] & 0x08 != 0;
        if is_control && usize::from(byte & 0x7f) > MAX_CONTROL {
            return Err(Malformed::ControlLength);
        }
        Ok(())
    }

    /// Returns where the length ends in the header.
    fn length_end(&self) -> usize {
        match self.header[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    fn key_length(&self) -> usize {
        if self.header[1] & 0x80 == 0 { 0 } else { 4 }
    }

    /// Returns the length in the header. RFC 6455 §5.2: "the minimal number of bytes MUST be used
    /// to encode the length".
    fn payload_length(&self) -> Result<u64, Malformed> {
        let extended = &self.header[2..self.length_end()];
        let length = extended.iter().fold(0, |length, &byte| length << 8 | u64::from(byte));
        match (self.header[1] & 0x7f, length) {
            (126, 0..=125) | (127, 0..=0xffff | 0x8000_0000_0000_0000..) => Err(Malformed::Length),
            (126 | 127, length) => Ok(length),
            (short, _) => Ok(short.into()),
        }
    }

    fn begin_payload(&mut self) -> Result<(), Malformed> {
        let length = self.payload_length()?;
        let end = self.length_end();
        let key = self.header.get(end..end + self.key_length()).and_then(|key| key.try_into().ok());
        let (mask, is_final) = (key.map(Mask), self.header[0] & 0x80 != 0);
        let opcode = Opcode::from_bits(self.header[0] & 0x0f).unwrap_or(Opcode::Continuation);
        self.state = if opcode.is_control() {
            // A control frame has at most 125 bytes, which `check_second` has verified.
            let left = usize::try_from(length).unwrap_or(0);
            State::Control { opcode, left, mask, payload: Vec::new() }
        } else {
            self.in_message = !is_final;
            State::Payload { left: length, mask }
        };
        Ok(())
    }
}

/// Removes the first `count` bytes of a slice and returns them.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count);
    *input = rest;
    taken
}

fn unmasked(masked: Vec<u8>, mask: Option<Mask>) -> Vec<u8> {
    let Some(mask) = mask else { return masked };
    let mut plain = vec![0; masked.len()];
    mask.copy(&masked, &mut plain);
    plain
}

//! Passes on the body of a request, and nothing after it.

use zeroize::Zeroizing;

use super::super::filter::{Filter, Malformed, Mode};
use super::answer::Answer;

/// The maximum length of a chunk-size line with its extensions.
const MAX_LINE: usize = 4096;

/// The maximum total length of all trailer fields.
const MAX_TRAILERS: usize = 64 * 1024;

/// The delimitation of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// The filter for the client's bytes after the head.
///
/// Bytes after the body could be another request, whose header would contain the password for this
/// proxy. The filter discards them. It still reads them, because closing a socket with unread bytes
/// resets the connection, which can destroy the response.
#[derive(Debug)]
pub(super) struct RequestBody {
    state: State,
    is_closed: bool,
}

#[derive(Debug)]
enum State {
    /// The number of bytes left of a body with `Content-Length`.
    Length(u64),
    /// The chunk size, so far; `digits` counts its digits.
    Size {
        size: u64,
        digits: u8,
        length: usize,
        part: SizePart,
    },
    /// The number of bytes left of a chunk.
    Chunk(u64),
    /// The line end after a chunk.
    ChunkEnd {
        has_cr: bool,
    },
    /// The trailer section, which is not passed on (RFC 9110 §6.5.1).
    Trailers {
        line: usize,
        length: usize,
        has_cr: bool,
    },
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizePart {
    Digits,
    /// Extensions are not passed on (RFC 9112 §7.1.1).
    Extension,
    LineFeed,
}

const FIRST_SIZE: State = State::Size { size: 0, digits: 0, length: 0, part: SizePart::Digits };

impl RequestBody {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => FIRST_SIZE,
        };
        Self { state, is_closed: false }
    }

    /// Processes one byte of the chunked coding, other than the data of a chunk.
    fn delimiter(&mut self, byte: u8, output: &mut Zeroizing<Vec<u8>>) -> Result<(), &'static str> {
        self.state = match self.state {
            State::Size { length: MAX_LINE, .. } => return Err("chunk-size line too long"),
            State::Size { size, digits, length, part } => match (part, byte) {
                (SizePart::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 15 => {
                    let digit = char::from(byte).to_digit(16).unwrap_or_default();
                    State::Size {
                        size: size << 4 | u64::from(digit),
                        digits: digits + 1,
                        length: length + 1,
                        part,
                    }
                }
                (SizePart::Digits, b';' | b' ' | b'\t') if digits > 0 => {
                    State::Size { size, digits, length: length + 1, part: SizePart::Extension }
                }
                (SizePart::Digits, b'\r') if digits > 0 => {
                    State::Size { size, digits, length, part: SizePart::LineFeed }
                }
                (SizePart::Extension, b'\r') => {
                    State::Size { size, digits, length, part: SizePart::LineFeed }
                }
                (SizePart::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                    State::Size { size, digits, length: length + 1, part }
                }
                (SizePart::LineFeed, b'\n') if size == 0 => {
                    output.extend_from_slice(b"0\r\n\r\n");
                    State::Trailers { line: 0, length: 0, has_cr: false }
                }
                (SizePart::LineFeed, b'\n') => {
                    output.extend_from_slice(format!("{size:x}\r\n").as_bytes());
                    State::Chunk(size)
                }
                _ => return Err("invalid chunk size"),
            },
            State::ChunkEnd { has_cr: false } if byte == b'\r' => State::ChunkEnd { has_cr: true },
            State::ChunkEnd { has_cr: true } if byte == b'\n' => {
                output.extend_from_slice(b"\r\n");
                FIRST_SIZE
            }
            State::ChunkEnd { .. } => return Err("invalid end of a chunk"),
            State::Trailers { length: MAX_TRAILERS, .. } => return Err("trailer too long"),
            State::Trailers { line: 0, has_cr: true, .. } if byte == b'\n' => State::Done,
            State::Trailers { length, has_cr: true, .. } if byte == b'\n' => {
                State::Trailers { line: 0, length: length + 1, has_cr: false }
            }
            State::Trailers { has_cr: true, .. } => return Err("bare CR in the trailer"),
            State::Trailers { line, length, .. } if byte == b'\r' => {
                State::Trailers { line, length: length + 1, has_cr: true }
            }
            State::Trailers { .. } if byte == b'\n' || byte == 0 => return Err("invalid trailer"),
            State::Trailers { line, length, .. } => {
                State::Trailers { line: line + 1, length: length + 1, has_cr: false }
            }
            State::Length(_) | State::Chunk(_) | State::Done => return Err("unexpected byte"),
        };
        Ok(())
    }
}

fn malformed(why: &'static str) -> Malformed {
    Malformed { why, answer: Answer::new(400, why).bytes() }
}

impl Filter for RequestBody {
    fn mode(&self) -> Mode {
        match self.state {
            State::Length(left) | State::Chunk(left) => Mode::Pass(left),
            State::Size { .. } | State::ChunkEnd { .. } | State::Trailers { .. } => Mode::Process,
            State::Done if self.is_closed => Mode::End,
            State::Done => Mode::Discard,
        }
    }

    fn receive(&mut self, input: &[u8], output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
        let mut rest = input;
        while let [byte, after @ ..] = rest {
            match self.mode() {
                Mode::Process => {
                    self.delimiter(*byte, output).map_err(malformed)?;
                    rest = after;
                }
                Mode::Pass(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    output.extend_from_slice(&rest[..count]);
                    self.passed(count);
                    rest = &rest[count..];
                }
                Mode::Discard | Mode::End => return Ok(()),
            }
        }
        Ok(())
    }

    fn passed(&mut self, count: usize) {
        let count = count as u64;
        match &mut self.state {
            State::Length(left) | State::Chunk(left) if *left > count => *left -= count,
            State::Length(_) => self.state = State::Done,
            State::Chunk(_) => self.state = State::ChunkEnd { has_cr: false },
            _ => {}
        }
    }

    fn closed(&mut self, _: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
        self.is_closed = true;
        match self.state {
            State::Done => Ok(()),
            _ => Err(Malformed { why: "incomplete body", answer: Vec::new() }),
        }
    }
}

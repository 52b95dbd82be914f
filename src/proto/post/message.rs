//! The messages of the POST tunnel: the body of a request and of its answer. Integers are
//! big-endian.
//!
//! ```text
//! request: version u8 = 1 | flags u8 | wait u16 | A u64 | B u64 | key 16 bytes
//!          | [n u16 | token | m u16 | target |] data
//! answer:  version u8 = 1 | flags u8 | wait u16 | A u64 | B u64 | data
//! ```
//!
//! In a request, `A` is the position of its data in the up stream, and `B` the number of positions
//! of the down stream that the client has received. In an answer, it is the other way round: `A` is
//! the number of positions of the up stream that the server has received, and `B` the position of
//! the answer's data in the down stream. The EOF of a stream counts as one position, like the FIN
//! of TCP.

use std::fmt;

use zeroize::Zeroizing;

/// The version of the protocol.
const VERSION: u8 = 1;

const FLAG_OPEN: u8 = 1;
const FLAG_EOF: u8 = 2;
const FLAG_RESET: u8 = 4;
const FLAG_POLL: u8 = 8;

/// The length of a request without the fields of OPEN and without data.
const REQUEST_HEAD: usize = 36;
/// The length of an answer without data.
pub const ANSWER_HEAD: usize = 20;

/// The maximum length of a body, in requests and answers.
pub const MAX_BODY: usize = 1024 * 1024;
/// The maximum length of a token.
pub const MAX_TOKEN: usize = 2 * 1024;
/// The maximum length of the text of a RESET.
const MAX_TEXT: usize = 256;

/// The identifier of a tunnel, which the client chooses. Web servers log it, so it is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sid([u8; 16]);

impl Sid {
    /// Creates an identifier from random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses 32 lower-case hexadecimal digits. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key of a tunnel, without which nobody can use its [`Sid`].
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 16]>);

impl Key {
    /// Creates a key from random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Compares all bytes, so that the time does not depend on the first difference.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs))
            == 0
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(****)")
    }
}

/// The parts of a request that only OPEN has.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening<'a> {
    /// The token; empty for none.
    pub token: &'a [u8],
    /// The target as the user gave it, which servers ignore; empty for none.
    pub target: &'a [u8],
}

/// The token is a secret.
impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({})", self.target.escape_ascii())
    }
}

/// A request without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// OPEN: creates the tunnel.
    pub opening: Option<Opening<'a>>,
    /// EOF: the up stream ends after the data.
    pub is_eof: bool,
    /// RESET: the client aborts the tunnel.
    pub is_reset: bool,
    /// POLL: the answer may carry data, and be held until there is some.
    pub is_poll: bool,
    /// The maximum hold of a POLL, in tenths of a second.
    pub wait: u16,
    /// The position of the data in the up stream.
    pub up: u64,
    /// The number of positions of the down stream that the client has received.
    pub down: u64,
    /// The key of the tunnel.
    pub key: Key,
}

impl<'a> Request<'a> {
    /// Creates a request without flags, at the start of both streams.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { opening: None, is_eof: false, is_reset: false, is_poll: false, wait: 0, up: 0, down: 0, key }
    }

    /// Returns the body of the request, without data. `room` is reserved for the data.
    #[must_use]
    pub fn encode(&self, room: usize) -> Vec<u8> {
        let opening_length =
            self.opening.as_ref().map_or(0, |opening| 4 + opening.token.len() + opening.target.len());
        let mut body = Vec::with_capacity(REQUEST_HEAD + opening_length + room);
        let flags = [
            (self.opening.is_some(), FLAG_OPEN),
            (self.is_eof, FLAG_EOF),
            (self.is_reset, FLAG_RESET),
            (self.is_poll, FLAG_POLL),
        ];
        body.extend([VERSION, joined(&flags)]);
        body.extend(self.wait.to_be_bytes());
        body.extend(self.up.to_be_bytes());
        body.extend(self.down.to_be_bytes());
        body.extend(*self.key.0);
        if let Some(Opening { token, target }) = &self.opening {
            for field in [token, target] {
                // Longer fields are cut. Configuration rejects such tokens, and servers ignore the
                // target.
                let field = &field[..field.len().min(usize::from(u16::MAX))];
                body.extend(u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes());
                body.extend_from_slice(field);
            }
        }
        body
    }

    /// Parses a body. Returns the request and its data, or `None` if the body is malformed.
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (version, rest) = body.split_first()?;
        let (&flags, rest) = rest.split_first()?;
        if *version != VERSION || flags & !(FLAG_OPEN | FLAG_EOF | FLAG_RESET | FLAG_POLL) != 0 {
            return None;
        }
        let (wait, rest) = rest.split_first_chunk()?;
        let (up, rest) = rest.split_first_chunk()?;
        let (down, rest) = rest.split_first_chunk()?;
        let (key, mut data) = rest.split_first_chunk()?;
        let opening = if flags & FLAG_OPEN == 0 {
            None
        } else {
            let (token, rest) = field(data)?;
            let (target, rest) = field(rest)?;
            data = rest;
            Some(Opening { token, target }).filter(|_| token.len() <= MAX_TOKEN)
        };
        if flags & FLAG_OPEN != 0 && opening.is_none() {
            return None;
        }
        let request = Self {
            opening,
            is_eof: flags & FLAG_EOF != 0,
            is_reset: flags & FLAG_RESET != 0,
            is_poll: flags & FLAG_POLL != 0,
            wait: u16::from_be_bytes(*wait),
            up: u64::from_be_bytes(*up),
            down: u64::from_be_bytes(*down),
            key: Key::new(*key),
        };
        // No stream has that many positions.
        let end = request.up.checked_add(data.len() as u64 + 1);
        end.is_some().then_some((request, data))
    }
}

/// An answer without its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// OPENED: the target is connected.
    pub is_opened: bool,
    /// EOF: the down stream ends after the data.
    pub is_eof: bool,
    /// RESET: the tunnel is over. The data is a [`Reset`].
    pub is_reset: bool,
    /// The server's longest hold, in tenths of a second.
    pub wait: u16,
    /// The number of positions of the up stream that the server has received.
    pub up: u64,
    /// The position of the data in the down stream.
    pub down: u64,
}

impl Answer {
    /// Returns the answer, without data.
    #[must_use]
    pub fn encode(&self) -> [u8; ANSWER_HEAD] {
        let flags = [(self.is_opened, FLAG_OPEN), (self.is_eof, FLAG_EOF), (self.is_reset, FLAG_RESET)];
        let mut head = [0; ANSWER_HEAD];
        (head[0], head[1]) = (VERSION, joined(&flags));
        head[2..4].copy_from_slice(&self.wait.to_be_bytes());
        head[4..12].copy_from_slice(&self.up.to_be_bytes());
        head[12..].copy_from_slice(&self.down.to_be_bytes());
        head
    }

    /// Parses a body. Returns the answer and its data, or `None` if the body is malformed.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<(Self, &[u8])> {
        let (version, rest) = body.split_first()?;
        let (&flags, rest) = rest.split_first()?;
        if *version != VERSION || flags & !(FLAG_OPEN | FLAG_EOF | FLAG_RESET) != 0 {
            return None;
        }
        let (wait, rest) = rest.split_first_chunk()?;
        let (up, rest) = rest.split_first_chunk()?;
        let (down, data) = rest.split_first_chunk()?;
        let answer = Self {
            is_opened: flags & FLAG_OPEN != 0,
            is_eof: flags & FLAG_EOF != 0,
            is_reset: flags & FLAG_RESET != 0,
            wait: u16::from_be_bytes(*wait),
            up: u64::from_be_bytes(*up),
            down: u64::from_be_bytes(*down),
        };
        answer.down.checked_add(data.len() as u64 + 1).is_some().then_some((answer, data))
    }
}

/// The reason for a RESET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCode {
    /// 1: the server's policy forbids the tunnel.
    Policy,
    /// 2: the server cannot reach the target.
    Unreachable,
    /// 3: the server has too many tunnels.
    TooMany,
    /// 4: the other end was cut off.
    CutOff,
    /// 5: the peer violated the protocol, or sent an unknown code.
    Protocol,
    /// 6: the peer is shutting down.
    GoingAway,
    /// 7: the tunnel was idle for too long.
    Idle,
}

/// The data of a RESET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The reason.
    pub code: ResetCode,
    /// The reason as text; at most 256 bytes are sent.
    pub text: String,
}

impl Reset {
    /// Creates a RESET without text.
    #[must_use]
    pub fn new(code: ResetCode) -> Self {
        Self { code, text: String::new() }
    }

    /// Appends the data.
    pub fn encode(&self, body: &mut Vec<u8>) {
        let code: u16 = match self.code {
            ResetCode::Policy => 1,
            ResetCode::Unreachable => 2,
            ResetCode::TooMany => 3,
            ResetCode::CutOff => 4,
            ResetCode::Protocol => 5,
            ResetCode::GoingAway => 6,
            ResetCode::Idle => 7,
        };
        body.extend(code.to_be_bytes());
        let end = (0..=MAX_TEXT.min(self.text.len())).rev().find(|&end| self.text.is_char_boundary(end));
        body.extend_from_slice(&self.text.as_bytes()[..end.unwrap_or_default()]);
    }

    /// Parses the data. Missing parts are replaced, because the tunnel is over in any case.
    #[must_use]
    pub fn decode(data: &[u8]) -> Self {
        let (code, text) = data.split_first_chunk().unwrap_or((&[0, 0], &[]));
        let code = match u16::from_be_bytes(*code) {
            1 => ResetCode::Policy,
            2 => ResetCode::Unreachable,
            3 => ResetCode::TooMany,
            4 => ResetCode::CutOff,
            6 => ResetCode::GoingAway,
            7 => ResetCode::Idle,
            _ => ResetCode::Protocol,
        };
        let text = String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT)]).into_owned();
        Self { code, text }
    }
}

/// Returns the flags that are set.
fn joined(flags: &[(bool, u8)]) -> u8 {
    flags.iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag)
}

/// Splits off a field that begins with its length.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn request() -> Request<'static> {
        Request {
            opening: Some(Opening { token: b"t.o.k", target: b"host:22" }),
            is_eof: true,
            is_reset: false,
            is_poll: true,
            wait: 250,
            up: 0x0102_0304_0506_0708,
            down: 9,
            key: Key::new([7; 16]),
        }
    }

    #[test]
    fn a_request_has_the_documented_bytes() {
        let mut body = request().encode(3);
        body.extend(b"abc");
        let expected = [
            &b"\x01\x0b\x00\xfa\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x09"[..],
            &[7; 16],
            b"\x00\x05t.o.k\x00\x07host:22abc",
        ];
        assert_eq!(body, expected.concat());
        assert_eq!(Request::decode(&body).unwrap(), (request(), &b"abc"[..]));
    }

    #[test]
    fn an_answer_has_the_documented_bytes() {
        let answer = Answer { is_opened: true, is_eof: false, is_reset: true, wait: 1, up: 2, down: 3 };
        let mut body = answer.encode().to_vec();
        Reset { code: ResetCode::Unreachable, text: "no route".into() }.encode(&mut body);
        assert_eq!(body, b"\x01\x05\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\x02no route");
        let (decoded, data) = Answer::decode(&body).unwrap();
        assert_eq!(decoded, answer);
        assert_eq!(Reset::decode(data), Reset { code: ResetCode::Unreachable, text: "no route".into() });
    }

    #[test]
    fn a_malformed_body_is_rejected_at_every_length() {
        let whole = request().encode(0);
        for length in 0..whole.len() {
            assert!(Request::decode(&whole[..length]).is_none(), "{length}");
        }
        let mut answer = Answer::default().encode();
        for length in 0..answer.len() {
            assert!(Answer::decode(&answer[..length]).is_none(), "{length}");
        }
        for (index, byte) in [(0, 0), (0, 2), (1, 0x10), (1, 0x80)] {
            let mut body = whole.clone();
            body[index] = byte;
            assert!(Request::decode(&body).is_none(), "{index} {byte}");
            let mut body = answer;
            body[index] = byte;
            assert!(Answer::decode(&body).is_none(), "{index} {byte}");
        }
        answer[1] = FLAG_POLL;
        assert!(Answer::decode(&answer).is_none());
    }

    #[test]
    fn a_position_that_no_stream_reaches_is_rejected() {
        let end = Request { up: u64::MAX, ..request() };
        assert!(Request::decode(&end.encode(0)).is_none());
        let body = Answer { down: u64::MAX, ..Answer::default() }.encode();
        assert!(Answer::decode(&body).is_none());
    }

    #[test]
    fn a_token_beyond_the_limit_is_rejected() {
        let long = vec![b'x'; MAX_TOKEN + 1];
        for (length, is_valid) in [(MAX_TOKEN, true), (MAX_TOKEN + 1, false)] {
            let opening = Some(Opening { token: &long[..length], target: b"" });
            let body = Request { opening, ..request() }.encode(0);
            assert_eq!(Request::decode(&body).is_some(), is_valid, "{length}");
        }
    }

    #[test]
    fn a_session_identifier_has_32_lower_case_digits() {
        let text = "00112233445566778899aabbccddeeff";
        assert_eq!(Sid::parse(text).unwrap().to_string(), text);
        for invalid in
            ["", "00", &text.to_uppercase(), &text[1..], &format!("{text}0"), &text.replace('f', "g")]
        {
            assert!(Sid::parse(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn the_text_of_a_reset_is_cut_between_characters() {
        for text in ["é".repeat(200), format!("x{}", "é".repeat(200))] {
            let mut data = Vec::new();
            Reset { code: ResetCode::Idle, text: text.clone() }.encode(&mut data);
            assert!(data.len() <= 2 + MAX_TEXT);
            let Reset { code, text: received } = Reset::decode(&data);
            assert_eq!(code, ResetCode::Idle);
            assert!(text.starts_with(&received) && received.len() >= MAX_TEXT - 1, "{received}");
        }
        assert_eq!(Reset::decode(b"").code, ResetCode::Protocol);
        assert_eq!(Reset::decode(b"\x99\x99x"), Reset { code: ResetCode::Protocol, text: "x".into() });
    }

    #[test]
    fn keys_and_tokens_are_not_shown() {
        assert!(!format!("{:?}", request()).contains("t.o.k"));
        assert_eq!(format!("{:?}", Key::new([7; 16])), "Key(****)");
        assert!(Key::new([7; 16]) != Key::new([8; 16]));
    }
}

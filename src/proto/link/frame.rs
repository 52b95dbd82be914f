//! The frames of a link: `type u8 | stream u24 | length u32 | payload`.

use std::fmt;
use std::ops::RangeInclusive;

use crate::proto::post::{Reset, ResetCode};

/// The length of a frame's header.
pub const HEADER: usize = 8;

/// Maximum length of a frame's payload.
pub const MAX_PAYLOAD: usize = 65_536;

/// Maximum length of the target in an OPEN: a host name of 253 characters and a port need 259.
pub const MAX_TARGET: usize = 512;

/// The length of a RESET or GOAWAY without text.
const RESET_CODE: usize = 2;

/// Maximum length of the text in a RESET or GOAWAY.
const MAX_TEXT: usize = 256;

/// Maximum length of a RESET or GOAWAY, with its header.
pub(super) const MAX_RESET: usize = HEADER + RESET_CODE + MAX_TEXT;

/// Maximum length of an OPEN, with its header.
pub(super) const MAX_OPEN: usize = HEADER + OPEN_START + MAX_TARGET;

/// The length of an OPEN without the target.
pub(super) const OPEN_START: usize = 6;

/// The length of a HELLO, with its header.
pub(super) const HELLO: usize = HEADER + HELLO_PAYLOAD;

const HELLO_PAYLOAD: usize = 40;

const MAGIC: [u8; 4] = *b"CNCT";

const VERSION: u8 = 1;

/// The flag of a HELLO that continues an existing link.
const FLAG_RESUME: u8 = 1;

/// The first of the frame types that a receiver skips if it does not know them.
const FIRST_OPTIONAL: u8 = 128;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello = 1,
    Open = 2,
    Data = 3,
    Window = 4,
    Eof = 5,
    Reset = 6,
    Ack = 7,
    Ping = 8,
    Pong = 9,
    GoAway = 10,
}

impl Kind {
    /// Returns `true` if the receiver acknowledges the frame, and the sender repeats it on the next
    /// pipe if necessary.
    pub(super) fn is_counted(self) -> bool {
        !matches!(self, Self::Hello | Self::Ack | Self::Ping | Self::Pong)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        const ALL: [Kind; 10] = [
            Kind::Hello,
            Kind::Open,
            Kind::Data,
            Kind::Window,
            Kind::Eof,
            Kind::Reset,
            Kind::Ack,
            Kind::Ping,
            Kind::Pong,
            Kind::GoAway,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    fn lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::Hello => HELLO_PAYLOAD..=HELLO_PAYLOAD,
            Self::Open => OPEN_START..=OPEN_START + MAX_TARGET,
            Self::Data => 0..=MAX_PAYLOAD,
            Self::Window | Self::Ack | Self::Ping | Self::Pong => 8..=8,
            Self::Eof => 0..=0,
            Self::Reset | Self::GoAway => RESET_CODE..=RESET_CODE + MAX_TEXT,
        }
    }

    fn allows_stream(self, stream: u32) -> bool {
        match self {
            Self::Reset => true,
            Self::Open | Self::Data | Self::Window | Self::Eof => stream != 0,
            Self::Hello | Self::Ack | Self::Ping | Self::Pong | Self::GoAway => stream == 0,
        }
    }
}

/// The reason why a frame is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The type is unknown and must not be skipped.
    Type(u8),
    /// The payload has a length that its type does not allow.
    Length,
    /// The type does not belong to this stream.
    Stream,
    /// The payload has invalid contents.
    Payload,
    /// The first frame of a pipe is not HELLO.
    NoHello,
    /// A HELLO after the first frame.
    SecondHello,
    /// The HELLO has an unknown version.
    Version(u8),
    /// A repeated frame differs from the part that arrived on the previous pipe.
    Repetition,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Type(kind) => return write!(f, "unknown type {kind}"),
            Self::Length => "invalid length",
            Self::Stream => "invalid stream number for its type",
            Self::Payload => "invalid payload",
            Self::NoHello => "HELLO missing",
            Self::SecondHello => "second HELLO",
            Self::Version(version) => return write!(f, "unknown version {version}"),
            Self::Repetition => "a repeated frame is different",
        };
        f.write_str(text)
    }
}

/// The number of a stream. Stream 0 is the link itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u32);

impl StreamId {
    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// The header of a valid frame, or of one that the receiver skips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `None` for a frame to skip.
    pub(super) kind: Option<Kind>,
    pub(super) stream: u32,
    pub(super) length: usize,
}

impl Header {
    pub(super) fn decode(bytes: [u8; HEADER]) -> Result<Self, Malformed> {
        let [kind, s0, s1, s2, length @ ..] = bytes;
        let stream = u32::from_be_bytes([0, s0, s1, s2]);
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let known = Kind::from_byte(kind);
        if known.is_none() && kind < FIRST_OPTIONAL {
            return Err(Malformed::Type(kind));
        }
        let lengths = known.map_or(0..=MAX_PAYLOAD, Kind::lengths);
        if !lengths.contains(&length) {
            return Err(Malformed::Length);
        }
        if known.is_some_and(|kind| !kind.allows_stream(stream)) {
            return Err(Malformed::Stream);
        }
        Ok(Self { kind: known, stream, length })
    }
}

/// Returns the header of a frame. The payload has at most [`MAX_PAYLOAD`] bytes.
pub(super) fn header(kind: Kind, stream: u32, length: usize) -> [u8; HEADER] {
    let [_, s0, s1, s2] = stream.to_be_bytes();
    let [l0, l1, l2, l3] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [kind as u8, s0, s1, s2, l0, l1, l2, l3]
}

/// Returns the payload of a RESET or GOAWAY.
pub(super) fn reset_payload(reset: &Reset) -> Vec<u8> {
    let mut payload = Vec::new();
    reset.encode(&mut payload);
    payload
}

/// Returns the RESET of a link that an end sends instead of its HELLO, because it cannot resume
/// the link.
#[must_use]
pub fn rejection(text: &str) -> Vec<u8> {
    let payload = reset_payload(&Reset { code: ResetCode::Protocol, text: text.into() });
    [&header(Kind::Reset, 0, payload.len())[..], &payload].concat()
}

/// Returns the payload of an OPEN.
pub(super) fn open_payload(window: u32, target: &str) -> Vec<u8> {
    let target = target.as_bytes();
    let length = u16::try_from(target.len()).unwrap_or(u16::MAX);
    [&window.to_be_bytes()[..], &length.to_be_bytes(), target].concat()
}

/// Parses the payload of an OPEN.
pub(super) fn parse_open(payload: &[u8]) -> Option<(u32, String)> {
    let (window, rest) = payload.split_first_chunk()?;
    let (length, target) = rest.split_first_chunk()?;
    let target = str::from_utf8(target).ok()?;
    (usize::from(u16::from_be_bytes(*length)) == target.len())
        .then(|| (u32::from_be_bytes(*window), target.to_owned()))
}

/// The name of a link, which its dest draws at random. A hub without tokens resumes a link for any
/// client that knows its name, so it is not shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub [u8; 16]);

impl LinkId {
    /// Parses 32 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_valid.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(number.to_be_bytes()))
    }

    /// Returns 32 hex digits, for the field `Connect-Resume`.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkId(****)")
    }
}

/// The first frame of a pipe, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The pipe continues a link that had a pipe before.
    pub resumes: bool,
    /// The link.
    pub id: LinkId,
    /// The number of this pipe; later pipes have higher numbers.
    pub epoch: u32,
    /// The counted bytes that the sender has received in whole frames.
    pub received: u64,
    /// The counted bytes that may be unacknowledged.
    pub window: u32,
}

impl Hello {
    /// Returns the frame.
    pub(super) fn encode(&self) -> Vec<u8> {
        let flags = if self.resumes { FLAG_RESUME } else { 0 };
        let mut frame = header(Kind::Hello, 0, HELLO_PAYLOAD).to_vec();
        frame.extend(MAGIC);
        frame.extend([VERSION, flags, 0, 0]);
        frame.extend(self.id.0);
        frame.extend(self.epoch.to_be_bytes());
        frame.extend(self.received.to_be_bytes());
        frame.extend(self.window.to_be_bytes());
        frame
    }

    /// Parses the payload.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let parsed = Self::fields(payload).ok_or(Malformed::Length)?;
        let (magic, [version, flags, 0, 0], hello) = parsed else { return Err(Malformed::Payload) };
        if magic != MAGIC {
            return Err(Malformed::Payload);
        }
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        if flags & !FLAG_RESUME != 0 {
            return Err(Malformed::Payload);
        }
        Ok(Self { resumes: flags & FLAG_RESUME != 0, ..hello })
    }

    fn fields(payload: &[u8]) -> Option<([u8; 4], [u8; 4], Self)> {
        let (magic, rest) = payload.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (received, rest) = rest.split_first_chunk()?;
        let window = rest.try_into().ok()?;
        let hello = Self {
            resumes: false,
            id: LinkId(*id),
            epoch: u32::from_be_bytes(*epoch),
            received: u64::from_be_bytes(*received),
            window: u32::from_be_bytes(window),
        };
        Some((*magic, *version, hello))
    }
}

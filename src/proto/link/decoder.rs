//! Parses frames incrementally. DATA is returned as it arrives, without being held.

use super::frame::{HEADER, Header, Hello, Kind, Malformed, StreamId, parse_open};
use crate::proto::post::Reset;

/// A frame, or a part of a DATA frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// HELLO.
    Hello(Hello),
    /// OPEN.
    Open {
        /// The new stream.
        stream: StreamId,
        /// The DATA bytes that the receiver may send.
        window: u32,
        /// `HOST:PORT`, or empty.
        target: String,
    },
    /// The header of a DATA frame, whose payload follows in any number of [`Frame::Data`].
    DataStart {
        /// The stream.
        stream: StreamId,
        /// The length of the payload that follows.
        length: usize,
    },
    /// Some of the payload of a DATA frame.
    Data(StreamId, &'a [u8]),
    /// WINDOW: the DATA bytes that may be sent on this stream in all.
    Window(StreamId, u64),
    /// EOF.
    Eof(StreamId),
    /// RESET of a stream.
    Reset(StreamId, Reset),
    /// RESET of stream 0: the end of the link.
    ResetLink(Reset),
    /// ACK: the counted bytes received.
    Ack(u64),
    /// PING.
    Ping([u8; 8]),
    /// PONG.
    Pong([u8; 8]),
    /// GOAWAY.
    GoAway(Reset),
}

/// Parses the frames of one direction of a link, over any number of pipes.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    has_hello: bool,
    /// The counted bytes in whole frames.
    received: u64,
    /// The DATA frame that the end of the previous pipe interrupted. The next pipe repeats it.
    interrupted: Option<Interrupted>,
}

#[derive(Clone, Copy, Debug)]
struct Interrupted {
    header: [u8; HEADER],
    /// The bytes of its payload that were returned.
    returned: usize,
}

#[derive(Debug)]
enum State {
    Header {
        bytes: [u8; HEADER],
        filled: usize,
    },
    /// In the payload of a DATA frame.
    Data {
        bytes: [u8; HEADER],
        header: Header,
        position: usize,
        /// The bytes of the payload that an earlier pipe has delivered.
        returned: usize,
    },
    /// In another payload, of which each byte is kept.
    Small {
        kind: Kind,
        header: Header,
        payload: Vec<u8>,
    },
    /// In the payload of an unknown frame.
    Skipped {
        left: usize,
    },
}

const EMPTY: State = State::Header { bytes: [0; HEADER], filled: 0 };

impl Default for Decoder {
    fn default() -> Self {
        Self { state: EMPTY, has_hello: false, received: 0, interrupted: None }
    }
}

impl Decoder {
    /// Returns the counted bytes that have arrived in whole frames.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Continues with a new pipe. If `has_hello`, its HELLO has been parsed by another decoder.
    pub fn restart(&mut self, has_hello: bool) {
        if let State::Data { bytes, position, returned, .. } = self.state {
            self.interrupted = Some(Interrupted { header: bytes, returned: position.max(returned) });
        }
        self.state = EMPTY;
        self.has_hello = has_hello;
    }

    /// Parses the next frame, or a part of a DATA frame, and removes its bytes from `input`.
    /// Returns `None` if all of the input has been consumed.
    ///
    /// # Errors
    /// A frame is malformed, and the decoder must not be used anymore.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Malformed> {
        loop {
            match &mut self.state {
                State::Header { bytes, filled } => {
                    let part = take(input, HEADER - *filled);
                    bytes[*filled..*filled + part.len()].copy_from_slice(part);
                    *filled += part.len();
                    if *filled < HEADER {
                        return Ok(None);
                    }
                    let bytes = *bytes;
                    if let Some(frame) = self.begin(bytes)? {
                        return Ok(Some(frame));
                    }
                }
                State::Data { header, position, returned, .. } => {
                    let part = take(input, header.length - *position);
                    let known = returned.saturating_sub(*position).min(part.len());
                    *position += part.len();
                    let (stream, is_whole) = (StreamId(header.stream), *position == header.length);
                    if is_whole {
                        self.received += (HEADER + header.length) as u64;
                        self.state = EMPTY;
                    }
                    if known < part.len() {
                        return Ok(Some(Frame::Data(stream, &part[known..])));
                    }
                    if !is_whole && input.is_empty() {
                        return Ok(None);
                    }
                }
                State::Small { kind, header, payload } => {
                    payload.extend_from_slice(take(input, header.length - payload.len()));
                    if payload.len() < header.length {
                        return Ok(None);
                    }
                    let frame = parse(*kind, header.stream, payload)?;
                    if kind.is_counted() {
                        self.received += (HEADER + header.length) as u64;
                    }
                    self.state = EMPTY;
                    return Ok(Some(frame));
                }
                State::Skipped { left } => {
                    *left -= take(input, *left).len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = EMPTY;
                }
            }
        }
    }

    /// Continues after a header. Returns the start of a DATA frame.
    fn begin<'a>(&mut self, bytes: [u8; HEADER]) -> Result<Option<Frame<'a>>, Malformed> {
        let header = Header::decode(bytes)?;
        match header.kind {
            Some(Kind::Hello) if self.has_hello => return Err(Malformed::SecondHello),
            Some(Kind::Hello) => self.has_hello = true,
            // An end that cannot resume the link says so instead of HELLO.
            Some(Kind::Reset) if header.stream == 0 => {}
            _ if !self.has_hello => return Err(Malformed::NoHello),
            _ => {}
        }
        let Some(kind) = header.kind else {
            self.state = State::Skipped { left: header.length };
            return Ok(None);
        };
        let interrupted = if kind.is_counted() { self.interrupted.take() } else { None };
        if interrupted.is_some_and(|interrupted| interrupted.header != bytes) {
            return Err(Malformed::Repetition);
        }
        if kind != Kind::Data {
            self.state = State::Small { kind, header, payload: Vec::new() };
            return Ok(None);
        }
        let returned = interrupted.map_or(0, |interrupted| interrupted.returned);
        self.state = State::Data { bytes, header, position: 0, returned };
        if header.length == 0 {
            self.received += HEADER as u64;
            self.state = EMPTY;
        }
        let length = header.length - returned;
        Ok(Some(Frame::DataStart { stream: StreamId(header.stream), length }))
    }
}

/// Parses a whole payload other than DATA.
fn parse<'a>(kind: Kind, stream: u32, payload: &[u8]) -> Result<Frame<'a>, Malformed> {
    let id = StreamId(stream);
    let bytes = || payload.try_into().map_err(|_| Malformed::Length);
    Ok(match kind {
        Kind::Hello => Frame::Hello(Hello::decode(payload)?),
        Kind::Open => {
            let (window, target) = parse_open(payload).ok_or(Malformed::Payload)?;
            Frame::Open { stream: id, window, target }
        }
        Kind::Data | Kind::Eof => Frame::Eof(id),
        Kind::Window => Frame::Window(id, u64::from_be_bytes(bytes()?)),
        Kind::Reset if stream == 0 => Frame::ResetLink(Reset::decode(payload)),
        Kind::Reset => Frame::Reset(id, Reset::decode(payload)),
        Kind::Ack => Frame::Ack(u64::from_be_bytes(bytes()?)),
        Kind::Ping => Frame::Ping(bytes()?),
        Kind::Pong => Frame::Pong(bytes()?),
        Kind::GoAway => Frame::GoAway(Reset::decode(payload)),
    })
}

/// Removes at most `count` bytes from the start of a slice and returns them.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

//! The body of an answer that is no tunnel: how long it is, and its start (RFC 9112 §6 and §7.1).

use super::super::{Error, Limit};
use super::head::Head;

/// How much of a body is kept to be shown.
pub(super) const KEPT: usize = 4 * 1024;
/// The longest line that frames a chunk.
const FRAME_LINE: usize = 4 * 1024;

/// What has come of a body, and how it ends.
#[derive(Clone, Debug)]
pub(super) struct Body {
    framing: Framing,
    start: Vec<u8>,
    received: usize,
}

#[derive(Clone, Debug)]
enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

#[derive(Clone, Debug)]
enum Chunk {
    /// Reading the line with the chunk's size.
    Size(Vec<u8>),
    /// So many bytes of data are to come.
    Data(u64),
    /// Reading the line end after the data.
    DataEnd,
    /// Reading trailer fields, each a line of so many bytes until now.
    Trailer(usize),
    Complete,
}

impl Body {
    /// The body that follows a head (RFC 9112 §6.3). Lengths that contradict each other are not believed.
    pub(super) fn of(head: &Head) -> Self {
        let mut lengths = head.values("content-length").flat_map(|value| value.split(',')).map(str::trim);
        let framing = if head.value("transfer-encoding").is_some() {
            if head.lists("transfer-encoding", "chunked") {
                Framing::Chunked(Chunk::Size(Vec::new()))
            } else {
                Framing::UntilClose
            }
        } else if matches!(head.status, 204 | 304) {
            Framing::Length(0)
        } else {
            match lengths.next() {
                Some(first) if lengths.all(|other| other == first) => {
                    parse_size(first, 10).map_or(Framing::UntilClose, Framing::Length)
                }
                _ => Framing::UntilClose,
            }
        };
        Self { framing, start: Vec::new(), received: 0 }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunk::Complete))
    }

    /// Whether it is, or is known to become, longer than this. One without an end is.
    pub(super) fn is_longer_than(&self, limit: usize) -> bool {
        let to_come = match self.framing {
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => left,
            Framing::Chunked(_) => 0,
            Framing::UntilClose => return true,
        };
        to_come.saturating_add(self.received as u64) > limit as u64
    }

    /// The first bytes that have come, framing removed.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// How many bytes have come, framing included.
    pub(super) fn received(&self) -> usize {
        self.received
    }

    /// How much may be taken off the stream.
    pub(super) fn limit(&self) -> Limit {
        match self.framing {
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => {
                Limit::Bytes(usize::try_from(left).unwrap_or(usize::MAX))
            }
            Framing::Chunked(_) | Framing::UntilClose => Limit::Unknown,
        }
    }

    /// Takes what belongs to the body.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_complete() {
            taken += self.receive_piece(&bytes[taken..])?;
        }
        self.received = self.received.saturating_add(taken);
        Ok(taken)
    }

    /// Takes a piece of data, or one byte of framing.
    fn receive_piece(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let byte = bytes[0];
        match &mut self.framing {
            Framing::UntilClose => {
                self.keep(bytes);
                return Ok(bytes.len());
            }
            Framing::Length(left) => {
                let piece = piece(bytes, left);
                self.keep(piece);
                return Ok(piece.len());
            }
            Framing::Chunked(Chunk::Data(left)) => {
                let piece = piece(bytes, left);
                if *left == 0 {
                    self.framing = Framing::Chunked(Chunk::DataEnd);
                }
                self.keep(piece);
                return Ok(piece.len());
            }
            Framing::Chunked(chunk) => chunk.receive_framing(byte)?,
        }
        Ok(1)
    }

    /// Reads no more of it.
    pub(super) fn give_up(&mut self) {
        self.framing = Framing::Length(0);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT - self.start.len();
        self.start.extend(&bytes[..bytes.len().min(room)]);
    }
}

impl Chunk {
    fn receive_framing(&mut self, byte: u8) -> Result<(), Error> {
        *self = match (&mut *self, byte) {
            (Self::Size(line), b'\n') => match parse_chunk_size(line) {
                None => return Err(Error::MalformedHttp("a chunk without a size".into())),
                Some(0) => Self::Trailer(0),
                Some(size) => Self::Data(size),
            },
            (Self::Size(line), byte) => {
                line.push(byte);
                if line.len() > FRAME_LINE {
                    return Err(Error::MalformedHttp("an endless chunk size".into()));
                }
                return Ok(());
            }
            (Self::DataEnd | Self::Trailer(_), b'\r') | (Self::Data(_) | Self::Complete, _) => return Ok(()),
            (Self::DataEnd, b'\n') => Self::Size(Vec::new()),
            (Self::DataEnd, _) => return Err(Error::MalformedHttp("a chunk longer than its size".into())),
            (Self::Trailer(0), b'\n') => Self::Complete,
            (Self::Trailer(_), b'\n') => Self::Trailer(0),
            (Self::Trailer(length), _) => Self::Trailer(*length + 1),
        };
        Ok(())
    }
}

/// As much of `bytes` as is left, which becomes less.
fn piece<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= length as u64;
    &bytes[..length]
}

/// `size [;extension] CR LF`, in hexadecimal.
fn parse_chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    parse_size(text.split(';').next()?.trim(), 16)
}

fn parse_size(text: &str, radix: u32) -> Option<u64> {
    // No sign, which from_str_radix would take.
    if !text.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(text, radix).ok()
}

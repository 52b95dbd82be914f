//! Parses the body of a response that does not open a tunnel: finds its end and keeps its start
//! (RFC 9112 §6 and §7.1).

use super::super::Error;
use super::head::Head;

/// The maximum number of body bytes to keep for display.
pub(in crate::proto) const MAX_KEPT: usize = 4 * 1024;
/// The maximum length of a chunk-size line.
const MAX_SIZE_LINE: usize = 4 * 1024;

/// A body that is being received.
#[derive(Clone, Debug)]
pub(in crate::proto) struct Body {
    framing: Framing,
    start: Vec<u8>,
    max_kept: usize,
    received: usize,
}

#[derive(Clone, Debug)]
enum Framing {
    /// The number of bytes left.
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

#[derive(Clone, Debug)]
enum Chunk {
    /// Reading the chunk-size line.
    Size(Vec<u8>),
    /// The number of data bytes left.
    Data(u64),
    /// Reading the CR LF after the data.
    DataEnd,
    /// Reading the trailer fields; holds the length of the current line so far.
    Trailer(usize),
    Complete,
}

impl Body {
    /// Determines the framing from the head (RFC 9112 §6.3). If the lengths conflict or are
    /// invalid, the body ends at EOF.
    pub(in crate::proto) fn from_head(head: &Head) -> Self {
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
        Self { framing, start: Vec::new(), max_kept: MAX_KEPT, received: 0 }
    }

    /// Sets the number of bytes to keep.
    pub(in crate::proto) fn keeping(mut self, max: usize) -> Self {
        self.max_kept = max;
        if let Framing::Length(length) = self.framing {
            self.start.reserve(usize::try_from(length).unwrap_or(usize::MAX).min(max));
        }
        self
    }

    /// Returns `true` if only the end of the connection ends the body.
    pub(in crate::proto) fn ends_at_eof(&self) -> bool {
        matches!(self.framing, Framing::UntilClose)
    }

    /// Returns the start of the content, without chunk framing.
    pub(in crate::proto) fn into_start(self) -> Vec<u8> {
        self.start
    }

    /// Returns a body without bytes, for the response to HEAD.
    pub(super) fn empty() -> Self {
        Self { framing: Framing::Length(0), start: Vec::new(), max_kept: MAX_KEPT, received: 0 }
    }

    pub(in crate::proto) fn is_complete(&self) -> bool {
        matches!(self.framing, Framing::Length(0) | Framing::Chunked(Chunk::Complete))
    }

    /// Returns `true` if the body is already known to be longer than `limit`. Always `true` for a
    /// body that ends at EOF.
    pub(super) fn is_longer_than(&self, limit: usize) -> bool {
        let remaining = match self.framing {
            Framing::Length(left) | Framing::Chunked(Chunk::Data(left)) => left,
            Framing::Chunked(_) => 0,
            Framing::UntilClose => return true,
        };
        remaining.saturating_add(self.received as u64) > limit as u64
    }

    /// Returns the start of the content, at most [`MAX_KEPT`] bytes unless
    /// [`keeping`](Self::keeping) was called, without chunk framing.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// Returns the number of bytes received, chunk framing included.
    pub(in crate::proto) fn received(&self) -> usize {
        self.received
    }

    /// Processes received bytes and returns how many of them belong to the body.
    pub(in crate::proto) fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_complete() {
            taken += self.receive_part(&bytes[taken..])?;
        }
        self.received = self.received.saturating_add(taken);
        Ok(taken)
    }

    /// Processes a run of data bytes, or one byte of framing.
    fn receive_part(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let byte = bytes[0];
        match &mut self.framing {
            Framing::UntilClose => {
                self.keep(bytes);
                return Ok(bytes.len());
            }
            Framing::Length(left) => {
                let data = split_data(bytes, left);
                self.keep(data);
                return Ok(data.len());
            }
            Framing::Chunked(Chunk::Data(left)) => {
                let data = split_data(bytes, left);
                if *left == 0 {
                    self.framing = Framing::Chunked(Chunk::DataEnd);
                }
                self.keep(data);
                return Ok(data.len());
            }
            Framing::Chunked(chunk) => chunk.receive_framing(byte)?,
        }
        Ok(1)
    }

    /// Treats the body as complete, because its framing is malformed.
    pub(in crate::proto) fn abandon(&mut self) {
        self.framing = Framing::Length(0);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.max_kept - self.start.len();
        self.start.extend(&bytes[..bytes.len().min(room)]);
    }
}

impl Chunk {
    fn receive_framing(&mut self, byte: u8) -> Result<(), Error> {
        *self = match (&mut *self, byte) {
            (Self::Size(line), b'\n') => match parse_chunk_size(line) {
                None => return Err(Error::MalformedHttp("chunk without a size".into())),
                Some(0) => Self::Trailer(0),
                Some(size) => Self::Data(size),
            },
            (Self::Size(line), byte) => {
                line.push(byte);
                if line.len() > MAX_SIZE_LINE {
                    return Err(Error::MalformedHttp("chunk-size line too long".into()));
                }
                return Ok(());
            }
            (Self::DataEnd | Self::Trailer(_), b'\r') | (Self::Data(_) | Self::Complete, _) => return Ok(()),
            (Self::DataEnd, b'\n') => Self::Size(Vec::new()),
            (Self::DataEnd, _) => return Err(Error::MalformedHttp("chunk longer than its size".into())),
            (Self::Trailer(0), b'\n') => Self::Complete,
            (Self::Trailer(_), b'\n') => Self::Trailer(0),
            (Self::Trailer(length), _) => Self::Trailer(*length + 1),
        };
        Ok(())
    }
}

/// Returns the part of `bytes` that is data, and subtracts its length from `left`.
fn split_data<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= length as u64;
    &bytes[..length]
}

/// Parses `size [;extension] CR`, where the size is hexadecimal.
fn parse_chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    parse_size(text.split(';').next()?.trim(), 16)
}

fn parse_size(text: &str, radix: u32) -> Option<u64> {
    // from_str_radix would accept a sign.
    if !text.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(text, radix).ok()
}

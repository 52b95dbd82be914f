//! The identification lines (RFC 4253 §4.2).

use crate::ssh::algorithms::Role;
use crate::ssh::error::Error;
use crate::text::printable;

/// The longest identification line, with its line end.
const MAX_LINE: usize = 255;

/// The most lines, and bytes in them, that a server may send before its identification.
const MAX_LINES_BEFORE: usize = 20;
const MAX_BYTES_BEFORE: usize = 8 * 1024;

/// The most bytes of another answer that are shown.
const SHOWN: usize = 60;

/// The identification of both sides.
#[derive(Debug)]
pub(super) struct Identification {
    role: Role,
    own: Vec<u8>,
    peer: Option<Vec<u8>>,
    lines_before: usize,
    bytes_before: usize,
    /// The beginning of the peer's first line, for messages.
    first_line: Option<Vec<u8>>,
}

impl Identification {
    pub(super) fn new(role: Role, software: &str) -> Self {
        let own = format!("SSH-2.0-{software}").into_bytes();
        Self { role, own, peer: None, lines_before: 0, bytes_before: 0, first_line: None }
    }

    /// Returns this side's line, without its end.
    pub(super) fn own(&self) -> &[u8] {
        &self.own
    }

    /// Returns this side's line.
    pub(super) fn line(&self) -> Vec<u8> {
        [&self.own[..], b"\r\n"].concat()
    }

    /// Returns the peer's line, without its end.
    pub(super) fn peer(&self) -> Option<&[u8]> {
        self.peer.as_deref()
    }

    /// Reads lines up to the identification, and returns how many bytes belong to them.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut taken = 0;
        while self.peer.is_none() {
            let rest = &bytes[taken..];
            let is_candidate = rest.starts_with(&b"SSH-"[..rest.len().min(4)]);
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                let limit = if is_candidate { MAX_LINE } else { MAX_BYTES_BEFORE - self.bytes_before };
                let may_precede = is_candidate || self.role == Role::Client;
                return if may_precede && rest.len() < limit { Ok(taken) } else { Err(self.not_ssh(rest)) };
            };
            let line = &rest[..end];
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            taken += end + 1;
            if line.starts_with(b"SSH-") && end < MAX_LINE {
                self.accept(text)?;
                continue;
            }
            self.lines_before += 1;
            self.bytes_before += end + 1;
            self.first_line.get_or_insert_with(|| text[..text.len().min(SHOWN)].to_vec());
            let is_allowed = self.role == Role::Client
                && self.lines_before <= MAX_LINES_BEFORE
                && self.bytes_before < MAX_BYTES_BEFORE;
            if !is_allowed {
                return Err(self.not_ssh(text));
            }
        }
        Ok(taken)
    }

    fn accept(&mut self, line: &[u8]) -> Result<(), Error> {
        if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
            if line.contains(&0) {
                return Err(self.not_ssh(line));
            }
            self.peer = Some(line.to_vec());
            return Ok(());
        }
        Err(if line.starts_with(b"SSH-1.") { Error::Version1 } else { self.not_ssh(line) })
    }

    /// Returns the error for a peer that has sent this line, or one before it.
    pub(super) fn not_ssh(&self, line: &[u8]) -> Error {
        let line = self.first_line.as_deref().unwrap_or(line);
        Error::NotSsh(printable(&line[..line.len().min(SHOWN)]))
    }

    /// Returns the error for the end of the connection before the identification.
    pub(super) fn closed(&self) -> Error {
        self.first_line.as_ref().map_or(Error::Closed, |line| self.not_ssh(line))
    }
}

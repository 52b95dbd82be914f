//! Received bytes: lines, answers and data.

use super::Error;
use crate::ssh::sftp::buffer::Buffer;

/// The longest line, for a path of 4 KiB and some words.
const MAX_LINE: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Input(Buffer);

/// The answer to a record or a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ok,
    /// This file has failed, and the copy continues.
    Warning(Vec<u8>),
}

impl Input {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.end().extend_from_slice(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.rest().is_empty()
    }

    /// Takes at most `max` bytes of data.
    pub(super) fn data(&mut self, max: u64) -> &[u8] {
        let range = self.0.take(usize::try_from(max).unwrap_or(usize::MAX));
        self.0.bytes(range)
    }

    /// Takes a line without its newline; `None` if it is incomplete.
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>, Error> {
        let shown = self.0.rest();
        let shown = &shown[..shown.len().min(MAX_LINE)];
        let Some(length) = shown.iter().position(|byte| *byte == b'\n') else {
            return if shown.len() < MAX_LINE { Ok(None) } else { Err(Error::TooLong) };
        };
        let line = self.0.take(length + 1);
        Ok(Some(self.0.bytes(line.start..line.start + length)))
    }

    /// Returns the next byte and leaves it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.rest().first().copied()
    }

    /// Takes an answer; `None` if it is incomplete.
    pub(super) fn answer(&mut self) -> Result<Option<Answer>, Error> {
        let Some(first) = self.peek() else { return Ok(None) };
        if first == 0 {
            self.data(1);
            return Ok(Some(Answer::Ok));
        }
        let Some(line) = self.line()? else { return Ok(None) };
        match first {
            1 => Ok(Some(Answer::Warning(line[1..].to_vec()))),
            2 => Err(Error::Fatal(line[1..].to_vec())),
            _ => Err(Error::NotScp(line.to_vec())),
        }
    }
}

/// Appends a warning, or an error that ends the copy.
pub(super) fn put_error(output: &mut Vec<u8>, is_fatal: bool, text: &str) {
    output.push(if is_fatal { 2 } else { 1 });
    output.extend_from_slice(b"scp: ");
    output.extend(text.bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
    output.push(b'\n');
}

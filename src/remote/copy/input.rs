//! Standard input as a file to send.

/// Bytes of standard input that were read and not yet sent.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    has_ended: bool,
    is_started: bool,
}

impl Input {
    /// Returns `true` the first time.
    pub(super) fn start(&mut self) -> bool {
        !std::mem::replace(&mut self.is_started, true)
    }

    /// Returns `true` if more bytes are needed.
    pub(super) fn is_wanted(&self) -> bool {
        self.bytes.is_empty() && !self.has_ended
    }

    /// Adds bytes; none at the end.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.has_ended |= bytes.is_empty();
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves bytes to the buffer. Returns their number, 0 at the end, and `None` if more must be
    /// read first.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.is_wanted() {
            return None;
        }
        let count = self.bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        Some(count)
    }
}

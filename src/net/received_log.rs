//! The debug log of what a proxy sends: complete lines or messages, so that a secret that arrives
//! in pieces is masked as well.

use crate::proto::Redactor;
use crate::trace;

/// Received bytes that are not logged yet. They are logged at the end of each line, or of the
/// message for a binary protocol. The protocols limit the size of both.
#[derive(Debug)]
pub(super) struct ReceivedLog {
    redactor: Redactor,
    is_text: bool,
    bytes: Vec<u8>,
    /// The end of each piece in `bytes`, in the order in which the pieces arrived.
    ends: Vec<usize>,
}

impl ReceivedLog {
    pub(super) fn new(redactor: Redactor, is_text: bool) -> Self {
        Self { redactor, is_text, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Adds received bytes, and logs the lines that are complete. Does nothing without `-d`.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if !trace::is_on() {
            return;
        }
        self.bytes.extend(bytes);
        if !self.is_text {
            self.ends.push(self.bytes.len());
        } else if bytes.contains(&b'\n') {
            let (lines, length) = self.redactor.redact_lines(&self.bytes);
            trace::received(&lines, true);
            self.bytes.drain(..length);
        }
    }

    /// Logs the rest. Call this when the message is complete or no more of it is expected.
    pub(super) fn flush(&mut self) {
        let (bytes, ends) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.ends));
        let shown = self.redactor.redact_start(&bytes);
        if self.is_text || shown != bytes {
            trace::received(&shown, self.is_text);
            return;
        }
        let mut start = 0;
        for end in ends {
            trace::received(&shown[start..end], false);
            start = end;
        }
    }
}

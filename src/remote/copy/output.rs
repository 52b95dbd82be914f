//! Received bytes for standard output.

/// Bytes that standard output has not taken.
#[derive(Debug, Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    /// Returns `true` if there are no bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Removes the first `count` bytes, which were written.
    pub(super) fn consume(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }
}

//! Replacement for splice(2) on systems that lack it. With it, the relay copies data through
//! memory.

use std::io;

use super::{Channel, SpliceMode};

/// Returns how to move bytes between two channels: always by copying.
#[must_use]
pub fn splice_mode(_: &Channel, _: &Channel) -> SpliceMode {
    SpliceMode::Copy
}

/// Fails. Never called, because [`splice_mode`] selects copying.
///
/// # Errors
/// Always `Unsupported`.
pub fn splice(_: &Channel, _: &Channel) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns `true` if the error means that splice(2) does not work between two descriptors.
#[must_use]
pub fn cannot_be_spliced(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Does nothing.
pub fn grow_pipe(_: &Channel, _: &Channel) {}

/// A pipe, which cannot be created here.
#[derive(Debug)]
pub enum Pipe {}

impl Pipe {
    /// Fails.
    ///
    /// # Errors
    /// Always `Unsupported`.
    pub fn new(_: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never called.
    pub fn grow(&mut self) {
        match *self {}
    }

    /// Never called.
    pub fn fill(&self, _: &Channel) -> io::Result<usize> {
        match *self {}
    }

    /// Never called.
    pub fn drain(&self, _: &Channel, _: usize) -> io::Result<usize> {
        match *self {}
    }

    /// Never called.
    pub fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

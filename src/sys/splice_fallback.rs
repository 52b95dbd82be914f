//! Stands in for splice(2) where the system has none.

use std::io;

use super::{Channel, SpliceMode};

/// How bytes can get from one channel to another.
#[must_use]
pub fn splice_mode(_: &Channel, _: &Channel) -> SpliceMode {
    SpliceMode::Copy
}

/// Never called: no route leads here.
///
/// # Errors
/// Always.
pub fn splice(_: &Channel, _: &Channel) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the error says that these descriptors cannot be spliced.
#[must_use]
pub fn cannot_be_spliced(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Never called.
pub fn grow_pipe(_: &Channel, _: &Channel) {}

/// There is none.
#[derive(Debug)]
pub enum Pipe {}

impl Pipe {
    /// There is none.
    ///
    /// # Errors
    /// Always.
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

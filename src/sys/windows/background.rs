//! Running in the background, which is not supported on Windows.

use std::convert::Infallible;
use std::io;

/// `true` if this system can run a process in the background.
pub const CAN_DETACH: bool = false;

/// A process that will run in the background. Never exists.
#[derive(Debug)]
pub struct Background(Infallible);

impl Background {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn start() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Does nothing.
    ///
    /// # Errors
    /// None.
    pub fn detach(self, _: &[u8]) -> io::Result<()> {
        match self.0 {}
    }
}

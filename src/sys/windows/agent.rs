//! The connection to an SSH agent.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Connects to the agent at this named pipe. Windows has no time limit for pipes.
///
/// # Errors
/// Nothing listens there.
pub fn connect_agent(path: &Path, _limit: Duration) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

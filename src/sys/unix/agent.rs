//! The connection to an SSH agent.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Connects to the agent at this socket. Each read and write takes at most `limit`.
///
/// # Errors
/// Nothing listens there.
pub fn connect_agent(path: &Path, limit: Duration) -> io::Result<impl Read + Write> {
    let socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(limit))?;
    socket.set_write_timeout(Some(limit))?;
    Ok(socket)
}

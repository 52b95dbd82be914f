//! Replaces SIGHUP, which does not exist on Windows.

use std::io;

/// Does nothing: no signal can request that files are read again.
///
/// # Errors
/// Never, on Windows.
pub fn reload_on_hangup() -> io::Result<()> {
    Ok(())
}

/// Returns 0, because no signal can request that files are read again.
#[must_use]
pub fn hangups() -> usize {
    0
}

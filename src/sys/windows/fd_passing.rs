//! Passing a connection to another process, which is not supported on Windows.

use std::io;

use super::Channel;

/// Checks that a connection can be passed over standard output.
///
/// # Errors
/// Always.
pub fn check_fd_passing() -> Result<(), &'static str> {
    Err("Windows cannot pass sockets over standard output")
}

/// Fails. Never called, because [`check_fd_passing`] fails first.
///
/// # Errors
/// Always `Unsupported`.
pub fn send_fd(_: &Channel) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

//! Inherited file descriptors and passed sockets, which do not exist on Windows.

use std::io::{self, Empty};
use std::ops::Range;

/// Fails: Windows has no numbered file descriptors for a child process to inherit.
///
/// # Errors
/// Always `Unsupported`.
pub fn read_inherited(_: u32) -> io::Result<Empty> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails: there is no systemd on Windows.
///
/// # Errors
/// Always.
pub fn passed_listeners(_: Option<&str>, _: Option<&str>) -> Result<Range<i32>, String> {
    Err("there is no systemd on Windows; name an address and a port".into())
}

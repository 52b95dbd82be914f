//! The user that runs the process at the other end of a UNIX-domain socket.

use std::io;
#[cfg(not(target_os = "linux"))]
use std::os::fd::{AsFd, AsRawFd};

use super::Channel;

/// Returns `true` if the process at the other end of a UNIX-domain socket runs as our user, or did
/// so when it created its end.
///
/// # Errors
/// The channel is not a UNIX-domain socket.
pub fn is_same_user(channel: &Channel) -> io::Result<bool> {
    Ok(peer_user(channel)? == rustix::process::geteuid().as_raw())
}

#[cfg(target_os = "linux")]
fn peer_user(channel: &Channel) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(channel)?.uid.as_raw())
}

#[cfg(not(target_os = "linux"))]
fn peer_user(channel: &Channel) -> io::Result<u32> {
    let (mut user, mut group) = (0, 0);
    // SAFETY: the descriptor is open, and both pointers are valid during the call.
    match unsafe { libc::getpeereid(channel.as_fd().as_raw_fd(), &raw mut user, &raw mut group) } {
        0 => Ok(user),
        _ => Err(io::Error::last_os_error()),
    }
}

//! The system floor: the only unsafe code, and the only code that knows which system it runs on.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, Socket};

mod command;
mod interfaces;
mod layer;
#[cfg(not(target_os = "linux"))]
mod splice_fallback;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod zeroizing_alloc;

pub use command::{run_within, scrub_env, shell};
pub use interfaces::{own_addresses, own_networks};
pub use layer::{LayerThread, clone_io_error, layered};
#[cfg(not(target_os = "linux"))]
pub use splice_fallback::{Pipe, cannot_be_spliced, grow_pipe, splice, splice_mode};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
pub use zeroizing_alloc::ZeroizingAllocator;

/// This end of a connection and the other one; nothing for what is no TCP connection.
#[must_use]
pub fn socket_addrs(channel: &Channel) -> Option<(SocketAddr, SocketAddr)> {
    let socket = SockRef::from(channel);
    Some((socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?))
}

/// Returns `true` if a non-blocking call failed only for now: retry it once poll reports the
/// descriptor ready (`EAGAIN`), or at once (`EINTR`).
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Returns why a non-blocking connect failed, or `None` if the socket is connected. An error of the query itself counts
/// as the reason, because such a socket is of no use either.
#[must_use]
pub fn connect_error(socket: &Socket) -> Option<io::Error> {
    socket.take_error().unwrap_or_else(Some)
}

/// Bytes that nobody can foretell; none if the system has none to give.
#[must_use]
pub fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// How bytes can get from one channel to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpliceMode {
    /// In one call: the sink is a pipe.
    IntoPipe,
    /// In one call: the source is a pipe.
    OutOfPipe,
    /// In two, with a pipe of our own between them.
    ThroughPipe,
    /// Through memory.
    Copy,
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_socket_whose_state_cannot_be_queried_is_a_failed_attempt_and_not_the_end_of_all() {
        let not_a_socket = OwnedFd::from(io::pipe().unwrap().1);
        assert!(connect_error(&Socket::from(not_a_socket)).is_some());
    }
}

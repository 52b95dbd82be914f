//! The system floor: the only unsafe code, and the only code that knows which system it runs on.
#![allow(unsafe_code)]

use std::net::SocketAddr;

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
pub use layer::{Layer, layered, same};
#[cfg(not(target_os = "linux"))]
pub use splice_fallback::{Pipe, cannot_be_spliced, route, splice, widen};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
pub use zeroizing_alloc::ZeroizingAllocator;

/// This end of a connection and the other one; nothing for what is no TCP connection.
#[must_use]
pub fn ends(channel: &Channel) -> Option<(SocketAddr, SocketAddr)> {
    let socket = socket2::SockRef::from(channel);
    Some((socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?))
}

/// Bytes that nobody can foretell; none if the system has none to give.
#[must_use]
pub fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// How bytes can get from one channel to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// In one call: the sink is a pipe.
    IntoPipe,
    /// In one call: the source is a pipe.
    OutOfPipe,
    /// In two, with a pipe of our own between them.
    ThroughPipe,
    /// Through memory.
    Copy,
}

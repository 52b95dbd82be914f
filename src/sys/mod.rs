//! The operating-system layer: all unsafe code, and all code that differs between systems.
#![allow(unsafe_code)]

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};

mod command;
mod interfaces;
#[cfg(not(target_os = "linux"))]
mod poller_fallback;
mod source;
#[cfg(not(target_os = "linux"))]
mod splice_fallback;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod zeroizing_alloc;

#[cfg(feature = "ssh")]
pub use command::output_within;
pub use command::{Program, run_for_output, run_within};
pub use interfaces::{InterfaceAddress, bind_to_interface, interface_addresses, own_addresses, own_networks};
#[cfg(not(target_os = "linux"))]
pub use poller_fallback::{Poller, PollerEvents};
pub use source::{Source, source};
#[cfg(not(target_os = "linux"))]
pub use splice_fallback::{Pipe, cannot_be_spliced, grow_pipe, splice, splice_mode};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
pub use zeroizing_alloc::{ZeroizingAllocator, can_allocate, share_heap, try_buffer};

/// Minimum number of bytes that a pipe has room for when poll reports it writable
/// (`PIPE_BUF` on Linux; POSIX guarantees 512).
pub const PIPE_ROOM: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// A client that a [`Listener`] has accepted.
#[derive(Debug)]
pub struct Client {
    /// The connection to the client.
    pub channel: Channel,
    /// The client's name, for messages.
    pub name: String,
    /// Our address and the client's; `None` for a client of a UNIX-domain socket. They are recorded
    /// when the client is accepted, because they can no longer be queried once the connection has
    /// been reset.
    pub addrs: Option<(SocketAddr, SocketAddr)>,
}

impl Ready {
    /// Returns the events of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            write: self.write || other.write,
            gone: self.gone || other.gone,
        }
    }
}

/// The number of keep-alive probes without an answer that break a connection.
const KEEP_ALIVE_PROBES: u32 = 5;

/// Makes TCP probe a peer that has sent nothing for `idle`, and then every quarter of that time.
/// The connection breaks if several probes in a row remain unanswered. `None` disables the probes.
///
/// Errors are ignored, because the session works without probes. Some systems refuse the option if
/// a client is already gone, and some lack one of the settings and use their own.
pub fn set_keep_alive<'a>(socket: impl Into<SockRef<'a>>, idle: Option<Duration>) {
    let socket = socket.into();
    let Some(idle) = idle else {
        let _ = socket.set_keepalive(false);
        return;
    };
    let settings = TcpKeepalive::new().with_time(idle);
    #[cfg(not(target_os = "openbsd"))]
    let settings =
        settings.with_interval((idle / 4).max(Duration::from_secs(1))).with_retries(KEEP_ALIVE_PROBES);
    let _ = socket.set_tcp_keepalive(&settings);
}

/// Returns the local and the remote address of a TCP connection. `None` for other channels.
#[must_use]
pub fn socket_addrs(channel: &Channel) -> Option<(SocketAddr, SocketAddr)> {
    let socket = SockRef::from(channel);
    Some((socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?))
}

/// Ends both directions of a connected socket, which wakes up all threads that wait for it.
pub fn disconnect(channel: &Channel) {
    // An error means that the other end has done so already.
    let _ = SockRef::from(channel).shutdown(Shutdown::Both);
}

/// Returns `true` if a non-blocking call failed only temporarily: retry it once poll reports the
/// descriptor ready (`EAGAIN`), or at once (`EINTR`).
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Returns `true` if a call failed because the kernel of this machine lacks memory. No peer can
/// cause that.
#[must_use]
pub fn is_out_of_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error() == Some(NO_BUFFER_SPACE)
}

/// Returns the error from a non-blocking connect, or `None` if the socket is connected. If the
/// query itself fails, returns the query's error, because the socket is unusable in that case, too.
#[must_use]
pub fn connect_error(socket: &Socket) -> Option<io::Error> {
    socket.take_error().unwrap_or_else(Some)
}

/// Returns unpredictable bytes, or `None` if the system cannot provide any.
#[must_use]
pub fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// Copies an error, because `io::Error` is not `Clone`. The copy of a custom error keeps only its
/// kind and text.
#[must_use]
pub fn clone_io_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// The way in which splice(2) can move bytes between two channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpliceMode {
    /// In one call, because the sink is a pipe.
    IntoPipe,
    /// In one call, because the source is a pipe.
    OutOfPipe,
    /// In two calls, through a pipe of our own.
    ThroughPipe,
    /// Not at all: copy through memory.
    Copy,
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_failed_query_for_the_socket_error_is_a_failed_attempt() {
        let not_a_socket = OwnedFd::from(io::pipe().unwrap().1);
        assert!(connect_error(&Socket::from(not_a_socket)).is_some());
    }
}

//! Descriptors and sockets as numbers, for pollers.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

use super::Channel;

/// The number of a descriptor.
#[cfg(unix)]
pub type Source = RawFd;
/// The handle of a socket.
#[cfg(windows)]
pub type Source = RawSocket;

/// Returns the descriptor of a channel.
#[must_use]
pub fn source(channel: &Channel) -> Source {
    #[cfg(unix)]
    return channel.as_fd().as_raw_fd();
    #[cfg(windows)]
    return channel.as_socket().as_raw_socket();
}

/// Lends a source to a function that only passes it to the kernel.
#[cfg(unix)]
pub(in crate::sys) fn borrow<'a>(source: Source) -> BorrowedFd<'a> {
    // SAFETY: the caller of the poller guarantees that the channel is still open. If it is not, the
    // kernel reports an error.
    unsafe { BorrowedFd::borrow_raw(source) }
}

/// Lends a source to a function that only passes it to the system.
#[cfg(windows)]
pub(in crate::sys) fn borrow<'a>(source: Source) -> BorrowedSocket<'a> {
    // SAFETY: the caller of the poller guarantees that the channel is still open. If it is not, the
    // system reports an error.
    unsafe { BorrowedSocket::borrow_raw(source) }
}

//! Passes a connection to the process at the other end of standard output: a file descriptor in an
//! `SCM_RIGHTS` message (unix(7)), as ssh expects with `ProxyUseFdpass`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, getsockname, sendmsg,
};

use super::{Channel, entry};

/// Checks that a connection can be passed over standard output.
///
/// # Errors
/// Standard output is closed, or it is not a UNIX-domain socket.
pub fn check_fd_passing() -> Result<(), &'static str> {
    if !entry::was_open(1) {
        return Err("standard output is closed");
    }
    match getsockname(rustix::stdio::stdout()) {
        Ok(address) if address.address_family() == AddressFamily::UNIX => Ok(()),
        _ => Err("standard output is not a UNIX-domain socket"),
    }
}

/// Passes a connection over standard output, together with the one byte that a message must
/// contain. First makes the socket blocking, because the receiver shares its non-blocking flag and
/// expects a blocking socket.
///
/// # Errors
/// sendmsg(2) failed; `BrokenPipe` if the receiver is gone.
pub fn send_fd(connection: &Channel) -> io::Result<()> {
    rustix::io::ioctl_fionbio(connection, false)?;
    let descriptors = [connection.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    // Cannot fail: `space` has room for one descriptor.
    message.push(SendAncillaryMessage::ScmRights(&descriptors));
    let stdout = rustix::stdio::stdout();
    loop {
        match sendmsg(stdout, &[IoSlice::new(&[0])], &mut message, SendFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // Standard output was non-blocking at program start.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

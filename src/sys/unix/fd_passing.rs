//! Handing a connection to the process at the other end of standard output: a descriptor in a message
//! (`SCM_RIGHTS`, unix(7)), as ssh wants it for `ProxyUseFdpass`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, getsockname, sendmsg,
};

use super::{Channel, entry};

/// Why no connection can be handed over standard output, if none can.
///
/// # Errors
/// It is closed, or no UNIX-domain socket.
pub fn check_fd_passing() -> Result<(), &'static str> {
    if !entry::was_open(1) {
        return Err("standard output is closed");
    }
    match getsockname(rustix::stdio::stdout()) {
        Ok(address) if address.address_family() == AddressFamily::UNIX => Ok(()),
        _ => Err("standard output is not a UNIX-domain socket"),
    }
}

/// Hands a connection over standard output, with one byte, since a message must have one. It is made blocking again:
/// the flag goes with it, and that is what everybody expects of a socket.
///
/// # Errors
/// What sendmsg(2) says; `BrokenPipe` if nobody is left to take it.
pub fn send_fd(connection: &Channel) -> io::Result<()> {
    rustix::io::ioctl_fionbio(connection, false)?;
    let descriptors = [connection.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    // There is room for exactly this one.
    message.push(SendAncillaryMessage::ScmRights(&descriptors));
    let stdout = rustix::stdio::stdout();
    loop {
        match sendmsg(stdout, &[IoSlice::new(&[0])], &mut message, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            // It was given to us non-blocking.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

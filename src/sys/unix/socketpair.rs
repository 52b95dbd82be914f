//! Pairs of connected sockets.

use std::io;

use socket2::{Domain, Socket, Type};

use super::Channel;

/// Creates two channels that are connected to each other.
pub(in crate::sys) fn pair() -> io::Result<(Channel, Channel)> {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((Channel::socket(ours), Channel::socket(theirs)))
}

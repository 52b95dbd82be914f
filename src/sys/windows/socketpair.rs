//! Two sockets that are connected to each other.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::Channel;
use super::listener::accept;

/// A pair of channels.
pub(in crate::sys) fn pair() -> io::Result<(Channel, Channel)> {
    let (ours, theirs) = streams()?;
    Ok((Channel::socket(ours), Channel::socket(theirs)))
}

/// A pair of connected sockets. Windows has no `socketpair`: it is a connection over loopback, and whoever else
/// connects in between is turned away.
pub(super) fn streams() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    let wanted = ours.local_addr()?;
    loop {
        let (theirs, from) = accept(&listener)?;
        if from == wanted {
            ours.set_nodelay(true)?;
            theirs.set_nodelay(true)?;
            return Ok((ours, theirs));
        }
    }
}

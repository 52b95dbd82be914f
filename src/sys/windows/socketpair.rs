//! Pairs of connected sockets.

use std::io;
use std::net::{Ipv4Addr, TcpStream};

use super::tcp::{accept, bind_tcp};

/// Creates a pair of connected sockets. Windows has no `socketpair`, so this connects them over
/// loopback and drops connections from other processes.
pub(super) fn socket_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = bind_tcp((Ipv4Addr::LOCALHOST, 0).into())?;
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

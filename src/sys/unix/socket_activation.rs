//! Sockets that systemd has opened for us, from descriptor 3 on (`sd_listen_fds(3)`).

use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};
use std::path::PathBuf;
use std::{io, process};

use rustix::net::{AddressFamily, SocketType, getsockname, sockopt};
use socket2::Socket;

use super::Listener;

const FIRST: RawFd = 3;

/// The descriptors of the sockets that were passed to this process, by the values of `LISTEN_PID` and `LISTEN_FDS`. No
/// program that we start inherits them.
///
/// # Errors
/// There are none, or clients cannot come in by one of them.
pub fn passed_listeners(pid: Option<&str>, count: Option<&str>) -> Result<Range<RawFd>, String> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Err("systemd has passed no sockets; start connect by a .socket unit, or by hand with \
            systemd-socket-activate -l 1080 connect …"
            .into());
    };
    let own = process::id();
    if pid.parse() != Ok(own) {
        return Err(format!(
            "the sockets were passed to process {pid} and not to this one, {own}; let a shell in between say exec"
        ));
    }
    let count = count.parse::<u16>().ok().filter(|count| *count > 0);
    let count = count.ok_or("LISTEN_FDS is not a number of sockets")?;
    let numbers = FIRST..FIRST + RawFd::from(count);
    for number in numbers.clone() {
        keep(number).map_err(|what| format!("descriptor {number} {what}"))?;
    }
    Ok(numbers)
}

/// Keeps a socket from the programs that we start, and says why it is not one where clients come in.
fn keep(number: RawFd) -> Result<(), &'static str> {
    // SAFETY: fcntl with F_SETFD changes a flag of a descriptor; it fails if there is none.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err("is not open, although LISTEN_FDS counts it");
    }
    // SAFETY: it is open, and nobody closes it before it is taken over.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let Ok(address) = getsockname(socket) else { return Err("is no socket") };
    let is_ours =
        [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX].contains(&address.address_family());
    if !is_ours || sockopt::socket_type(socket) != Ok(SocketType::STREAM) {
        return Err("is no stream socket of TCP or of UNIX; let the unit say ListenStream=");
    }
    if !listens(socket) {
        return Err(
            "is a connection: with Accept=yes the unit has StandardInput=socket, and connect no --listen",
        );
    }
    Ok(())
}

/// Apple's systems do not tell.
fn listens(socket: BorrowedFd<'_>) -> bool {
    #[cfg(not(target_vendor = "apple"))]
    return sockopt::socket_acceptconn(socket) == Ok(true);
    #[cfg(target_vendor = "apple")]
    return rustix::net::getpeername(socket).is_err();
}

impl Listener {
    /// Takes over a socket that [`passed_listeners`] has found; once.
    ///
    /// # Errors
    /// It cannot be made non-blocking.
    pub fn passed(number: RawFd) -> io::Result<Self> {
        // SAFETY: it is open, and was passed to be taken over: nobody else here has it.
        let socket = unsafe { Socket::from_raw_fd(number) };
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        if !address.is_unix() {
            return Ok(Self::Tcp(socket.into()));
        }
        let path = address.as_pathname().map_or_else(|| "(no path)".into(), PathBuf::from);
        Ok(Self::Unix { listener: socket.into(), path, is_ours: false })
    }
}

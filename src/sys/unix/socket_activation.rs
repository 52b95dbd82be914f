//! Socket activation: listening sockets that systemd passes as descriptors 3 and up
//! (`sd_listen_fds(3)`).

use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd, RawFd};
use std::path::PathBuf;
use std::{io, process};

use rustix::net::{AddressFamily, SocketType, getsockname, sockopt};
use socket2::Socket;

use super::Listener;

/// `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;

/// Returns the descriptors of the sockets that were passed to this process. `pid` and `count` are
/// the values of `LISTEN_PID` and `LISTEN_FDS`.
///
/// # Errors
/// No sockets were passed, or one of them is not a listening stream socket.
pub fn passed_listeners(pid: Option<&str>, count: Option<&str>) -> Result<Range<RawFd>, String> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Err("systemd passed no sockets; start connect from a .socket unit, or by hand with \
            systemd-socket-activate -l 1080 connect …"
            .into());
    };
    let own = process::id();
    if pid.parse() != Ok(own) {
        return Err(format!(
            "the sockets were passed to process {pid}, not to this one ({own}); use exec if a shell starts connect"
        ));
    }
    let count = count.parse::<u16>().ok().filter(|count| *count > 0);
    let count = count.ok_or("LISTEN_FDS is not a positive number")?;
    let numbers = FIRST..FIRST + RawFd::from(count);
    for number in numbers.clone() {
        check_listener(number).map_err(|problem| format!("descriptor {number} {problem}"))?;
    }
    Ok(numbers)
}

/// Checks that a descriptor is a listening stream socket.
fn check_listener(number: RawFd) -> Result<(), &'static str> {
    // SAFETY: F_GETFD only reads a descriptor's flags, and fails if the descriptor is closed.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err("is not open, although LISTEN_FDS includes it");
    }
    // SAFETY: the descriptor is open, and is not closed before `Listener::passed` takes ownership
    // of it.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let Ok(address) = getsockname(socket) else { return Err("is not a socket") };
    let is_supported =
        [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX].contains(&address.address_family());
    if !is_supported || sockopt::socket_type(socket) != Ok(SocketType::STREAM) {
        return Err("is not a TCP or UNIX-domain stream socket; use ListenStream= in the unit");
    }
    if !is_listening(socket) {
        return Err("is a connection, not a listening socket; \
            with Accept=yes use StandardInput=socket in the unit, and no --listen");
    }
    Ok(())
}

/// Returns `true` if the socket is listening. Apple systems lack `SO_ACCEPTCONN`, so there we
/// assume that a socket without a peer is a listener.
fn is_listening(socket: BorrowedFd<'_>) -> bool {
    #[cfg(not(target_vendor = "apple"))]
    return sockopt::socket_acceptconn(socket) == Ok(true);
    #[cfg(target_vendor = "apple")]
    return rustix::net::getpeername(socket).is_err();
}

impl Listener {
    /// Takes ownership of a descriptor that [`passed_listeners`] returned. Must be called only once
    /// per descriptor.
    ///
    /// # Errors
    /// The socket could not be made non-blocking.
    pub fn passed(number: RawFd) -> io::Result<Self> {
        // SAFETY: the descriptor is open, and nothing else in this process owns it.
        let socket = unsafe { Socket::from_raw_fd(number) };
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        if !address.is_unix() {
            return Ok(Self::Tcp(socket.into()));
        }
        let path = address.as_pathname().map_or_else(|| "(no path)".into(), PathBuf::from);
        Ok(Self::Unix { listener: socket.into(), path, created: None })
    }
}

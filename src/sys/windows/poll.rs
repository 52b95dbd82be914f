//! Waiting for sockets. Nothing else can be waited for together on Windows; see [`Channel`](super::Channel).

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use windows_sys::Win32::Networking::WinSock::{
    FD_SET, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SOCKET_ERROR, TIMEVAL, WSAEWOULDBLOCK,
    WSAPOLLFD, WSAPoll, select,
};

/// A socket and what is waited for on it. That its other end is gone is reported in any case.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Watch<'a> {
    raw: WSAPOLLFD,
    socket: PhantomData<BorrowedSocket<'a>>,
}

/// Whether [`Ready::gone`] tells that a reader has left before anything is written to it. A hang-up is no more than
/// a peer's half-close here.
pub const HANGUP_IS_GONE: bool = false;
/// The pause after a hang-up that nobody asked about, which would be reported again at once.
const PAUSE: Duration = Duration::from_millis(10);
/// How often to look whether a connect has failed: before its version 2004, Windows 10 does not tell `WSAPoll`.
const GLANCE: Duration = Duration::from_millis(200);

impl Watch<'_> {
    /// Whether what was reported is what was waited for, or an error.
    fn is_asked(&self) -> bool {
        let hangup = if self.raw.events & POLLRDNORM == 0 { 0 } else { POLLHUP };
        self.raw.revents & (self.raw.events | POLLERR | POLLNVAL | hangup) != 0
    }

    /// Whether this waits for a connect, rather than for room.
    fn is_connecting(&self) -> bool {
        // SAFETY: the socket is borrowed, and thus open, as long as the Watch lives.
        let socket = unsafe { BorrowedSocket::borrow_raw(self.raw.fd as RawSocket) };
        self.raw.events == POLLWRNORM && SockRef::from(&socket).peer_addr().is_err()
    }

    /// Asks `select`, which tells of a failed connect everywhere. Returns whether it has failed.
    fn note_failed_connect(&mut self) -> bool {
        let mut failed = FD_SET { fd_count: 1, fd_array: [0; 64] };
        failed.fd_array[0] = self.raw.fd;
        let at_once = TIMEVAL { tv_sec: 0, tv_usec: 0 };
        // SAFETY: a set may be absent; the third holds one open socket; the number of sets is ignored.
        let found =
            unsafe { select(0, ptr::null_mut(), ptr::null_mut(), &raw mut failed, &raw const at_once) };
        if found == 1 {
            self.raw.revents = POLLERR;
        }
        found == 1
    }
}

/// What [`poll`](poll()) found out about one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Reading will not wait: there are bytes, the end, or an error.
    pub read: bool,
    /// Writing will not wait: there is room, or an error.
    pub write: bool,
    /// The other end is gone, or the socket is broken.
    pub gone: bool,
}

impl Ready {
    /// The result of the last [`poll`](poll()).
    #[must_use]
    pub fn of(watch: &Watch<'_>) -> Self {
        let has = |flags| watch.raw.revents & flags != 0;
        let gone = has(POLLERR | POLLNVAL);
        Self { read: gone || has(POLLRDNORM | POLLHUP), write: gone || has(POLLWRNORM), gone }
    }
}

/// Waits on a socket.
#[must_use]
pub fn watch<S: AsSocket>(socket: &S, read: bool, write: bool) -> Watch<'_> {
    let events = if read { POLLRDNORM } else { 0 } | if write { POLLWRNORM } else { 0 };
    // The lossless cast of a socket handle: both are the width of a pointer.
    let fd = socket.as_socket().as_raw_socket() as usize;
    Watch { raw: WSAPOLLFD { fd, events, revents: 0 }, socket: PhantomData }
}

/// Waits until one of the sockets is ready, or until `timeout` has passed; returns whether one is.
///
/// # Errors
/// What `WSAPoll` says.
pub fn poll(watches: &mut [Watch<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let count = u32::try_from(watches.len()).map_err(io::Error::other)?;
    let connecting = watches.iter().any(Watch::is_connecting);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let left = if connecting { Some(left.map_or(GLANCE, |left| left.min(GLANCE))) } else { left };
        // Rounded up: waking before the time would be a busy loop.
        let millis =
            left.map_or(-1, |left| i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        // SAFETY: a Watch is a WSAPOLLFD (repr(transparent)) of a socket that is borrowed and thus open; the count is
        // that of the slice.
        match unsafe { WSAPoll(watches.as_mut_ptr().cast(), count, millis) } {
            SOCKET_ERROR => return Err(io::Error::last_os_error()),
            0 if connecting && note_failed_connects(watches) => return Ok(true),
            0 if end.is_none_or(|end| Instant::now() < end) => {}
            0 => return Ok(false),
            _ if watches.iter().any(Watch::is_asked) => return Ok(true),
            _ => thread::sleep(PAUSE),
        }
    }
}

/// Notes all of them: several may have failed.
fn note_failed_connects(watches: &mut [Watch<'_>]) -> bool {
    let connecting = watches.iter_mut().filter(|watch| watch.is_connecting());
    connecting.fold(false, |any, watch| watch.note_failed_connect() || any)
}

/// Whether a connect that does not wait has begun, rather than failed.
#[must_use]
pub fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WSAEWOULDBLOCK)
}

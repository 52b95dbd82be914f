//! Waiting for sockets. Nothing else can be waited for together on Windows; see [`Channel`](super::Channel).

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket};
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Networking::WinSock::{
    POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SOCKET_ERROR, WSAEWOULDBLOCK, WSAPOLLFD, WSAPoll,
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

impl Watch<'_> {
    /// Whether what was reported is what was waited for, or an error.
    fn is_asked(&self) -> bool {
        let hangup = if self.raw.events & POLLRDNORM == 0 { 0 } else { POLLHUP };
        self.raw.revents & (self.raw.events | POLLERR | POLLNVAL | hangup) != 0
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
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        // Rounded up: waking before the time would be a busy loop.
        let millis =
            left.map_or(-1, |left| i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        // SAFETY: a Watch is a WSAPOLLFD (repr(transparent)) of a socket that is borrowed and thus open; the count is
        // that of the slice.
        match unsafe { WSAPoll(watches.as_mut_ptr().cast(), count, millis) } {
            SOCKET_ERROR => return Err(io::Error::last_os_error()),
            0 if end.is_none_or(|end| Instant::now() < end) => {}
            0 => return Ok(false),
            _ if watches.iter().any(Watch::is_asked) => return Ok(true),
            _ => thread::sleep(PAUSE),
        }
    }
}

/// Whether a connect that does not wait has begun, rather than failed.
#[must_use]
pub fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WSAEWOULDBLOCK)
}

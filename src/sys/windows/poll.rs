//! Waiting for sockets. Nothing else can be waited for together on Windows; see [`Channel`](super::Channel).

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use windows_sys::Win32::Networking::WinSock::{
    FD_SET, FD_SETSIZE, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLWRNORM, SOCKET_ERROR, TIMEVAL,
    WSAEWOULDBLOCK, WSAPOLLFD, WSAPoll, select,
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
/// How often to look again where one of the two calls below does not tell all.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);
/// The least that anything is waited for: the threads behind standard input and output need a moment to bring what
/// is there already.
const MIN_POLL: Duration = Duration::from_millis(50);

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
    pub fn from_watch(watch: &Watch<'_>) -> Self {
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
/// What `WSAPoll` or `select` says.
pub fn poll(watches: &mut [Watch<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout.max(MIN_POLL)));
    // Before its version 2004, Windows 10 does not tell in WSAPoll that a connect has failed.
    let is_connecting = watches.iter().any(Watch::is_connecting);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let glance = left.map_or(RECHECK_INTERVAL, |left| left.min(RECHECK_INTERVAL));
        if wsa_poll(watches, if is_connecting { Some(glance) } else { left })? {
            if watches.iter().any(Watch::is_asked) {
                return Ok(true);
            }
            // A hang-up that nobody asked about would be reported again at once. Select does not report it.
            let asking = |flag| set(watches.iter().filter(move |watch| watch.raw.events & flag != 0));
            select_sets(asking(POLLRDNORM), asking(POLLWRNORM), set([].iter()), glance)?;
        } else if is_connecting && note_failed_connects(watches)? {
            return Ok(true);
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            return Ok(false);
        }
    }
}

/// Returns whether there is something to report.
fn wsa_poll(watches: &mut [Watch<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let count = u32::try_from(watches.len()).map_err(io::Error::other)?;
    // Rounded up: waking before the time would be a busy loop.
    let millis =
        timeout.map_or(-1, |left| i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    // SAFETY: a Watch is a WSAPOLLFD (repr(transparent)) of a socket that is borrowed and thus open; the count is
    // that of the slice.
    match unsafe { WSAPoll(watches.as_mut_ptr().cast(), count, millis) } {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        count => Ok(count > 0),
    }
}

/// Notes which connects have failed, and returns whether any has. There may be several.
fn note_failed_connects(watches: &mut [Watch<'_>]) -> io::Result<bool> {
    let connecting = set(watches.iter().filter(|watch| watch.is_connecting()));
    let failed = select_sets(set([].iter()), set([].iter()), connecting, Duration::ZERO)?;
    let failed = failed.fd_array.get(..failed.fd_count as usize).unwrap_or_default();
    for watch in watches.iter_mut().filter(|watch| failed.contains(&watch.raw.fd)) {
        watch.raw.revents = POLLERR;
    }
    Ok(!failed.is_empty())
}

/// As many as a set can hold: more are never dialled at once.
fn set<'w, 'a: 'w>(watches: impl Iterator<Item = &'w Watch<'a>>) -> FD_SET {
    let mut set = FD_SET { fd_count: 0, fd_array: [0; FD_SETSIZE as usize] };
    for (slot, watch) in set.fd_array.iter_mut().zip(watches) {
        *slot = watch.raw.fd;
        set.fd_count += 1;
    }
    set
}

/// Waits for less than a second; returns the third set as `select` leaves it.
fn select_sets(
    mut read: FD_SET,
    mut write: FD_SET,
    mut failed: FD_SET,
    timeout: Duration,
) -> io::Result<FD_SET> {
    if read.fd_count + write.fd_count + failed.fd_count == 0 {
        thread::sleep(timeout);
        return Ok(failed);
    }
    let tv_usec = i32::try_from(timeout.as_micros()).map_err(io::Error::other)?;
    let timeout = TIMEVAL { tv_sec: 0, tv_usec };
    // SAFETY: the sets and the time are there until the call returns, the sets hold sockets that are borrowed, and the
    // first argument is ignored.
    match unsafe { select(0, &raw mut read, &raw mut write, &raw mut failed, &raw const timeout) } {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        _ => Ok(failed),
    }
}

/// Whether a connect that does not wait has begun, rather than failed.
#[must_use]
pub fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WSAEWOULDBLOCK)
}

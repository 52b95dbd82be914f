//! Waits for sockets to become ready. Windows cannot poll anything else; see
//! [`Channel`](super::Channel).

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

/// A socket and the events to wait for. An error is always reported.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Watch<'a> {
    raw: WSAPOLLFD,
    socket: PhantomData<BorrowedSocket<'a>>,
}

/// `true` if [`Ready::gone`] reports a vanished reader even if nothing is written. On Windows a
/// hang-up means only that the peer has half-closed.
pub const HANGUP_IS_GONE: bool = false;
/// Interval between `WSAPoll` and `select`, which alternate when neither reports all events.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Minimum timeout. The threads for standard input and output need time to pass on available data.
const MIN_POLL: Duration = Duration::from_millis(50);

impl Watch<'_> {
    /// Returns `true` if a requested event or an error was reported.
    fn has_event(&self) -> bool {
        let hangup = if self.raw.events & POLLRDNORM == 0 { 0 } else { POLLHUP };
        self.raw.revents & (self.raw.events | POLLERR | POLLNVAL | hangup) != 0
    }

    /// Returns `true` if this watch waits for a connect to finish rather than for room to write.
    fn is_connecting(&self) -> bool {
        // SAFETY: the Watch borrows the socket, which is therefore open.
        let socket = unsafe { BorrowedSocket::borrow_raw(self.raw.fd as RawSocket) };
        self.raw.events == POLLWRNORM && SockRef::from(&socket).peer_addr().is_err()
    }
}

/// The state of one socket after [`poll`](poll()).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read will not block: there is data, EOF, or an error.
    pub read: bool,
    /// A write will not block: there is room, or an error.
    pub write: bool,
    /// The socket has an error.
    pub gone: bool,
}

impl Ready {
    /// Returns the result of the last [`poll`](poll()).
    #[must_use]
    pub fn from_watch(watch: &Watch<'_>) -> Self {
        let has = |flags| watch.raw.revents & flags != 0;
        let gone = has(POLLERR | POLLNVAL);
        Self { read: gone || has(POLLRDNORM | POLLHUP), write: gone || has(POLLWRNORM), gone }
    }
}

/// Creates a watch for [`poll`](poll()).
#[must_use]
pub fn watch<S: AsSocket>(socket: &S, read: bool, write: bool) -> Watch<'_> {
    let events = if read { POLLRDNORM } else { 0 } | if write { POLLWRNORM } else { 0 };
    // The cast is lossless: both types are pointer-sized.
    let fd = socket.as_socket().as_raw_socket() as usize;
    Watch { raw: WSAPOLLFD { fd, events, revents: 0 }, socket: PhantomData }
}

/// Waits until a socket is ready or `timeout` has passed. Returns `true` if one is ready.
///
/// # Errors
/// `WSAPoll` or `select` failed.
pub fn poll(watches: &mut [Watch<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout.max(MIN_POLL)));
    // Before Windows 10 version 2004, `WSAPoll` does not report that a connect has failed.
    let is_connecting = watches.iter().any(Watch::is_connecting);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let recheck = left.map_or(RECHECK_INTERVAL, |left| left.min(RECHECK_INTERVAL));
        if wsa_poll(watches, if is_connecting { Some(recheck) } else { left })? {
            if watches.iter().any(Watch::has_event) {
                return Ok(true);
            }
            // Only hang-ups were reported, and `WSAPoll` would report them again at once. Wait in
            // `select` instead, which ignores them.
            let wanting = |flag| set(watches.iter().filter(move |watch| watch.raw.events & flag != 0));
            select_sets(wanting(POLLRDNORM), wanting(POLLWRNORM), set([].iter()), recheck)?;
        } else if is_connecting && mark_failed_connects(watches)? {
            return Ok(true);
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            return Ok(false);
        }
    }
}

/// Marks the sockets that are ready, without waiting, unlike [`poll`](poll()).
///
/// # Errors
/// `WSAPoll` failed.
pub fn poll_now(watches: &mut [Watch<'_>]) -> io::Result<()> {
    // `WSAPoll` rejects an empty set.
    if watches.is_empty() { Ok(()) } else { wsa_poll(watches, Some(Duration::ZERO)).map(drop) }
}

/// Calls `WSAPoll`. Returns `true` if it reported an event.
fn wsa_poll(watches: &mut [Watch<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let count = u32::try_from(watches.len()).map_err(io::Error::other)?;
    // Round up, because waking too early would make the caller's loop spin.
    let millis =
        timeout.map_or(-1, |left| i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    // SAFETY: a Watch is a WSAPOLLFD (repr(transparent)), its socket is borrowed and therefore
    // open, and `count` is the length of the slice.
    match unsafe { WSAPoll(watches.as_mut_ptr().cast(), count, millis) } {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        count => Ok(count > 0),
    }
}

/// Marks the watches whose connect has failed. Returns `true` if there are any.
fn mark_failed_connects(watches: &mut [Watch<'_>]) -> io::Result<bool> {
    let connecting = set(watches.iter().filter(|watch| watch.is_connecting()));
    let failed = select_sets(set([].iter()), set([].iter()), connecting, Duration::ZERO)?;
    let failed = failed.fd_array.get(..failed.fd_count as usize).unwrap_or_default();
    for watch in watches.iter_mut().filter(|watch| failed.contains(&watch.raw.fd)) {
        watch.raw.revents = POLLERR;
    }
    Ok(!failed.is_empty())
}

/// Creates a set of the watched sockets. Sockets beyond its capacity are dropped, but `connect`
/// never dials that many at once.
fn set<'w, 'a: 'w>(watches: impl Iterator<Item = &'w Watch<'a>>) -> FD_SET {
    let mut set = FD_SET { fd_count: 0, fd_array: [0; FD_SETSIZE as usize] };
    for (slot, watch) in set.fd_array.iter_mut().zip(watches) {
        *slot = watch.raw.fd;
        set.fd_count += 1;
    }
    set
}

/// Calls `select` with a timeout below one second. Returns the sockets in `failed` that have
/// failed.
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
    // SAFETY: the sets and the timeout outlive the call, the sockets in the sets are borrowed, and
    // the first argument is ignored.
    match unsafe { select(0, &raw mut read, &raw mut write, &raw mut failed, &raw const timeout) } {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        _ => Ok(failed),
    }
}

/// Returns `true`: Windows does not report whether a pipe has room.
#[must_use]
pub fn error_has_room() -> bool {
    true
}

/// Returns `true` if this error from a non-blocking connect means that the attempt is in progress.
#[must_use]
pub fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WSAEWOULDBLOCK)
}

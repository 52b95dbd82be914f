//! Waits for file descriptors to become ready.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFlags, Timespec};

/// A descriptor and the events to wait for. A hang-up or an error is always reported.
pub type Watch<'a> = rustix::event::PollFd<'a>;

/// `true` if [`Ready::gone`] reports a vanished reader even if nothing is written.
pub const HANGUP_IS_GONE: bool = true;

/// The state of one descriptor after [`poll`](poll()).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read will not block: there is data, EOF, or an error.
    pub read: bool,
    /// A write will not block: there is room, or an error.
    pub write: bool,
    /// The other end is closed, or the descriptor has an error.
    pub gone: bool,
}

impl Ready {
    /// Returns the result of the last [`poll`](poll()). A hang-up sets both `read` and `write`,
    /// because a pipe whose writer is gone reports nothing else at EOF.
    #[must_use]
    pub fn from_watch(watch: &Watch<'_>) -> Self {
        let events = watch.revents();
        let gone = events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        Self {
            read: gone || events.contains(PollFlags::IN),
            write: gone || events.contains(PollFlags::OUT),
            gone,
        }
    }
}

/// Creates a watch for [`poll`](poll()). With neither flag set, only a hang-up is reported.
#[must_use]
pub fn watch<Fd: AsFd>(fd: &Fd, read: bool, write: bool) -> Watch<'_> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, read);
    flags.set(PollFlags::OUT, write);
    Watch::new(fd, flags)
}

/// Waits until a descriptor is ready or `timeout` has passed. Returns `true` if one is ready.
///
/// # Errors
/// poll(2) failed. After `EINTR` the wait continues.
pub fn poll(watches: &mut [Watch<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(watches, left.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Marks the descriptors that are ready, without waiting.
///
/// # Errors
/// poll(2) failed.
pub fn poll_now(watches: &mut [Watch<'_>]) -> io::Result<()> {
    poll(watches, Some(Duration::ZERO)).map(drop)
}

/// Returns `true` if [`PIPE_ROOM`](crate::sys::PIPE_ROOM) bytes can be written to standard error
/// without blocking.
#[must_use]
pub fn error_has_room() -> bool {
    let stderr = rustix::stdio::stderr();
    let mut watches = [watch(&stderr, false, true)];
    // A hang-up also counts as room: the write fails without blocking.
    poll(&mut watches, Some(Duration::ZERO)).is_ok() && Ready::from_watch(&watches[0]).write
}

/// Returns `true` if this error from a non-blocking connect means that the attempt is in progress.
#[must_use]
pub fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

//! Waiting for descriptors.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFlags, Timespec};

/// A descriptor and what is waited for on it. That its other end is gone is reported in any case.
pub type Watch<'a> = rustix::event::PollFd<'a>;

/// Whether [`Ready::gone`] tells that a reader has left before anything is written to it.
pub const HANGUP_IS_GONE: bool = true;

/// What [`poll`](poll()) found out about one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Reading will not wait: there are bytes, the end, or an error.
    pub read: bool,
    /// Writing will not wait: there is room, or an error.
    pub write: bool,
    /// The other end is gone, or the descriptor is broken.
    pub gone: bool,
}

impl Ready {
    /// The result of the last [`poll`](poll()). A hang-up alone is an event, too: without it a closed pipe would be
    /// waited on for ever.
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

/// Waits on `fd`, which may be any descriptor.
#[must_use]
pub fn watch<Fd: AsFd>(fd: &Fd, read: bool, write: bool) -> Watch<'_> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, read);
    flags.set(PollFlags::OUT, write);
    Watch::new(fd, flags)
}

/// Waits until one of the descriptors is ready, or until `timeout` has passed; returns whether one is.
///
/// # Errors
/// What poll(2) says, but for EINTR, after which the waiting goes on.
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

/// Whether a connect that does not wait has begun, rather than failed.
#[must_use]
pub fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

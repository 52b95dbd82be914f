//! Waits for many descriptors at once: epoll(7).
//!
//! The crate `polling` makes four more system calls per wait, for timeouts of less than a
//! millisecond and to rearm its wake-up descriptor.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use super::Ready;
use crate::sys::source::{Source, borrow};

/// Maximum number of events that one wait returns.
const MAX_EVENTS: usize = 1024;

/// The key of the descriptor that wakes a wait up.
const WAKE_UP: u64 = u64::MAX;

/// A set of channels, each with a key. Events are level-triggered.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    /// Readable from a call of [`wake`](Self::wake) until the wait that it ends.
    wake_up: OwnedFd,
}

/// The results of [`Poller::wait`].
pub struct PollerEvents(Vec<Event>);

impl Poller {
    /// Creates an empty set.
    ///
    /// # Errors
    /// The system is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake_up = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake_up, EventData::new_u64(WAKE_UP), EventFlags::IN)?;
        Ok(Self { epoll, wake_up })
    }

    /// Adds a channel, which must be [removed](Self::remove) before it is closed. A hang-up is
    /// reported even with neither flag set.
    ///
    /// # Errors
    /// The channel is already in the set, cannot be waited for, or memory is short.
    pub fn add(&self, source: Source, key: usize, read: bool, write: bool) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, borrow(source), EventData::new_u64(key as u64), flags(read, write))?)
    }

    /// Changes the events to wait for.
    ///
    /// # Errors
    /// The channel is not in the set, or memory is short.
    pub fn change(&self, source: Source, key: usize, read: bool, write: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, borrow(source), EventData::new_u64(key as u64), flags(read, write))?)
    }

    /// Removes a channel.
    ///
    /// # Errors
    /// The channel is not in the set.
    pub fn remove(&self, source: Source) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, borrow(source))?)
    }

    /// Waits until a channel is ready, `timeout` has passed, or [`wake`](Self::wake) is called.
    ///
    /// # Errors
    /// The system call failed. After `EINTR` the wait returns without events.
    pub fn wait(&self, events: &mut PollerEvents, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match epoll::wait(&self.epoll, spare_capacity(&mut events.0), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if events.0.iter().any(|event| { event.data }.u64() == WAKE_UP) {
            // Cannot fail: it is readable.
            let _ = rustix::io::read(&self.wake_up, &mut [0; 8]);
        }
        Ok(())
    }

    /// Makes the current or next wait return.
    ///
    /// # Errors
    /// The system call failed.
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.wake_up, &1_u64.to_ne_bytes()) {
            // The counter is full, so the wait returns anyway.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl PollerEvents {
    /// Creates room for the events of one wait.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(MAX_EVENTS))
    }

    /// Returns the keys of the channels that are ready.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Ready)> {
        self.0.iter().filter_map(|event| {
            let (key, flags) = ({ event.data }.u64(), { event.flags });
            let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            let read = gone || flags.contains(EventFlags::IN);
            let write = gone || flags.contains(EventFlags::OUT);
            let key = usize::try_from(key).ok().filter(|_| key != WAKE_UP)?;
            Some((key, Ready { read, write, gone }))
        })
    }
}

impl fmt::Debug for PollerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for PollerEvents {
    fn default() -> Self {
        Self::new()
    }
}

fn flags(read: bool, write: bool) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, read);
    flags.set(EventFlags::OUT, write);
    flags
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn ready(poller: &Poller, timeout: Duration) -> Vec<(usize, Ready)> {
        let mut events = PollerEvents::new();
        poller.wait(&mut events, Some(timeout)).unwrap();
        events.iter().collect()
    }

    #[test]
    fn events_are_reported_for_as_long_as_they_last() {
        let poller = Poller::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poller.add(ours.as_raw_fd(), 7, true, false).unwrap();
        assert_eq!(ready(&poller, Duration::ZERO), []);
        theirs.write_all(b"x").unwrap();
        let readable = (7, Ready { read: true, ..Ready::default() });
        for _ in 0..2 {
            assert_eq!(ready(&poller, Duration::from_secs(10)), [readable]);
        }
        poller.change(ours.as_raw_fd(), 7, false, true).unwrap();
        let writable = (7, Ready { write: true, ..Ready::default() });
        assert_eq!(ready(&poller, Duration::from_secs(10)), [writable]);
        drop(theirs);
        let gone = (7, Ready { read: true, write: true, gone: true });
        poller.change(ours.as_raw_fd(), 7, false, false).unwrap();
        assert_eq!(ready(&poller, Duration::from_secs(10)), [gone]);
        poller.remove(ours.as_raw_fd()).unwrap();
        assert_eq!(ready(&poller, Duration::ZERO), []);
    }

    #[test]
    fn a_wake_up_ends_one_wait_and_is_no_event() {
        let poller = Poller::new().unwrap();
        poller.wake().unwrap();
        poller.wake().unwrap();
        assert_eq!(ready(&poller, Duration::from_secs(60)), []);
        let started = std::time::Instant::now();
        let timeout = Duration::from_millis(20);
        assert_eq!(ready(&poller, timeout), []);
        assert!(started.elapsed() >= timeout, "the second wake-up was still pending");
    }
}

//! Waits for many descriptors at once: kqueue(2) or an I/O completion port. Linux has a file of its
//! own.

use std::io;
use std::time::Duration;

use polling::{Event, PollMode};

use super::source::{Source, borrow};
use super::{HANGUP_IS_GONE, Ready};

/// A set of channels, each with a key. Events are level-triggered.
#[derive(Debug)]
pub struct Poller(polling::Poller);

/// The results of [`Poller::wait`].
#[derive(Debug)]
pub struct PollerEvents(polling::Events);

impl Poller {
    /// Creates an empty set.
    ///
    /// # Errors
    /// The system is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        polling::Poller::new().map(Self)
    }

    /// Adds a channel, which must be [removed](Self::remove) before it is closed.
    ///
    /// # Errors
    /// The channel is already in the set, cannot be waited for, or memory is short.
    pub fn add(&self, source: Source, key: usize, read: bool, write: bool) -> io::Result<()> {
        // SAFETY: the caller removes the source before it is closed. If it does not, the kernel
        // removes it, and `polling` reports an error for a number that is no longer in the set.
        unsafe { self.0.add_with_mode(source, event(key, read, write), PollMode::Level) }
    }

    /// Changes the events to wait for.
    ///
    /// # Errors
    /// The channel is not in the set, or memory is short.
    pub fn change(&self, source: Source, key: usize, read: bool, write: bool) -> io::Result<()> {
        self.0.modify_with_mode(borrow(source), event(key, read, write), PollMode::Level)
    }

    /// Removes a channel.
    ///
    /// # Errors
    /// The channel is not in the set.
    pub fn remove(&self, source: Source) -> io::Result<()> {
        self.0.delete(borrow(source))
    }

    /// Waits until a channel is ready, `timeout` has passed, or [`wake`](Self::wake) is called.
    ///
    /// # Errors
    /// The system call failed. After `EINTR` the wait returns without events.
    pub fn wait(&self, events: &mut PollerEvents, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        match self.0.wait(&mut events.0, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the current or next wait return.
    ///
    /// # Errors
    /// The system call failed.
    pub fn wake(&self) -> io::Result<()> {
        self.0.notify()
    }
}

impl PollerEvents {
    /// Creates room for the events of one wait.
    #[must_use]
    pub fn new() -> Self {
        Self(polling::Events::new())
    }

    /// Returns the keys of the channels that are ready. kqueue(2) reports room to write and bytes
    /// to read in two events.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Ready)> {
        self.0.iter().map(|event| {
            let hangup = HANGUP_IS_GONE && event.is_interrupt();
            let gone = hangup || event.is_err().unwrap_or_default();
            (event.key, Ready { read: gone || event.readable, write: gone || event.writable, gone })
        })
    }
}

impl Default for PollerEvents {
    fn default() -> Self {
        Self::new()
    }
}

fn event(key: usize, read: bool, write: bool) -> Event {
    Event::new(key, read, write)
}

//! A set of descriptors to wait for.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::waker::{WakeList, Waker};
use crate::sys::{self, Channel, Ready, Source, Watch};

/// The events to wait for on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read, EOF, or an error.
    pub read: bool,
    /// Room to write, or an error.
    pub write: bool,
    /// The peer is gone. Reported in any case if one of the others is set.
    pub hangup: bool,
}

impl Interest {
    /// Waits for bytes to read.
    pub const READ: Self = Self { read: true, write: false, hangup: false };
    /// Waits for room to write.
    pub const WRITE: Self = Self { read: false, write: true, hangup: false };

    /// Returns `true` unless there is nothing to wait for.
    #[must_use]
    pub fn any(self) -> bool {
        self.read || self.write || self.hangup
    }

    /// Waits for the events of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            write: self.write || other.write,
            hangup: self.hangup || other.hangup,
        }
    }
}

/// The descriptors for one wait.
#[derive(Default)]
pub struct PollSet<'a> {
    /// For a single poll(2).
    watches: Vec<Watch<'a>>,
    /// For a reactor, which waits for the descriptors of many sessions.
    sources: Option<Vec<(Source, Interest)>>,
    /// The reactor and the number of the session, for streams that wake it without a descriptor;
    /// `None` if its driver cannot be woken.
    task: Option<(&'a Arc<WakeList>, usize)>,
    /// A layer already holds bytes to read, which no poll would report.
    is_ready: bool,
}

/// The results of a wait, in the order in which the descriptors were registered.
#[derive(Debug, Default)]
pub struct Events(std::vec::IntoIter<Ready>);

impl<'a> PollSet<'a> {
    /// Creates a set with room for `capacity` descriptors.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { watches: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Collects the descriptors in `sources`, to be returned by
    /// [`into_sources`](Self::into_sources).
    #[must_use]
    pub fn collecting(self, sources: Vec<(Source, Interest)>) -> Self {
        Self { sources: Some(sources), ..self }
    }

    /// Lets streams wake the session, which is the task with this number.
    #[must_use]
    pub fn waking(self, wakes: &'a Arc<WakeList>, task: usize) -> Self {
        Self { task: Some((wakes, task)), ..self }
    }

    /// Creates a waker of the session; `None` if a stream can only wake it with a descriptor.
    #[must_use]
    pub fn waker(&self) -> Option<Waker> {
        self.task.map(|(wakes, task)| Waker::new(wakes, task))
    }

    /// Adds a channel.
    pub fn push(&mut self, channel: &'a Channel, want: Interest) {
        match &mut self.sources {
            Some(sources) => sources.push((sys::source(channel), want)),
            None => self.watches.push(sys::watch(channel, want.read, want.write)),
        }
    }

    /// Adds a descriptor that is not a channel. Reactors do not wait for it.
    pub fn push_watch(&mut self, watch: Watch<'a>) {
        self.watches.push(watch);
    }

    /// Makes the next wait return at once.
    pub fn set_ready(&mut self) {
        self.is_ready = true;
    }

    /// Waits until a descriptor is ready or `timeout` has passed. Returns `None` after a timeout.
    ///
    /// # Errors
    /// The system call failed.
    pub fn wait(mut self, timeout: Option<Duration>) -> io::Result<Option<Events>> {
        let is_ready = match (self.is_ready, timeout) {
            (true, _) => sys::poll_now(&mut self.watches).map(|()| true)?,
            // Windows cannot poll an empty set.
            (false, Some(timeout)) if self.watches.is_empty() => {
                thread::sleep(timeout);
                false
            }
            (false, timeout) => sys::poll(&mut self.watches, timeout)?,
        };
        Ok(is_ready.then(|| self.watches.iter().map(Ready::from_watch).collect()))
    }

    /// Returns the descriptors, for a wait that includes others.
    pub fn watches(&mut self) -> &mut Vec<Watch<'a>> {
        &mut self.watches
    }

    /// Returns the collected descriptors, and whether the wait must return at once.
    #[must_use]
    pub fn into_sources(self) -> (Vec<(Source, Interest)>, bool) {
        (self.sources.unwrap_or_default(), self.is_ready)
    }

    /// Returns `true` if the wait must return at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }
}

impl Events {
    /// Returns the result for the next descriptor.
    pub fn take(&mut self) -> Ready {
        self.0.next().unwrap_or_default()
    }
}

impl FromIterator<Ready> for Events {
    fn from_iter<T: IntoIterator<Item = Ready>>(results: T) -> Self {
        Self(results.into_iter().collect::<Vec<_>>().into_iter())
    }
}

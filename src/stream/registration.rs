//! The descriptors of one task among many that wait with the same [`Poller`].

use std::io;
use std::mem;
use std::sync::Arc;

use super::waker::WakeList;
use super::{Events, Interest, PollSet};
use crate::sys::{Poller, PollerEvents, Ready, Source};

/// Maximum number of descriptors of a task.
const MAX_SOURCES: usize = 8;

/// The descriptors of a task, such as a relay session, in a poller.
#[derive(Debug, Default)]
pub struct Registration {
    /// Each descriptor, with the events that the poller waits for: none if the descriptor is not in
    /// the poller. The index is part of the descriptor's key.
    sources: Vec<(Source, Interest)>,
    /// For each stream that the task has registered, the index in `sources`.
    order: Vec<usize>,
    /// The events since the task last ran, by the index in `sources`.
    ready: [Ready; MAX_SOURCES],
}

impl Registration {
    /// Returns the tasks to run after a wait, each once: those in `runnable`, which becomes empty,
    /// and those with an event. `note` must pass an event to [`note`](Self::note) of the task with
    /// this number, and return `false` if there is no such task. `events` is `None` if the wait has
    /// failed.
    pub fn tasks_to_run(
        events: Option<&PollerEvents>,
        runnable: &mut Vec<usize>,
        mut note: impl FnMut(usize, usize, Ready) -> bool,
    ) -> Vec<usize> {
        let mut running = mem::take(runnable);
        for (key, ready) in events.into_iter().flat_map(PollerEvents::iter) {
            let (task, index) = (key / MAX_SOURCES, key % MAX_SOURCES);
            if note(task, index, ready) {
                running.push(task);
            }
        }
        running.sort_unstable();
        running.dedup();
        running
    }

    /// Records an event.
    pub fn note(&mut self, index: usize, ready: Ready) {
        self.ready[index] = self.ready[index].or(ready);
    }

    /// Takes the events since the last call, in the order in which the streams were registered.
    pub fn take_events(&mut self) -> Events {
        let events = self.order.iter().map(|&index| self.ready[index]).collect();
        self.ready = [Ready::default(); MAX_SOURCES];
        events
    }

    /// Updates the poller with the streams that `register` adds. `buffer` is an empty buffer, kept
    /// for the next call. Returns `true` if the task must run without a wait, because a layer holds
    /// input for it.
    ///
    /// # Errors
    /// The system refuses to wait for a descriptor, or there are too many.
    pub fn update<'a>(
        &mut self,
        task: usize,
        poller: &Poller,
        buffer: &mut Vec<(Source, Interest)>,
        register: impl FnOnce(&mut PollSet<'a>),
    ) -> io::Result<bool> {
        self.update_with(task, poller, buffer, PollSet::default(), register)
    }

    /// Updates the poller of `wakes` like [`update`](Self::update). Streams without a descriptor of
    /// their own can wake the task.
    ///
    /// # Errors
    /// See [`update`](Self::update).
    pub fn update_waking<'a>(
        &mut self,
        task: usize,
        wakes: &'a Arc<WakeList>,
        buffer: &mut Vec<(Source, Interest)>,
        register: impl FnOnce(&mut PollSet<'a>),
    ) -> io::Result<bool> {
        let polls = PollSet::default().waking(wakes, task);
        self.update_with(task, wakes.poller(), buffer, polls, register)
    }

    fn update_with<'a>(
        &mut self,
        task: usize,
        poller: &Poller,
        buffer: &mut Vec<(Source, Interest)>,
        polls: PollSet<'a>,
        register: impl FnOnce(&mut PollSet<'a>),
    ) -> io::Result<bool> {
        let mut polls = polls.collecting(mem::take(buffer));
        register(&mut polls);
        let is_ready;
        (*buffer, is_ready) = polls.into_sources();
        self.order.clear();
        let mut merged = [Interest::default(); MAX_SOURCES];
        for (source, want) in buffer.drain(..) {
            // A client's connection is registered once for reading and once for writing.
            let index = match self.sources.iter().position(|(known, _)| *known == source) {
                Some(index) => index,
                None if self.sources.len() < MAX_SOURCES => {
                    self.sources.push((source, Interest::default()));
                    self.sources.len() - 1
                }
                None => return Err(io::ErrorKind::QuotaExceeded.into()),
            };
            merged[index] = merged[index].or(want);
            self.order.push(index);
        }
        for (index, (source, interest)) in self.sources.iter_mut().enumerate() {
            let (want, key) = (merged[index], task * MAX_SOURCES + index);
            match (interest.any(), want.any()) {
                _ if want == *interest => {}
                (false, _) => poller.add(*source, key, want.read, want.write)?,
                (true, true) => poller.change(*source, key, want.read, want.write)?,
                // Otherwise a hang-up would be reported again and again, even without interest.
                (true, false) => poller.remove(*source)?,
            }
            *interest = want;
        }
        Ok(is_ready)
    }

    /// Removes all descriptors from the poller. Must be called before they are closed.
    pub fn remove(&mut self, poller: &Poller) {
        for (source, _) in self.sources.drain(..).filter(|(_, interest)| interest.any()) {
            // An error would mean that it is not in the set.
            let _ = poller.remove(source);
        }
    }
}

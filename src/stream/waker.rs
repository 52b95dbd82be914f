//! Wakes a task that waits for an event without a descriptor of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys::Poller;

/// The poller of a thread that runs many tasks, and the tasks that other threads have woken.
pub struct WakeList {
    poller: Poller,
    woken: Mutex<Vec<usize>>,
}

/// Wakes one task.
pub struct Waker {
    list: Arc<WakeList>,
    task: usize,
}

impl WakeList {
    /// Creates a list for the thread that waits with this poller.
    #[must_use]
    pub fn new(poller: Poller) -> Self {
        Self { poller, woken: Mutex::default() }
    }

    /// Returns the poller.
    #[must_use]
    pub fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Moves the tasks that were woken since the last call to `runnable`.
    pub fn take(&self, runnable: &mut Vec<usize>) {
        runnable.append(&mut self.woken.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn add(&self, task: usize) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = woken.is_empty();
        woken.push(task);
        drop(woken);
        if was_empty {
            // If this fails, the task runs when its thread wakes up for another reason.
            let _ = self.poller.wake();
        }
    }
}

impl Waker {
    /// Creates a waker for the task with this number.
    #[must_use]
    pub fn new(list: &Arc<WakeList>, task: usize) -> Self {
        Self { list: Arc::clone(list), task }
    }

    /// Lets the task run once.
    pub fn wake(&self) {
        self.list.add(self.task);
    }
}

impl fmt::Debug for WakeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakeList")
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waker of task {}", self.task)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;
    use crate::sys::PollerEvents;

    #[test]
    fn a_waker_ends_the_wait_and_names_its_task() {
        let list = Arc::new(WakeList::new(Poller::new().unwrap()));
        for task in [3, 5, 3] {
            Waker::new(&list, task).wake();
        }
        // Without a waker, this wait would never end.
        list.poller().wait(&mut PollerEvents::new(), None).unwrap();
        let mut runnable = vec![1];
        list.take(&mut runnable);
        assert_eq!(runnable, [1, 3, 5, 3]);
        list.take(&mut runnable);
        assert_eq!(runnable, [1, 3, 5, 3]);
        Waker::new(&list, 7).wake();
        list.poller().wait(&mut PollerEvents::new(), None).unwrap();
        runnable.clear();
        list.take(&mut runnable);
        assert_eq!(runnable, [7]);
    }
}

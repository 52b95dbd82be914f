//! Threads that connect clients to the target, because name lookups, handshakes and prompts block.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of clients that are being connected at the same time. When all threads are busy,
/// no more clients are accepted.
pub(crate) const MAX_OPENING: usize = 256;
/// Idle time after which a thread exits.
const THREAD_TTL: Duration = Duration::from_secs(1);
/// Stack size of a thread. The system's resolver needs most of it.
const STACK_SIZE: usize = 256 * 1024;

/// A pool of threads that run the same function for one item after another.
pub(crate) struct Openers<T>(Arc<Shared<T>>);

struct Shared<T> {
    open: Box<dyn Fn(T) + Send + Sync>,
    state: Mutex<State<T>>,
    /// An item was added.
    added: Condvar,
    /// An item is done.
    freed: Condvar,
}

struct State<T> {
    /// Items that wait for a thread.
    waiting: VecDeque<T>,
    /// The number of items that wait or are in progress.
    open_count: usize,
    /// The number of threads that wait for an item.
    idle: usize,
}

impl<T: Send + 'static> Openers<T> {
    pub(crate) fn new(open: impl Fn(T) + Send + Sync + 'static) -> Self {
        let state = Mutex::new(State { waiting: VecDeque::new(), open_count: 0, idle: 0 });
        Self(Arc::new(Shared { open: Box::new(open), state, added: Condvar::new(), freed: Condvar::new() }))
    }

    /// Runs the function for an item on a thread of the pool.
    ///
    /// # Errors
    /// A thread could not be started. The item is dropped.
    pub(crate) fn run(&self, item: T) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.idle <= state.waiting.len() {
            let shared = Arc::clone(&self.0);
            thread::Builder::new().stack_size(STACK_SIZE).spawn(move || shared.work())?;
        }
        state.open_count += 1;
        state.waiting.push_back(item);
        self.0.added.notify_one();
        Ok(())
    }

    /// Waits until a thread is free for another item, or until `timeout` has passed. Returns `true`
    /// if one is free.
    pub(crate) fn wait_for_room(&self, timeout: Duration) -> bool {
        let is_full = |state: &mut State<T>| state.open_count >= MAX_OPENING;
        let waited = self.0.freed.wait_timeout_while(self.0.lock(), timeout, is_full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !is_full(&mut state)
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until no item has arrived for a while.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                drop(state);
                (self.open)(item);
                state = self.lock();
                state.open_count -= 1;
                self.freed.notify_one();
                continue;
            }
            state.idle += 1;
            let has_none = |state: &mut State<T>| state.waiting.is_empty();
            let waited = self.added.wait_timeout_while(state, THREAD_TTL, has_none);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            if state.waiting.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_full_pool_has_no_room_until_an_item_is_done() {
        let openers = Openers::new(|receiver: std::sync::mpsc::Receiver<()>| receiver.recv().unwrap());
        let mut senders = Vec::new();
        for _ in 0..MAX_OPENING {
            assert!(openers.wait_for_room(Duration::ZERO));
            let (sender, receiver) = channel();
            openers.run(receiver).unwrap();
            senders.push(sender);
        }
        assert!(!openers.wait_for_room(Duration::from_millis(1)));
        senders.pop().unwrap().send(()).unwrap();
        assert!(openers.wait_for_room(Duration::from_secs(60)));
        for sender in senders {
            sender.send(()).unwrap();
        }
    }

    #[test]
    fn a_thread_that_is_free_is_used_again() {
        let (sender, receiver) = channel();
        let openers = Openers::new(move |()| sender.send(thread::current().id()).unwrap());
        let mut used = Vec::new();
        for _ in 0..3 {
            openers.run(()).unwrap();
            used.push(receiver.recv().unwrap());
            while openers.0.lock().idle == 0 {
                thread::yield_now();
            }
        }
        assert!(used.iter().all(|thread| *thread == used[0]), "{used:?}");
    }
}

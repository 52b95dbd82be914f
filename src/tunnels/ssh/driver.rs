//! The thread that drives all shared connections of the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::state::Shared;
use crate::stream::{Interest, Registration, WakeList, Waker};
use crate::sys::{Poller, PollerEvents, Source};

/// Size of the thread's stack.
const STACK_SIZE: usize = 256 * 1024;

/// Size of the buffer for received bytes.
const BUFFER_SIZE: usize = 64 * 1024;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// The task number that wakes the thread for a new connection.
const ARRIVAL: usize = 0;

/// The inbox of the thread; `None` before the first connection.
static INBOX: Mutex<Option<Arc<Inbox>>> = Mutex::new(None);

/// The messages to the thread.
#[derive(Debug)]
struct Inbox {
    wakes: Arc<WakeList>,
    arrived: Mutex<Vec<Arc<Shared>>>,
}

/// Drives a connection until it fails.
///
/// # Errors
/// The thread could not be started, or descriptors are short.
pub(super) fn drive(shared: Arc<Shared>) -> io::Result<()> {
    let mut inbox = INBOX.lock().unwrap_or_else(PoisonError::into_inner);
    let inbox = match &mut *inbox {
        Some(inbox) => inbox,
        none => none.insert(start()?),
    };
    inbox.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(shared);
    Waker::new(&inbox.wakes, ARRIVAL).wake();
    Ok(())
}

fn start() -> io::Result<Arc<Inbox>> {
    let wakes = Arc::new(WakeList::new(Poller::new()?));
    let inbox = Arc::new(Inbox { wakes, arrived: Mutex::default() });
    let shared = Arc::clone(&inbox);
    let run = move || Driver::new(shared).run();
    thread::Builder::new().name("ssh".into()).stack_size(STACK_SIZE).spawn(run)?;
    Ok(inbox)
}

/// The state of the thread.
struct Driver {
    inbox: Arc<Inbox>,
    connections: BTreeMap<usize, Entry>,
    next_id: usize,
    /// The connections to run without a wait.
    runnable: Vec<usize>,
    buffer: Vec<u8>,
    /// An empty buffer for the sources that a connection waits for.
    wanted: Vec<(Source, Interest)>,
}

struct Entry {
    shared: Arc<Shared>,
    registration: Registration,
}

impl Driver {
    fn new(inbox: Arc<Inbox>) -> Self {
        Self {
            inbox,
            connections: BTreeMap::new(),
            next_id: ARRIVAL + 1,
            runnable: Vec::new(),
            buffer: vec![0; BUFFER_SIZE],
            wanted: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut events = PollerEvents::new();
        loop {
            let timeout = if self.runnable.is_empty() { self.time_left() } else { Some(Duration::ZERO) };
            let waited = self.inbox.wakes.poller().wait(&mut events, timeout);
            self.inbox.wakes.take(&mut self.runnable);
            let late = |entry: &Entry| entry.shared.lock().time_left() == Some(Duration::ZERO);
            let late = self.connections.iter().filter(|(_, entry)| late(entry)).map(|(id, _)| *id);
            self.runnable.extend(late);
            let running = Registration::tasks_to_run(
                waited.is_ok().then_some(&events),
                &mut self.runnable,
                |id, index, ready| {
                    self.connections.get_mut(&id).map(|task| task.registration.note(index, ready)).is_some()
                },
            );
            for id in running {
                self.advance(id);
            }
            self.take_arrived();
            if waited.is_err() {
                thread::sleep(ERROR_DELAY);
            }
        }
    }

    fn time_left(&self) -> Option<Duration> {
        self.connections.values().filter_map(|entry| entry.shared.lock().time_left()).min()
    }

    fn take_arrived(&mut self) {
        let arrived = std::mem::take(&mut *self.inbox.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        for shared in arrived {
            let id = self.next_id;
            self.next_id += 1;
            shared.lock().set_driver(Waker::new(&self.inbox.wakes, id));
            self.connections.insert(id, Entry { shared, registration: Registration::default() });
            self.advance(id);
        }
    }

    /// Moves the bytes of a connection, and starts its next wait.
    fn advance(&mut self, id: usize) {
        let Some(entry) = self.connections.get_mut(&id) else { return };
        let poller = self.inbox.wakes.poller();
        // The connection tries to read and to write in any case.
        let _ = entry.registration.take_events();
        let mut state = entry.shared.lock();
        state.drive(&mut self.buffer);
        if !state.has_failed() {
            state.begin_wait();
            let register = |polls: &mut _| state.register(polls);
            match entry.registration.update(id, poller, &mut self.wanted, register) {
                Ok(true) => self.runnable.push(id),
                Ok(false) => {}
                Err(error) => state.lose(error),
            }
        }
        if state.has_failed() {
            entry.registration.remove(poller);
            state.close_below();
            drop(state);
            self.connections.remove(&id);
        }
    }
}

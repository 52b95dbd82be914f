//! Connections to the target that are opened in advance (`--spare`).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::schedule::Schedule;
use crate::error::Error;
use crate::net::{Peers, Tunnel};
use crate::proto::server::PassAll;
use crate::stream::{Filtered, Interest, Registration, Stream};
use crate::sys::{self, Poller, PollerEvents};
use crate::trace::trace;

/// Maximum number of bytes to read from a target before a client uses the connection.
const MAX_GREETING: usize = 16 * 1024;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// Age from which on a connection that the target closes is replaced at once. Below it, the target
/// may be refusing all connections.
const MIN_SPARE_AGE: Duration = Duration::from_secs(10);

/// The connections that no client uses yet.
pub(super) struct Spares {
    count: usize,
    poller: Poller,
    open: Mutex<BTreeMap<usize, Spare>>,
}

/// A connection. Its bytes are read, because the EOF after them would not show otherwise.
struct Spare {
    stream: Box<dyn Stream>,
    peers: Peers,
    registration: Registration,
    /// The bytes that the target has sent.
    greeting: Vec<u8>,
    since: Instant,
}

impl Spares {
    /// Keeps up to `count` connections.
    ///
    /// # Errors
    /// The system is out of descriptors or memory.
    pub(super) fn new(count: usize) -> io::Result<Self> {
        Ok(Self { count, poller: Poller::new()?, open: Mutex::default() })
    }

    /// Returns the oldest connection that the target has not closed; `None` if there is none.
    pub(super) fn take(&self) -> Option<Tunnel> {
        if self.count == 0 {
            return None;
        }
        let found = loop {
            let Some((_, mut spare)) = self.lock().pop_first() else { break None };
            spare.registration.remove(&self.poller);
            if spare.is_open() {
                break Some(spare.into_tunnel());
            }
        };
        // If this fails, the connection is replaced when the thread wakes up for another reason.
        let _ = self.poller.wake();
        found
    }

    /// Opens connections, and replaces those that are taken or closed. Never returns.
    pub(super) fn maintain(&self, connect: impl Fn() -> Result<Tunnel, Error>) {
        let (mut events, mut sources, mut runnable) = (PollerEvents::new(), Vec::new(), Vec::new());
        let mut schedule = Schedule::new(Instant::now());
        let mut next_id = 0;
        loop {
            let now = Instant::now();
            let is_short = self.lock().len() < self.count;
            if is_short && schedule.is_due(now) {
                match connect() {
                    Ok(tunnel) => {
                        self.lock().insert(next_id, Spare::new(tunnel));
                        self.update(next_id, &mut sources, &mut schedule);
                        next_id += 1;
                    }
                    Err(error) => {
                        trace!("cannot open a spare connection: {error}");
                        schedule.failed(Instant::now(), sys::random());
                    }
                }
                continue;
            }
            let timeout = is_short.then(|| schedule.time_left(now));
            if self.poller.wait(&mut events, timeout).is_err() {
                thread::sleep(ERROR_DELAY);
                continue;
            }
            let running = Registration::tasks_to_run(Some(&events), &mut runnable, |id, index, ready| {
                self.lock().get_mut(&id).map(|spare| spare.registration.note(index, ready)).is_some()
            });
            for id in running {
                self.update(id, &mut sources, &mut schedule);
            }
        }
    }

    /// Reads from a connection, and registers it for the next wait. Removes one that has ended.
    fn update(&self, id: usize, sources: &mut Vec<(sys::Source, Interest)>, schedule: &mut Schedule) {
        let mut open = self.lock();
        let Some(spare) = open.get_mut(&id) else { return };
        let is_open = spare.is_open();
        let Spare { stream, registration, greeting, since, .. } = spare;
        let want = Interest { read: greeting.len() < MAX_GREETING, ..Interest::default() };
        let updated =
            registration.update(id, &self.poller, sources, |polls| stream.register(want, polls)).is_ok();
        if is_open && updated {
            return;
        }
        let now = Instant::now();
        if now.saturating_duration_since(*since) < MIN_SPARE_AGE {
            schedule.failed(now, sys::random());
        } else {
            schedule.restart(now);
        }
        registration.remove(&self.poller);
        open.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Spare>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spare {
    fn new(tunnel: Tunnel) -> Self {
        let Tunnel { stream, peers } = tunnel;
        let (registration, since) = (Registration::default(), Instant::now());
        Self { stream, peers, registration, greeting: Vec::new(), since }
    }

    /// Reads what the target has sent. Returns `false` if it has closed the connection.
    fn is_open(&mut self) -> bool {
        let mut buffer = [0; 4096];
        while self.greeting.len() < MAX_GREETING {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.greeting.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return sys::is_transient(&error),
            }
        }
        true
    }

    fn into_tunnel(self) -> Tunnel {
        let Self { stream, peers, greeting, .. } = self;
        let stream = if greeting.is_empty() {
            stream
        } else {
            Box::new(Filtered::new(stream, Box::new(PassAll::default()), &greeting))
        };
        Tunnel { stream, peers }
    }
}

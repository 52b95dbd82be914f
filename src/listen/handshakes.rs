//! The clients whose request is not complete. One thread waits for all of them, so that a slow
//! client costs a connection and no thread. A thread of a pool serves a client once its request is
//! complete.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::handshake::{Handshake, Next};
use super::openers::Openers;
use super::report::ErrorReport;
use super::unauthenticated::Unauthenticated;
use crate::error::Error;
use crate::proto::server::{Rejection, Server};
use crate::stream::{Interest, Registration};
use crate::sys::{Poller, PollerEvents, Source};

/// Stack size of the thread.
const STACK_SIZE: usize = 256 * 1024;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// Interval between checks for a free thread while all are busy.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// A client whose request is not complete. `T` is what the caller knows about it.
pub(super) struct Visit<S: Server + ?Sized, T> {
    pub(super) handshake: Handshake<S>,
    pub(super) client: T,
    /// The client's address; `None` for a client of a UNIX-domain socket.
    pub(super) address: Option<IpAddr>,
}

/// A handshake whose request is complete, its next task, and the client.
pub(super) type Ready<S, T> = (Handshake<S>, Next, T);

/// A function that reports a client whose handshake has failed, given what it has sent.
type ReportFailure<S, T> = Box<dyn Fn(&T, &S, Error) + Send + Sync>;

/// The functions that handle clients.
pub(super) struct Handlers<S: Server + ?Sized, T> {
    /// Serves a client whose request is complete, on a thread of a pool.
    pub(super) serve: Box<dyn Fn(Ready<S, T>) + Send + Sync>,
    /// Reports a client whose handshake has failed.
    pub(super) failed: ReportFailure<S, T>,
}

/// The clients whose request is not complete.
pub(super) struct Handshakes<S: Server + ?Sized, T>(Arc<Shared<S, T>>);

struct Shared<S: Server + ?Sized, T> {
    poller: Poller,
    state: Mutex<State<S, T>>,
    /// `State::waiting` has become smaller.
    freed: Condvar,
}

struct State<S: Server + ?Sized, T> {
    arrived: Vec<Visit<S, T>>,
    /// The number of clients that wait for a thread of the pool.
    waiting: usize,
}

impl<S: Server + ?Sized + 'static, T: Send + 'static> Handshakes<S, T> {
    /// Starts the thread. `limits` decides which clients are closed if there are too many.
    pub(super) fn start(limits: Unauthenticated, handlers: Handlers<S, T>) -> Result<Self, Error> {
        let failed = |cause| Error::System { what: "start the thread for handshakes", cause };
        let state = Mutex::new(State { arrived: Vec::new(), waiting: 0 });
        let poller = Poller::new().map_err(failed)?;
        let shared = Arc::new(Shared { poller, state, freed: Condvar::new() });
        let Handlers { serve, failed: report } = handlers;
        let worker = Worker {
            shared: Arc::clone(&shared),
            clients: BTreeMap::new(),
            next_id: 0,
            alarms: BTreeSet::new(),
            runnable: Vec::new(),
            ready: VecDeque::new(),
            sources: Vec::new(),
            limits,
            openers: Openers::new(serve),
            report,
            errors: ErrorReport::default(),
        };
        let thread = thread::Builder::new().name("handshakes".into()).stack_size(STACK_SIZE);
        thread.spawn(move || worker.run()).map_err(failed)?;
        Ok(Self(shared))
    }

    /// Adds a client.
    pub(super) fn add(&self, visit: Visit<S, T>) {
        self.0.lock().arrived.push(visit);
        // If this fails, the handshake starts when the thread wakes up for another reason.
        let _ = self.0.poller.wake();
    }

    /// Waits until no client waits for a thread of the pool, or until `timeout` has passed. Returns
    /// `true` if none does, so that more may be added.
    pub(super) fn wait_for_room(&self, timeout: Duration) -> bool {
        let is_full = |state: &mut State<S, T>| state.waiting > 0;
        let waited = self.0.freed.wait_timeout_while(self.0.lock(), timeout, is_full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !is_full(&mut state)
    }
}

impl<S: Server + ?Sized, T> Shared<S, T> {
    fn lock(&self) -> MutexGuard<'_, State<S, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client of the thread.
struct Entry<S: Server + ?Sized, T> {
    visit: Visit<S, T>,
    registration: Registration,
    /// The time at which the end of the handshake is checked next.
    alarm: Option<Instant>,
}

/// The thread.
struct Worker<S: Server + ?Sized, T> {
    shared: Arc<Shared<S, T>>,
    clients: BTreeMap<usize, Entry<S, T>>,
    next_id: usize,
    alarms: BTreeSet<(Instant, usize)>,
    /// The clients to run without a wait, because a layer holds input for them.
    runnable: Vec<usize>,
    /// The clients that wait for a thread of the pool.
    ready: VecDeque<Ready<S, T>>,
    /// An empty buffer for the sources that a client waits for.
    sources: Vec<(Source, Interest)>,
    limits: Unauthenticated,
    openers: Openers<Ready<S, T>>,
    report: ReportFailure<S, T>,
    /// Reports clients that could not be served.
    errors: ErrorReport,
}

impl<S: Server + ?Sized + 'static, T: Send + 'static> Worker<S, T> {
    fn run(mut self) {
        let mut events = PollerEvents::new();
        loop {
            let timeout = self.timeout();
            let shared = Arc::clone(&self.shared);
            let waited = shared.poller.wait(&mut events, timeout);
            let running = Registration::tasks_to_run(
                waited.is_ok().then_some(&events),
                &mut self.runnable,
                |id, index, ready| {
                    self.clients.get_mut(&id).map(|entry| entry.registration.note(index, ready)).is_some()
                },
            );
            for id in running {
                self.advance(id);
            }
            for visit in mem::take(&mut shared.lock().arrived) {
                self.begin(visit);
            }
            self.time_out();
            self.serve_ready();
            if waited.is_err() {
                thread::sleep(ERROR_DELAY);
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        let alarm = self.alarms.first().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let room = (!self.ready.is_empty()).then_some(ROOM_CHECK_INTERVAL);
        alarm.into_iter().chain(room).min()
    }

    fn begin(&mut self, visit: Visit<S, T>) {
        let id = self.next_id;
        self.next_id += 1;
        if let Some(oldest) = self.limits.add(id, visit.address)
            && let Some(Entry { visit: Visit { handshake, client, .. }, .. }) = self.remove(oldest)
        {
            (self.report)(&client, &handshake.machine, Error::ClientRejected(Rejection::TimedOut));
        }
        self.clients.insert(id, Entry { visit, registration: Registration::default(), alarm: None });
        self.advance(id);
    }

    /// Performs the steps of a handshake that are possible now.
    fn advance(&mut self, id: usize) {
        let Some(entry) = self.clients.get_mut(&id) else { return };
        entry.registration.take_events();
        match entry.visit.handshake.poll() {
            Ok(None) => self.arm(id),
            Ok(Some(next)) => {
                if let Some(Entry { visit: Visit { handshake, client, .. }, .. }) = self.remove(id) {
                    self.ready.push_back((handshake, next, client));
                }
            }
            Err(error) => self.fail(id, error),
        }
    }

    fn fail(&mut self, id: usize, error: Error) {
        if let Some(Entry { visit: Visit { handshake, client, .. }, .. }) = self.remove(id) {
            let Handshake { stream, machine, .. } = handshake;
            // The client must not wait until the message is written.
            drop(stream);
            (self.report)(&client, &machine, error);
        }
    }

    /// Starts the next wait for a client.
    fn arm(&mut self, id: usize) {
        let Some(Entry { visit: Visit { handshake, .. }, registration, alarm }) = self.clients.get_mut(&id)
        else {
            return;
        };
        let register = |polls: &mut _| handshake.stream.register(handshake.interest(), polls);
        match registration.update(id, &self.shared.poller, &mut self.sources, register) {
            Ok(true) => self.runnable.push(id),
            Ok(false) => {}
            Err(cause) => return self.fail(id, Error::System { what: "wait for a client", cause }),
        }
        if alarm.is_none_or(|alarm| alarm != handshake.until) {
            if let Some(old) = alarm.replace(handshake.until) {
                self.alarms.remove(&(old, id));
            }
            self.alarms.insert((handshake.until, id));
        }
    }

    /// Ends the handshakes whose time is up.
    fn time_out(&mut self) {
        let now = Instant::now();
        while let Some(&(at, id)) = self.alarms.first().filter(|(at, _)| *at <= now) {
            self.alarms.remove(&(at, id));
            let Some(entry) = self.clients.get_mut(&id) else { continue };
            entry.alarm = None;
            match entry.visit.handshake.time_out() {
                Ok(()) => self.advance(id),
                Err(error) => self.fail(id, error),
            }
        }
    }

    /// Passes clients whose request is complete to the pool, while it has room.
    fn serve_ready(&mut self) {
        while !self.ready.is_empty() && self.openers.wait_for_room(Duration::ZERO) {
            if let Some(ready) = self.ready.pop_front()
                && let Err(cause) = self.openers.run(ready)
            {
                // Its connection is reset.
                self.errors.error(&Error::System { what: "serve a client", cause });
            }
        }
        let mut state = self.shared.lock();
        if mem::replace(&mut state.waiting, self.ready.len()) > 0 && self.ready.is_empty() {
            self.shared.freed.notify_all();
        }
    }

    fn remove(&mut self, id: usize) -> Option<Entry<S, T>> {
        let mut entry = self.clients.remove(&id)?;
        entry.registration.remove(&self.shared.poller);
        if let Some(alarm) = entry.alarm {
            self.alarms.remove(&(alarm, id));
        }
        self.limits.remove(id);
        Some(entry)
    }
}

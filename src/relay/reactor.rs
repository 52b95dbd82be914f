//! Threads that each relay many sessions.
//!
//! A session of `--listen` needs no thread of its own: it is moved to the reactor with the fewest
//! sessions, which waits for all of them at once. An idle session costs its state and its two
//! descriptors, and no time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::local_end::LocalEnd;
use super::outcome::Ending;
use super::session::Session;
use super::transfer::Pool;
use crate::error::{Error, Peer};
use crate::plan::RelaySettings;
use crate::stream::{Interest, Registration, Stream, WakeList};
use crate::sys::{Poller, PollerEvents, Source};

/// Stack size of a reactor's thread.
const STACK_SIZE: usize = 256 * 1024;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// The callback for the end of a session, called after its connections are closed.
pub type OnEnd = Box<dyn FnOnce(Result<Ending, Error>) + Send>;

/// The reactors of a process.
pub struct Reactors(Vec<Arc<Mailbox>>);

/// The messages of other threads to a reactor.
struct Mailbox {
    /// The poller, and the sessions that streams have woken.
    wakes: Arc<WakeList>,
    /// New sessions, with their numbers.
    arrived: Mutex<Vec<(usize, Session, OnEnd)>>,
    /// The sessions whose client may no longer be served.
    revoked: Mutex<Vec<usize>>,
    next_id: AtomicUsize,
    /// The number of sessions, including those that have just arrived.
    session_count: AtomicUsize,
}

impl Reactors {
    /// Starts `count` reactors.
    ///
    /// # Errors
    /// A thread could not be started, or descriptors are short.
    pub fn start(count: usize) -> io::Result<Self> {
        let pool = Arc::new(Pool::default());
        let mut mailboxes = Vec::with_capacity(count);
        for _ in 0..count {
            let mailbox = Arc::new(Mailbox {
                wakes: Arc::new(WakeList::new(Poller::new()?)),
                arrived: Mutex::default(),
                revoked: Mutex::default(),
                next_id: AtomicUsize::new(0),
                session_count: AtomicUsize::new(0),
            });
            let (pool, shared) = (Arc::clone(&pool), Arc::clone(&mailbox));
            let run = move || Reactor::new(shared, pool).run();
            thread::Builder::new().name("relay".into()).stack_size(STACK_SIZE).spawn(run)?;
            mailboxes.push(mailbox);
        }
        Ok(Self(mailboxes))
    }

    /// Relays between a client and `remote` until both have ended, as
    /// [`relay_client`](super::relay_client) does, and then calls `on_end`. Returns a handle with
    /// which another thread can end the session.
    pub fn relay(
        &self,
        client: Box<dyn Stream>,
        remote: Box<dyn Stream>,
        peer: Peer,
        settings: RelaySettings,
        on_end: OnEnd,
    ) -> Option<SessionHandle> {
        let session = Session::new(LocalEnd::Client(client), remote, peer, settings);
        let load = |mailbox: &&Arc<Mailbox>| mailbox.session_count.load(Ordering::Relaxed);
        let mailbox = self.0.iter().min_by_key(load)?;
        mailbox.session_count.fetch_add(1, Ordering::Relaxed);
        let id = mailbox.next_id.fetch_add(1, Ordering::Relaxed);
        mailbox.arrived.lock().unwrap_or_else(PoisonError::into_inner).push((id, session, on_end));
        // If this fails, the session starts when the reactor wakes up for another reason.
        let _ = mailbox.wakes.poller().wake();
        Some(SessionHandle { mailbox: Arc::clone(mailbox), id })
    }
}

/// A session of a reactor.
pub struct SessionHandle {
    mailbox: Arc<Mailbox>,
    id: usize,
}

impl SessionHandle {
    /// Ends the session, because its client may no longer be served. The client's stream must fail
    /// from now on. Does nothing if the session has ended.
    pub fn revoke(&self) {
        self.mailbox.revoked.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        // If this fails, the session ends when the reactor wakes up for another reason.
        let _ = self.mailbox.wakes.poller().wake();
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.id)
    }
}

impl fmt::Debug for Reactors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} reactors", self.0.len())
    }
}

/// A thread that relays many sessions.
struct Reactor {
    mailbox: Arc<Mailbox>,
    pool: Arc<Pool>,
    sessions: BTreeMap<usize, Entry>,
    /// The alarms of the sessions whose wait is limited.
    alarms: BTreeSet<(Instant, usize)>,
    /// The sessions to run without a wait, because a layer holds input for them.
    runnable: Vec<usize>,
    /// An empty buffer for the sources that a session waits for.
    wanted: Vec<(Source, Interest)>,
}

/// A session of a reactor.
struct Entry {
    session: Session,
    on_end: OnEnd,
    /// The session's descriptors in the poller.
    registration: Registration,
    /// The end of the wait; `None` for no limit.
    deadline: Option<Instant>,
    /// The time of the next check of `deadline`. An event postpones only `deadline`, so that the
    /// set of alarms need not change with each event.
    alarm: Option<Instant>,
}

impl Reactor {
    fn new(mailbox: Arc<Mailbox>, pool: Arc<Pool>) -> Self {
        Self {
            mailbox,
            pool,
            sessions: BTreeMap::new(),
            alarms: BTreeSet::new(),
            runnable: Vec::new(),
            wanted: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut events = PollerEvents::new();
        loop {
            let now = Instant::now();
            let timeout = match self.alarms.first() {
                _ if !self.runnable.is_empty() => Some(Duration::ZERO),
                Some((alarm, _)) => Some(alarm.saturating_duration_since(now)),
                None => None,
            };
            let waited = self.mailbox.wakes.poller().wait(&mut events, timeout);
            self.mailbox.wakes.take(&mut self.runnable);
            let running = Registration::tasks_to_run(
                waited.is_ok().then_some(&events),
                &mut self.runnable,
                |id, index, ready| {
                    self.sessions.get_mut(&id).map(|task| task.registration.note(index, ready)).is_some()
                },
            );
            for id in running {
                self.advance(id);
            }
            self.time_out();
            self.take_arrived();
            self.end_revoked();
            if let Err(cause) = waited {
                self.fail_all(&cause);
                thread::sleep(ERROR_DELAY);
            }
        }
    }

    /// Adds the sessions that have arrived.
    fn take_arrived(&mut self) {
        let arrived = mem::take(&mut *self.mailbox.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, session, on_end) in arrived {
            let registration = Registration::default();
            let entry = Entry { session, on_end, registration, deadline: None, alarm: None };
            self.sessions.insert(id, entry);
            self.arm(id);
        }
    }

    /// Ends the sessions whose client may no longer be served.
    fn end_revoked(&mut self) {
        let revoked = mem::take(&mut *self.mailbox.revoked.lock().unwrap_or_else(PoisonError::into_inner));
        for id in revoked {
            if let Some(entry) = self.sessions.get_mut(&id) {
                entry.session.revoke_client();
                self.arm(id);
            }
        }
    }

    /// Lets a session handle its events.
    fn advance(&mut self, id: usize) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let events = entry.registration.take_events();
        entry.session.on_events(events, &self.pool);
        self.arm(id);
    }

    /// Runs each session whose wait has timed out.
    fn time_out(&mut self) {
        let now = Instant::now();
        while let Some(&(alarm, id)) = self.alarms.first().filter(|(alarm, _)| *alarm <= now) {
            self.alarms.remove(&(alarm, id));
            let Some(entry) = self.sessions.get_mut(&id) else { continue };
            entry.alarm = None;
            if entry.deadline.is_some_and(|deadline| deadline <= now) {
                entry.session.on_timeout();
                self.arm(id);
            } else {
                entry.set_alarm(id, &mut self.alarms);
            }
        }
    }

    /// Starts the next wait of a session, or ends it.
    fn arm(&mut self, id: usize) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        if !entry.session.is_closed() {
            let Entry { session, registration, .. } = entry;
            let register = |polls: &mut _| session.register(polls);
            match registration.update_waking(id, &self.mailbox.wakes, &mut self.wanted, register) {
                Ok(true) => self.runnable.push(id),
                Ok(false) => {}
                Err(cause) => session.fail(cause),
            }
        }
        if entry.session.is_closed() {
            return self.end(id);
        }
        entry.deadline = entry.session.timeout().and_then(|timeout| Instant::now().checked_add(timeout));
        entry.set_alarm(id, &mut self.alarms);
    }

    /// Closes the connections of a session and reports its result.
    fn end(&mut self, id: usize) {
        let Some(mut entry) = self.sessions.remove(&id) else { return };
        if let Some(alarm) = entry.alarm {
            self.alarms.remove(&(alarm, id));
        }
        entry.registration.remove(self.mailbox.wakes.poller());
        self.mailbox.session_count.fetch_sub(1, Ordering::Relaxed);
        let result = entry.session.into_outcome().result;
        (entry.on_end)(result);
    }

    /// Ends all sessions, because waiting failed.
    fn fail_all(&mut self, cause: &io::Error) {
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            if let Some(entry) = self.sessions.get_mut(&id) {
                entry.session.fail(crate::sys::clone_io_error(cause));
            }
            self.arm(id);
        }
    }
}

impl Entry {
    /// Sets the alarm unless an earlier one is set.
    fn set_alarm(&mut self, id: usize, alarms: &mut BTreeSet<(Instant, usize)>) {
        let Some(deadline) =
            self.deadline.filter(|deadline| self.alarm.is_none_or(|alarm| *deadline < alarm))
        else {
            return;
        };
        if let Some(old) = self.alarm.replace(deadline) {
            alarms.remove(&(old, id));
        }
        alarms.insert((deadline, id));
    }
}

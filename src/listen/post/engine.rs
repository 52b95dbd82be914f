//! The thread that serves all connections and all targets of POST tunnels.
//!
//! A request that is held costs its connection and nothing else: no thread, no buffer. One thread
//! is enough, because it only copies bytes; other threads connect to the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{ClientId, Connection, Progress};
use super::target::Target;
use crate::error::Error;
use crate::listen::gate::Lease;
use crate::listen::report::Report;
use crate::listen::unauthenticated::Unauthenticated;
use crate::net::Tunnel;
use crate::proto::post::{Event, MAX_SESSIONS, Reset, ResetCode, Sid, Table};
use crate::stream::{Interest, Registration};
use crate::sys::{Poller, PollerEvents, Source};
use crate::text::printable;
use crate::token::{Refusal, Refused};
use crate::trace::trace;
use zeroize::Zeroizing;

mod tokens;

/// Size of the buffer for one read.
const READ_SIZE: usize = 64 * 1024;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// The messages to the thread.
pub(super) struct Mailbox {
    poller: Poller,
    arrived: Mutex<Vec<Arrival>>,
}

/// A message to the thread.
pub(super) enum Arrival {
    /// A connection was accepted.
    Connection(Connection),
    /// The target of a tunnel was connected, or not.
    Target(Sid, Result<(Tunnel, Lease), NotOpened>),
    /// The new token in a request was checked.
    Renewed(Sid, u64, Result<Lease, Refused>),
    /// The token of a tunnel has become invalid.
    Revoked(Sid, Refusal),
}

/// The reason why a tunnel was not opened.
pub(super) enum NotOpened {
    /// The token does not permit it.
    Rejected(Refused),
    /// The target could not be connected for a client with this identity.
    Failed(Box<Error>, String),
}

/// A request to check the token of a tunnel.
pub(super) struct Opening {
    pub(super) sid: Sid,
    pub(super) token: Zeroizing<Vec<u8>>,
    pub(super) client: ClientId,
    /// The request whose token replaces that of a tunnel whose target is connected.
    pub(super) renewal: Option<u64>,
}

/// Starts to check the token of a tunnel on another thread, and to connect its target. Returns
/// `false` if too many are being connected.
pub(super) type Open = Box<dyn Fn(Opening) -> bool + Send>;

impl Mailbox {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { poller: Poller::new()?, arrived: Mutex::default() })
    }

    pub(super) fn send(&self, arrival: Arrival) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        // If this fails, the thread finds the message when it wakes up for another reason.
        let _ = self.poller.wake();
    }

    /// Reports when the token of a tunnel becomes invalid, at once if it already is.
    fn watch(self: &Arc<Self>, sid: Sid, lease: &Lease) {
        let mailbox = Arc::clone(self);
        lease.on_end(move |refusal| mailbox.send(Arrival::Revoked(sid, refusal)));
    }
}

/// A connection or a target. Both have numbers from the same sequence.
enum Task {
    Connection(Box<Connection>),
    Target(Box<Target>),
}

pub(super) struct Engine {
    mailbox: Arc<Mailbox>,
    table: Table,
    tasks: BTreeMap<usize, Task>,
    /// The task of each tunnel's target.
    targets: BTreeMap<Sid, usize>,
    /// The client of each tunnel whose target is not connected yet.
    clients: BTreeMap<Sid, ClientId>,
    unauthenticated: Unauthenticated,
    next_id: usize,
    alarms: BTreeSet<(Instant, usize)>,
    /// The tasks to run without a wait.
    runnable: Vec<usize>,
    open: Open,
    report: Report,
    started: Instant,
    buffer: Vec<u8>,
    sources: Vec<(Source, Interest)>,
}

impl Engine {
    pub(super) fn new(mailbox: Arc<Mailbox>, max_wait: Duration, open: Open) -> Self {
        Self {
            mailbox,
            table: Table::new(max_wait, MAX_SESSIONS),
            tasks: BTreeMap::new(),
            targets: BTreeMap::new(),
            clients: BTreeMap::new(),
            unauthenticated: Unauthenticated::default(),
            next_id: 0,
            alarms: BTreeSet::new(),
            runnable: Vec::new(),
            open,
            report: Report::default(),
            started: Instant::now(),
            buffer: vec![0; READ_SIZE],
            sources: Vec::new(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn run(mut self) {
        let mut events = PollerEvents::new();
        let mailbox = Arc::clone(&self.mailbox);
        loop {
            let timeout = self.timeout();
            let waited = mailbox.poller.wait(&mut events, timeout);
            let running = Registration::tasks_to_run(
                waited.is_ok().then_some(&events),
                &mut self.runnable,
                |id, index, ready| {
                    self.tasks.get_mut(&id).map(|task| task.registration().note(index, ready)).is_some()
                },
            );
            for id in running {
                self.advance(id);
                self.handle_events();
            }
            self.take_arrived();
            self.time_out();
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
        let table = self.table.deadline().map(|at| at.saturating_sub(self.now()));
        alarm.into_iter().chain(table).min()
    }

    fn take_arrived(&mut self) {
        let arrived =
            std::mem::take(&mut *self.mailbox.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        for arrival in arrived {
            match arrival {
                Arrival::Connection(connection) => self.add_connection(connection),
                Arrival::Target(sid, result) => self.add_target(sid, result),
                Arrival::Renewed(sid, request, result) => self.renew(sid, request, result),
                Arrival::Revoked(sid, refusal) => self.revoke(sid, refusal),
            }
            self.handle_events();
        }
    }

    fn add(&mut self, task: Task) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        self.tasks.insert(id, task);
        id
    }

    fn add_connection(&mut self, connection: Connection) {
        let address: Option<IpAddr> = connection.address();
        let id = self.add(Task::Connection(Box::new(connection)));
        if let Some(oldest) = self.unauthenticated.add(id, address) {
            trace!("closing a connection without a valid request: there are too many");
            self.remove(oldest);
        }
        self.arm(id);
    }

    fn add_target(&mut self, sid: Sid, result: Result<(Tunnel, Lease), NotOpened>) {
        let Some(client) = self.clients.remove(&sid) else { return };
        let now = self.now();
        match result {
            Ok((tunnel, lease)) => {
                self.table.connected(sid, now);
                if !self.table.is_open(sid) {
                    // The client has aborted the tunnel. Dropping the connection resets it.
                    tunnel.stream.socket().inspect(|socket| socket.reset_on_close());
                    return;
                }
                trace!("client {} has opened tunnel {sid}", client.described(lease.identity()));
                self.mailbox.watch(sid, &lease);
                let id = self.add(Task::Target(Box::new(Target::new(sid, tunnel, lease, client))));
                self.targets.insert(sid, id);
                self.arm(id);
            }
            Err(NotOpened::Rejected(Refused { why, identity })) => {
                self.reject(sid, &client.described(&identity), why);
            }
            Err(NotOpened::Failed(error, identity)) => {
                let text = error.to_string();
                let text = text.strip_prefix("cannot connect to ").unwrap_or(&text).to_owned();
                self.report.failed(&client.described(&identity), &error.user_message());
                self.table.failed(sid, Reset { code: ResetCode::Unreachable, text }, now);
            }
        }
    }

    /// Lets a task handle its events.
    fn advance(&mut self, id: usize) {
        let now = self.now();
        match self.tasks.get_mut(&id) {
            Some(Task::Connection(connection)) => {
                let events = connection.registration.take_events();
                let mut progress = connection.advance(events, &mut self.buffer);
                if let Progress::Waiting = progress
                    && let Some((sid, start)) = connection.unchecked_body()
                    && let Some(refusal) = self.table.refusal(sid, start)
                {
                    progress = connection.refuse(refusal);
                }
                self.handle_progress(id, progress);
            }
            Some(Task::Target(target)) => {
                let events = target.registration.take_events();
                if target.advance(events, &mut self.table, &mut self.buffer, now) {
                    self.remove(id);
                } else {
                    self.arm(id);
                }
            }
            None => {}
        }
    }

    fn handle_progress(&mut self, id: usize, progress: Progress) {
        match progress {
            Progress::Waiting => self.arm(id),
            Progress::Closed => self.remove(id),
            Progress::Refused(refusal) => {
                if let Some(Task::Connection(connection)) = self.tasks.get(&id) {
                    self.report.refused(&connection.client.described(""), refusal.status, refusal.why);
                }
                let progress = match self.tasks.get_mut(&id) {
                    Some(Task::Connection(connection)) => connection.write(),
                    _ => return,
                };
                self.handle_progress(id, progress);
            }
            Progress::Request(sid, body) => {
                let now = self.now();
                if let Some(Task::Connection(connection)) = self.tasks.get(&id)
                    && !self.table.knows(sid)
                {
                    self.clients.insert(sid, connection.client.clone());
                }
                self.table.request(id as u64, sid, &body, now);
                if !self.table.knows(sid) {
                    self.clients.remove(&sid);
                }
                if self.table.holds(sid, id as u64) {
                    // Web servers open a connection for each request, and a POLL may be held for
                    // long.
                    self.unauthenticated.remove(id);
                }
                self.arm(id);
            }
        }
    }

    /// Carries out what the table requests.
    fn handle_events(&mut self) {
        loop {
            let events = self.table.take_events();
            if events.is_empty() {
                return;
            }
            for event in events {
                self.handle(event);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Reply(reply) => {
                let id = usize::try_from(reply.client).unwrap_or(usize::MAX);
                if let Some(Task::Connection(connection)) = self.tasks.get_mut(&id) {
                    // A refused token is reported once for its tunnel.
                    if matches!(reply.status, 400 | 404) {
                        let why = printable(&reply.body);
                        self.report.refused(&connection.client.described(""), reply.status, &why);
                    }
                    let progress = connection.answer(reply.status, &reply.body);
                    if connection.is_authenticated {
                        self.unauthenticated.remove(id);
                    }
                    self.handle_progress(id, progress);
                }
            }
            Event::Open { sid, token } => {
                let Some(client) = self.clients.get(&sid).cloned() else { return };
                if !(self.open)(Opening { sid, token, client, renewal: None }) {
                    let now = self.now();
                    self.table.failed(sid, Reset::new(ResetCode::TooMany), now);
                }
            }
            Event::Renew { sid, client, token } => self.check_new_token(sid, client, token),
            Event::Wake(sid) => {
                let now = self.now();
                let Some(&id) = self.targets.get(&sid) else { return };
                if let Some(Task::Target(target)) = self.tasks.get_mut(&id) {
                    target.write(&mut self.table, now);
                    self.arm(id);
                }
            }
            Event::Reset(sid) => {
                let Some(&id) = self.targets.get(&sid) else { return };
                if let Some(Task::Target(target)) = self.tasks.get_mut(&id) {
                    trace!("client {} has left tunnel {sid}", target.client.name);
                    target.reset();
                }
                self.remove(id);
            }
            Event::Close(sid) => {
                let Some(id) = self.targets.remove(&sid) else { return };
                if let Some(Task::Target(target)) = self.tasks.get_mut(&id) {
                    trace!("tunnel {sid} is over");
                    if target.close() {
                        self.remove(id);
                    } else {
                        self.arm(id);
                    }
                }
            }
        }
    }

    /// Starts the next wait of a task.
    fn arm(&mut self, id: usize) {
        let Self { tasks, table, mailbox, sources, .. } = self;
        let updated = match tasks.get_mut(&id) {
            Some(Task::Connection(connection)) => {
                let mut registration = std::mem::take(&mut connection.registration);
                let updated =
                    registration.update(id, &mailbox.poller, sources, |polls| connection.register(polls));
                connection.registration = registration;
                updated.map(|is_ready| is_ready || connection.is_runnable())
            }
            Some(Task::Target(target)) => {
                let mut registration = std::mem::take(&mut target.registration);
                let updated =
                    registration.update(id, &mailbox.poller, sources, |polls| target.register(table, polls));
                target.registration = registration;
                updated
            }
            None => return,
        };
        match updated {
            Ok(is_runnable) => {
                if is_runnable {
                    self.runnable.push(id);
                }
                self.set_alarm(id);
            }
            Err(error) => {
                self.report.failed("", &format!("cannot wait for a connection: {error}"));
                self.remove(id);
            }
        }
    }

    fn set_alarm(&mut self, id: usize) {
        match self.tasks.get_mut(&id) {
            Some(Task::Connection(connection)) => {
                let deadline = connection.deadline;
                if connection.alarm.is_none_or(|alarm| deadline < alarm) {
                    if let Some(old) = connection.alarm.replace(deadline) {
                        self.alarms.remove(&(old, id));
                    }
                    self.alarms.insert((deadline, id));
                }
            }
            Some(Task::Target(target)) => {
                if let Some(timeout) = target.timeout() {
                    self.alarms.insert((Instant::now() + timeout, id));
                }
            }
            None => {}
        }
    }

    /// Handles the deadlines that have passed.
    fn time_out(&mut self) {
        let now = Instant::now();
        while let Some(&(at, id)) = self.alarms.first().filter(|(at, _)| *at <= now) {
            self.alarms.remove(&(at, id));
            let is_over = match self.tasks.get_mut(&id) {
                Some(Task::Connection(connection)) => {
                    connection.alarm = None;
                    connection.deadline <= now
                }
                Some(Task::Target(target)) => target.time_out(),
                None => continue,
            };
            if is_over {
                self.remove(id);
            } else {
                self.set_alarm(id);
            }
        }
        let now = self.now();
        self.table.time_out(now);
        self.handle_events();
    }

    /// Closes a connection.
    fn remove(&mut self, id: usize) {
        let Some(mut task) = self.tasks.remove(&id) else { return };
        task.registration().remove(&self.mailbox.poller);
        match task {
            Task::Connection(connection) => {
                if let Some(alarm) = connection.alarm {
                    self.alarms.remove(&(alarm, id));
                }
                self.unauthenticated.remove(id);
                if let Some(sid) = connection.waits_for() {
                    self.table.client_gone(sid, id as u64);
                }
            }
            Task::Target(mut target) => {
                if self.targets.get(&target.sid) == Some(&id) {
                    self.targets.remove(&target.sid);
                }
                if let Some(fault) = target.fault.take() {
                    let error =
                        Error::Remote { peer: target.peers.remote.clone(), cause: fault, unanswered: false };
                    self.report.failed(&target.described(), &error.user_message());
                }
            }
        }
    }
}

impl Task {
    fn registration(&mut self) -> &mut Registration {
        match self {
            Self::Connection(connection) => &mut connection.registration,
            Self::Target(target) => &mut target.registration,
        }
    }
}

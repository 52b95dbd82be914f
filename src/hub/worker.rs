//! A thread that serves the connections of some of the sessions.
//!
//! All connections of a session belong to one thread, so the two sides of a pair meet without
//! locks.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connection, MAX_EARLY, Parts, Received, Role, Stop};
use super::rendezvous::{Act, Client, ConnectionId, Rendezvous};
use super::report::Report;
use super::statistics::Statistics;
use crate::listen::Lease;
use crate::proto::hub::{Action, Id, Messages, Mode, Refusal, Request, ToHub};
use crate::proto::websocket::CloseCode;
use crate::stream::{Interest, KeepAlive, Registration, Stream};
use crate::sys::{self, Poller, PollerEvents, Source};
use crate::token;

mod ends;
mod pair;

/// Length of the buffer for one read.
const READ_SIZE: usize = 64 * 1024;
/// Reads in a row for one connection, so that the others get their turn.
const MAX_READS: usize = 4;
/// Interval between checks of the time limits.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// A connection whose request is valid, from the thread that reads requests.
pub(super) struct Arrived {
    pub(super) id: ConnectionId,
    pub(super) stream: Box<dyn Stream>,
    pub(super) request: Request,
    /// The bytes after the head of the request.
    pub(super) early: Vec<u8>,
    pub(super) lease: Lease,
    pub(super) name: String,
    pub(super) from: IpAddr,
    /// The time at which the request was complete.
    pub(super) since: Instant,
}

/// A message to a worker.
pub(super) enum Message {
    Connection(Box<Arrived>),
    /// The token of a connection has become invalid.
    Revoked(ConnectionId, token::Refusal),
    /// The hub shuts down after this many seconds.
    Drain(u64),
    /// The hub shuts down now.
    Stop,
}

/// The messages to a worker, and its state for the thread that waits for its end.
pub(super) struct Mailbox {
    poller: Poller,
    messages: Mutex<Vec<Message>>,
    /// The number of connections, to find out whether the worker has ended all of them.
    pub(super) open: AtomicUsize,
    /// No client waits for an origin to accept it.
    pub(super) is_quiet: AtomicBool,
}

impl Mailbox {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            messages: Mutex::default(),
            open: AtomicUsize::new(0),
            is_quiet: AtomicBool::new(true),
        })
    }

    pub(super) fn send(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        // If this fails, the worker finds the message when it wakes up for another reason.
        let _ = self.poller.wake();
    }
}

/// The settings that all workers share.
pub(super) struct Shared {
    pub(super) statistics: Statistics,
    pub(super) report: Report,
    /// Time without input before a Ping; `None` for no Pings.
    pub(super) keep_alive: Option<Duration>,
}

pub(super) struct Worker {
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
    rendezvous: Rendezvous,
    connections: HashMap<ConnectionId, Box<Connection>>,
    /// The connections to run without a wait.
    runnable: Vec<ConnectionId>,
    started: Instant,
    next_tick: Instant,
    /// The end of the time in which links move to another hub, while this one drains.
    links_move_until: Option<Instant>,
    /// The number of sessions in the statistics.
    counted_sessions: usize,
    /// The buffer for received bytes, and the one for frames to send.
    buffer: Vec<u8>,
    frames: Vec<u8>,
    sources: Vec<(Source, Interest)>,
}

impl Worker {
    pub(super) fn new(mailbox: Arc<Mailbox>, shared: Arc<Shared>) -> Self {
        Self {
            mailbox,
            shared,
            rendezvous: Rendezvous::default(),
            connections: HashMap::new(),
            runnable: Vec::new(),
            started: Instant::now(),
            next_tick: Instant::now(),
            links_move_until: None,
            counted_sessions: 0,
            buffer: vec![0; READ_SIZE],
            frames: Vec::new(),
            sources: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut events = PollerEvents::new();
        let mailbox = Arc::clone(&self.mailbox);
        loop {
            let waited = mailbox.poller.wait(&mut events, self.timeout());
            if waited.is_err() {
                thread::sleep(ERROR_DELAY);
            }
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
            self.take_messages();
            let now = Instant::now();
            if now >= self.next_tick {
                self.tick(now);
            }
            self.handle_acts();
            self.count();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        let is_idle = self.connections.is_empty();
        (!is_idle).then(|| self.next_tick.saturating_duration_since(Instant::now()))
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Updates the figures that other threads read.
    fn count(&mut self) {
        let sessions = self.rendezvous.session_count();
        let before = mem::replace(&mut self.counted_sessions, sessions);
        if before != sessions {
            let change = i64::try_from(sessions).unwrap_or(0) - i64::try_from(before).unwrap_or(0);
            self.shared.statistics.add_sessions(change);
        }
        self.mailbox.is_quiet.store(self.rendezvous.is_quiet(), Ordering::Release);
        self.mailbox.open.store(self.connections.len(), Ordering::Release);
    }

    fn take_messages(&mut self) {
        let messages = mem::take(&mut *self.mailbox.messages.lock().unwrap_or_else(PoisonError::into_inner));
        for message in messages {
            match message {
                Message::Connection(arrived) => self.add(*arrived),
                Message::Revoked(id, refusal) => self.revoke(id, refusal),
                Message::Drain(seconds) => {
                    self.rendezvous.drain(seconds);
                    self.links_move_until = Instant::now().checked_add(Duration::from_secs(seconds / 2));
                }
                Message::Stop => self.stop(),
            }
            self.handle_acts();
        }
    }

    /// Adds a connection, and answers its request unless it has to wait.
    fn add(&mut self, arrived: Arrived) {
        let Arrived { id, stream, request, early, lease, name, from, since } = arrived;
        let (now, answer) = (self.now(), request.accepted());
        let identity = lease.identity().to_owned();
        let session = request.action.session().unwrap_or_default().to_owned();
        let random = || sys::random().map(Id);
        let (role, admitted) = match request.action {
            Action::Origin { .. } => (
                Role::Origin(Messages::default()),
                self.rendezvous.register(id, &session, &identity, now, random),
            ),
            Action::Accept { offer, .. } => {
                let accepted = self.rendezvous.accept(&session, offer, &identity);
                let peer = accepted.as_ref().ok().copied();
                (Role::Data { peer, is_dest: false, is_link: false }, accepted.map(drop))
            }
            Action::Dest { mode, resume, .. } => {
                let client =
                    Client { session: session.clone(), from, subject: identity.clone(), mode, resume };
                let is_link = mode == Mode::Mux;
                let role = Role::Waiting { answer: answer.clone(), since, is_link };
                (role, self.rendezvous.add_client(id, client, now, random))
            }
            Action::Health | Action::Stats | Action::Metrics { .. } | Action::Status => return,
        };
        let keep_alive = self.shared.keep_alive.map(|interval| KeepAlive::new(interval, Instant::now()));
        let is_waiting = matches!(role, Role::Waiting { .. });
        let joined = match role {
            Role::Data { peer, .. } => peer,
            _ => None,
        };
        let parts = Parts { stream, session, role, name, lease, early, keep_alive };
        let mut connection = Box::new(Connection::new(parts));
        if let Err(refusal) = admitted {
            self.log_refusal(&connection, &refusal);
            connection.refuse(&refusal);
        } else if !is_waiting {
            connection.stream.set_reset_on_exit(true);
            // If the connection is broken, the next read reports it.
            let _ = connection.send(&answer);
        }
        if self.connections.is_empty() {
            self.next_tick = Instant::now() + TICK_INTERVAL;
        }
        self.connections.insert(id, connection);
        match joined {
            Some(client) => self.join(client, id),
            None => self.handle_early(id),
        }
        self.handle_acts();
        self.arm(id);
    }

    /// Decodes the bytes that an origin has sent with its request.
    fn handle_early(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if matches!(connection.role, Role::Origin(_)) && connection.ending.is_none() {
            let early = mem::take(&mut connection.early);
            self.control(id, &early);
        }
    }

    /// Handles the events of a connection.
    fn advance(&mut self, id: ConnectionId) {
        let peer_is_full = self.peer_is_full(id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut events = connection.registration.take_events();
        let want = connection.interest(peer_is_full);
        let ready = connection.stream.ready(want, &mut events);
        if connection.ending.is_some() {
            if connection.advance_ending(ready, &mut self.buffer) {
                return self.remove(id);
            }
            return self.arm(id);
        }
        if ready.write {
            if connection.flush().is_err() {
                return self.lost(id);
            }
            // The peer may continue to send.
            if let Role::Data { peer: Some(peer), .. } = connection.role {
                self.arm(peer);
            }
        }
        if ready.gone && !want.read {
            return self.lost(id);
        }
        if ready.read {
            self.read(id);
        }
        self.arm(id);
    }

    /// Returns `true` if the other side of the connection's pair does not accept bytes.
    fn peer_is_full(&self, id: ConnectionId) -> bool {
        let Some(Role::Data { peer: Some(peer), .. }) = self.connections.get(&id).map(|it| &it.role) else {
            return false;
        };
        self.connections.get(peer).is_some_and(|peer| !peer.output.is_empty())
    }

    fn read(&mut self, id: ConnectionId) {
        let mut buffer = mem::take(&mut self.buffer);
        for _ in 0..MAX_READS {
            let peer_is_full = self.peer_is_full(id);
            let Some(connection) = self.connections.get_mut(&id) else { break };
            if connection.ending.is_some() || !connection.interest(peer_is_full).read {
                break;
            }
            match connection.read(&mut buffer) {
                Received::Nothing => break,
                Received::End => {
                    self.lost(id);
                    break;
                }
                Received::Bytes(count) => {
                    match &connection.role {
                        Role::Origin(_) => self.control(id, &buffer[..count]),
                        Role::Waiting { .. } => connection.early.extend_from_slice(&buffer[..count]),
                        Role::Data { .. } => self.relay(id, &buffer[..count]),
                    }
                    if count < READ_SIZE {
                        break;
                    }
                }
            }
        }
        self.buffer = buffer;
    }

    /// Handles bytes of an origin's control connection.
    fn control(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (messages, result) = connection.decode_messages(bytes);
        let mut result = result;
        for message in messages {
            match ToHub::parse(&message) {
                Ok(Some(message)) => self.rendezvous.refuse(id, &message),
                Ok(None) => {}
                Err(_) => result = Err(CloseCode::PROTOCOL_ERROR),
            }
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match result {
            Ok(None) => return,
            Ok(Some(Stop::Closed(close))) => connection.close(close.answer(), ""),
            Ok(Some(Stop::Malformed(cause))) => {
                connection.close(CloseCode::PROTOCOL_ERROR, &cause.to_string());
            }
            Err(code) => connection.close(code, "invalid control message"),
        }
        self.origin_left(id);
    }

    /// Handles a connection that is broken, or was closed without a Close.
    fn lost(&mut self, id: ConnectionId) {
        self.leave(id);
        self.remove(id);
    }

    /// Removes a connection from its session.
    fn leave(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else { return };
        match connection.role {
            Role::Origin(_) => self.origin_left(id),
            Role::Waiting { .. } => self.rendezvous.client_left(id),
            Role::Data { .. } => self.end_pair(id, None),
        }
    }

    fn origin_left(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id) {
            self.rendezvous.origin_left(id, &connection.session);
        }
    }

    /// Performs the actions that the rendezvous has decided.
    fn handle_acts(&mut self) {
        loop {
            let acts = self.rendezvous.take_acts();
            if acts.is_empty() {
                return;
            }
            for act in acts {
                self.perform(act);
            }
        }
    }

    fn perform(&mut self, act: Act) {
        let (Act::Send(id, _) | Act::Refuse(id, _) | Act::Replace(id)) = act;
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match act {
            Act::Send(_, message) => {
                let sent = connection.send_text(&message.encode());
                // An origin that accepts nothing would make us hold one offer after another.
                if sent.is_err() || connection.output.len() > MAX_EARLY {
                    return self.lost(id);
                }
            }
            Act::Refuse(_, refusal) => {
                connection.refuse(&refusal);
                if let Some(connection) = self.connections.get(&id) {
                    self.log_refusal(connection, &refusal);
                }
            }
            Act::Replace(_) => {
                connection.close(CloseCode::REPLACED, "another origin has taken over the session");
            }
        }
        self.arm(id);
    }

    fn log_refusal(&self, connection: &Connection, refusal: &Refusal) {
        let Connection { name, session, lease, .. } = connection;
        self.shared.statistics.add_refusal(refusal.label);
        self.shared.report.refused(name, Some(session), lease.identity(), refusal);
    }

    /// Starts the next wait of a connection.
    fn arm(&mut self, id: ConnectionId) {
        let peer_is_full = self.peer_is_full(id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // The end may need no wait at all.
        let is_new_end = connection.ending.as_ref().is_some_and(|ending| !ending.has_begun());
        if is_new_end && connection.advance_ending(sys::Ready::default(), &mut self.buffer) {
            return self.remove(id);
        }
        let want = connection.interest(peer_is_full);
        let Connection { stream, registration, .. } = &mut **connection;
        let poller = &self.mailbox.poller;
        match registration.update(id, poller, &mut self.sources, |polls| stream.register(want, polls)) {
            Ok(true) => self.runnable.push(id),
            Ok(false) => {}
            Err(_) => self.lost(id),
        }
    }

    /// Drops a connection that has left its session.
    fn remove(&mut self, id: ConnectionId) {
        if let Some(mut connection) = self.connections.remove(&id) {
            connection.registration.remove(&self.mailbox.poller);
        }
    }
}

//! The thread that reads the heads of all requests, and checks their tokens.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::output::{Ending, Output};
use super::status;
use super::worker::{Arrived, Mailbox, Message, Shared};
use crate::bypass::Prefix;
use crate::listen::{Gate, Lease, Unauthenticated};
use crate::proto::hub::{Action, HeadReader, Label, Refusal, Request, Site};
use crate::proto::server::client_address;
use crate::stream::{Events, Interest, Registration, Stream};
use crate::sys::{self, Poller, PollerEvents, Source};
use crate::token::{Refused, Role, Usage};
use crate::trace::trace;

/// Limit for the head of a request, including the TLS handshake before it.
const HUB_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for a client to accept the answer to its request.
const HUB_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Length of the buffer for one read.
const READ_SIZE: usize = 16 * 1024;
/// Interval between checks of the time limits.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: Box<dyn Stream>,
    pub(super) site: Arc<Site>,
    /// The client's name, for messages.
    pub(super) name: String,
    pub(super) address: IpAddr,
}

/// The messages to the thread.
pub(super) struct Inbox {
    poller: Poller,
    accepted: Mutex<Vec<Accepted>>,
    pub(super) is_draining: AtomicBool,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { poller: Poller::new()?, accepted: Mutex::default(), is_draining: AtomicBool::new(false) })
    }

    pub(super) fn send(&self, accepted: Accepted) {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(accepted);
        // If this fails, the thread finds the connection when it wakes up for another reason.
        let _ = self.poller.wake();
    }
}

/// A connection whose request is incomplete, or was answered.
struct Head {
    accepted: Accepted,
    registration: Registration,
    reader: HeadReader,
    output: Output,
    ending: Option<Ending>,
    deadline: Instant,
}

/// The result of reading from a connection.
enum Progress {
    Waiting,
    Closed,
    Refused(Refusal),
    /// The request, and the bytes after its head.
    Request(Box<Request>, Vec<u8>),
}

pub(super) struct Front {
    inbox: Arc<Inbox>,
    workers: Vec<Arc<Mailbox>>,
    shared: Arc<Shared>,
    gate: Gate,
    /// The networks of the web servers that name the client in X-Forwarded-For.
    forwarders: Vec<Prefix>,
    heads: BTreeMap<usize, Head>,
    unauthenticated: Unauthenticated,
    next_id: usize,
    next_tick: Instant,
    runnable: Vec<usize>,
    hasher: RandomState,
    buffer: Vec<u8>,
    sources: Vec<(Source, Interest)>,
}

impl Front {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        workers: Vec<Arc<Mailbox>>,
        shared: Arc<Shared>,
        gate: Gate,
        forwarders: Vec<Prefix>,
    ) -> Self {
        Self {
            inbox,
            workers,
            shared,
            gate,
            forwarders,
            heads: BTreeMap::new(),
            unauthenticated: Unauthenticated::default(),
            next_id: 0,
            next_tick: Instant::now(),
            runnable: Vec::new(),
            hasher: RandomState::new(),
            buffer: vec![0; READ_SIZE],
            sources: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut events = PollerEvents::new();
        let inbox = Arc::clone(&self.inbox);
        loop {
            let timeout = if self.runnable.is_empty() {
                (!self.heads.is_empty()).then(|| self.next_tick.saturating_duration_since(Instant::now()))
            } else {
                Some(Duration::ZERO)
            };
            let waited = inbox.poller.wait(&mut events, timeout);
            if waited.is_err() {
                thread::sleep(ERROR_DELAY);
            }
            let running = Registration::tasks_to_run(
                waited.is_ok().then_some(&events),
                &mut self.runnable,
                |id, index, ready| {
                    self.heads.get_mut(&id).map(|task| task.registration.note(index, ready)).is_some()
                },
            );
            for id in running {
                self.advance(id);
            }
            self.take_accepted();
            if Instant::now() >= self.next_tick {
                self.tick();
            }
        }
    }

    fn take_accepted(&mut self) {
        let accepted = mem::take(&mut *self.inbox.accepted.lock().unwrap_or_else(PoisonError::into_inner));
        for accepted in accepted {
            let id = self.next_id;
            self.next_id += 1;
            let now = Instant::now();
            if self.heads.is_empty() {
                self.next_tick = now + TICK_INTERVAL;
            }
            let address = accepted.address;
            self.heads.insert(id, Head::new(accepted, now + HUB_HEAD_TIMEOUT));
            if let Some(oldest) = self.unauthenticated.add(id, Some(address)) {
                self.shared.statistics.add_refusal(Label::Limit);
                trace!("closing the oldest connection without a request: there are too many");
                self.remove(oldest);
            }
            self.arm(id);
        }
    }

    /// Handles the events of a connection.
    fn advance(&mut self, id: usize) {
        let Some(head) = self.heads.get_mut(&id) else { return };
        let events = head.registration.take_events();
        match head.advance(events, &mut self.buffer) {
            Progress::Waiting => self.arm(id),
            Progress::Closed => self.remove(id),
            Progress::Refused(refusal) => {
                let header = head.reader.forwarded_for();
                self.identify(id, header.as_deref());
                self.refuse(id, None, "", &refusal);
            }
            Progress::Request(request, early) => self.accept(id, *request, early),
        }
    }

    /// Answers a request, or passes its connection to a worker.
    fn accept(&mut self, id: usize, request: Request, early: Vec<u8>) {
        let since = Instant::now();
        let is_draining = self.inbox.is_draining.load(Ordering::Acquire);
        let Some(from) = self.identify(id, request.forwarded_for.as_deref()) else { return };
        let session = request.action.session().map(str::to_owned);
        match request.action {
            Action::Health if is_draining => {
                return self.answer(id, &Refusal::new(503, Label::Draining, "draining").bytes());
            }
            Action::Health => return self.answer(id, &page("text/plain; charset=utf-8", "", "ok\n")),
            Action::Status => {
                return self.answer(id, &page("text/html; charset=utf-8", &status::fields(), status::PAGE));
            }
            Action::Origin { .. } | Action::Dest { .. } if is_draining => {
                return self.refuse(id, session.as_deref(), "", &Refusal::draining());
            }
            _ => {}
        }
        let statistics = &self.shared.statistics;
        let lease = match self.admit(&request, from) {
            Ok(lease) => lease,
            Err(Refused { why, identity }) => {
                return self.refuse(id, session.as_deref(), &identity, &why.into());
            }
        };
        match request.action {
            Action::Stats => {
                let page = page("application/json", "", &statistics.json());
                self.answer(id, &page);
            }
            Action::Metrics { open } => {
                let kind = if open {
                    "application/openmetrics-text; version=1.0.0; charset=utf-8"
                } else {
                    "text/plain; version=0.0.4; charset=utf-8"
                };
                let page = page(kind, "", &statistics.metrics(open));
                self.answer(id, &page);
            }
            _ => self.hand_over(id, request, early, lease, from, since),
        }
    }

    /// Names the client of a connection, and returns its address: those of the connection, unless a
    /// web server in front names another one in X-Forwarded-For. Returns `None` if the connection
    /// is gone.
    fn identify(&mut self, id: usize, header: Option<&str>) -> Option<IpAddr> {
        let Accepted { name, address, .. } = &mut self.heads.get_mut(&id)?.accepted;
        let from = client_address(*address, header, &self.forwarders);
        if from != *address {
            *name = from.to_string();
        }
        Some(from)
    }

    fn admit(&self, request: &Request, from: IpAddr) -> Result<Lease, Refused> {
        let role = match request.action {
            Action::Origin { .. } | Action::Accept { .. } => Role::Origin,
            Action::Dest { .. } => Role::Dest,
            Action::Health | Action::Stats | Action::Metrics { .. } | Action::Status => Role::Stats,
        };
        let usage = Usage { role, session: request.action.session() };
        let token = request.token.as_ref().map(crate::secret::Secret::expose);
        self.gate.admit(token, usage, from)
    }

    /// Passes a connection to the worker of its session.
    fn hand_over(
        &mut self,
        id: usize,
        request: Request,
        early: Vec<u8>,
        lease: Lease,
        from: IpAddr,
        since: Instant,
    ) {
        let Some(head) = self.take(id) else { return };
        let hash = self.hasher.hash_one(request.action.session());
        let index = usize::try_from(hash % self.workers.len().max(1) as u64).unwrap_or_default();
        let Some(worker) = self.workers.get(index) else { return };
        let Accepted { stream, name, .. } = head.accepted;
        trace!("client {name} ({}): {:?}", lease.identity(), request);
        let revoked = Arc::clone(worker);
        lease.on_end(move |refusal| revoked.send(Message::Revoked(id, refusal)));
        let arrived = Arrived { id, stream, request, early, lease, name, from, since };
        worker.send(Message::Connection(Box::new(arrived)));
    }

    fn refuse(&mut self, id: usize, session: Option<&str>, identity: &str, refusal: &Refusal) {
        if let Some(head) = self.heads.get(&id) {
            self.shared.statistics.add_refusal(refusal.label);
            self.shared.report.refused(&head.accepted.name, session, identity, refusal);
        }
        self.answer(id, &refusal.bytes());
    }

    /// Sends a response, after which the connection ends.
    fn answer(&mut self, id: usize, response: &[u8]) {
        let Some(head) = self.heads.get_mut(&id) else { return };
        head.deadline = Instant::now() + HUB_ANSWER_TIMEOUT;
        if head.output.send(&mut *head.accepted.stream, response).is_err() {
            return self.remove(id);
        }
        head.ending = Some(Ending::default());
        if head.end(sys::Ready::default(), &mut self.buffer) {
            return self.remove(id);
        }
        self.arm(id);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.next_tick = now + TICK_INTERVAL;
        let late =
            |head: &Head| head.deadline <= now || head.ending.as_ref().is_some_and(|it| it.is_over(now));
        let late: Vec<_> = self.heads.iter().filter(|(_, head)| late(head)).map(|(id, _)| *id).collect();
        for id in late {
            self.remove(id);
        }
    }

    fn arm(&mut self, id: usize) {
        let Some(head) = self.heads.get_mut(&id) else { return };
        let want = head.interest();
        let Head { accepted, registration, .. } = head;
        let stream = &accepted.stream;
        match registration
            .update(id, &self.inbox.poller, &mut self.sources, |polls| stream.register(want, polls))
        {
            Ok(true) => self.runnable.push(id),
            Ok(false) => {}
            Err(_) => self.remove(id),
        }
    }

    fn take(&mut self, id: usize) -> Option<Head> {
        self.unauthenticated.remove(id);
        let mut head = self.heads.remove(&id)?;
        head.registration.remove(&self.inbox.poller);
        Some(head)
    }

    fn remove(&mut self, id: usize) {
        self.take(id);
    }
}

impl Head {
    fn new(accepted: Accepted, deadline: Instant) -> Self {
        Self {
            accepted,
            registration: Registration::default(),
            reader: HeadReader::default(),
            output: Output::default(),
            ending: None,
            deadline,
        }
    }

    fn interest(&self) -> Interest {
        Interest { read: true, write: !self.output.is_empty(), hangup: false }
    }

    fn end(&mut self, ready: sys::Ready, buffer: &mut [u8]) -> bool {
        let Self { accepted, output, ending, .. } = self;
        ending.as_mut().is_some_and(|ending| ending.advance(&mut *accepted.stream, output, ready, buffer))
    }

    fn advance(&mut self, mut events: Events, buffer: &mut [u8]) -> Progress {
        let ready = self.accepted.stream.ready(self.interest(), &mut events);
        if self.ending.is_some() {
            return if self.end(ready, buffer) { Progress::Closed } else { Progress::Waiting };
        }
        if ready.write {
            // An error shows up in the next read.
            let _ = self.accepted.stream.flush();
        }
        if ready.read { self.read(buffer) } else { Progress::Waiting }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Progress {
        match self.accepted.stream.read(buffer) {
            Ok(0) => Progress::Closed,
            Ok(count) => match self.reader.receive(&buffer[..count], &self.accepted.site) {
                Ok((_, None)) => Progress::Waiting,
                Ok((taken, Some(request))) => {
                    Progress::Request(Box::new(request), buffer[taken..count].to_vec())
                }
                Err(refusal) => Progress::Refused(refusal),
            },
            Err(error) if sys::is_transient(&error) => Progress::Waiting,
            Err(_) => Progress::Closed,
        }
    }
}

/// Returns a response with status 200. Each of the `fields` ends in a line break.
fn page(kind: &str, fields: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         {fields}Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

//! A connection that carries requests: from a client, or from a web server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bypass::Prefix;
use crate::listen::report::client_text;
use crate::plan::PostTransport;
use crate::proto::post::{Form, HttpRequests, Named, ReadRequest, Received, Refusal, ScgiRequest, Sid};
use crate::proto::server::client_address;
use crate::stream::{Events, Interest, PollSet, Registration, Stream};
use crate::sys;
use crate::text::printable;

/// Limit for the head of a request, and for the TLS handshake before the first one.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for the body of a request, and for a client to accept an answer.
const REQUEST_BODY_TIMEOUT: Duration = Duration::from_secs(300);
/// A connection without a request is closed after this time.
const KEPT_CONNECTION_TIMEOUT: Duration = Duration::from_secs(90);
/// Maximum length of a body that is received without a look at its start.
const MAX_UNCHECKED_BODY: usize = 64 * 1024;
/// Limit for a client to close the connection after the last answer.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Reads in a row for one connection, so that the others get their turn.
const MAX_READS: usize = 16;

/// The settings of a listener.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) transport: PostTransport,
    pub(super) path: String,
    /// The session that tokens must name; `None` without a check of tokens.
    pub(super) session: Option<String>,
    /// The networks of the web servers that name the client in X-Forwarded-For.
    pub(super) forwarders: Vec<Prefix>,
}

/// The client that has sent a request.
#[derive(Clone, Debug)]
pub(super) struct ClientId {
    /// The name for messages.
    pub(super) name: String,
    /// Our address and the client's; `None` for a program on this machine. The client's port is 0
    /// if a web server has named the client.
    pub(super) addrs: Option<(SocketAddr, SocketAddr)>,
    /// The listener.
    pub(super) site: Arc<Site>,
}

impl ClientId {
    /// Returns the client's address; `None` for a program on this machine.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.addrs.map(|(_, theirs)| theirs.ip())
    }

    /// Describes the client for messages.
    pub(super) fn described(&self, identity: &str) -> String {
        client_text(&self.name, self.site.session.as_deref(), identity)
    }

    /// Returns the client of a request that arrived on a connection with this peer. `named` is the
    /// client that the request names.
    fn of_request(&self, named: &Named) -> Self {
        let mut client = self.clone();
        if let Some(reported) = &named.client {
            client.name = printable(reported.as_bytes());
            client.addrs = reported.parse().ok().map(|address| self.with_address(address));
        }
        let forwarders = &self.site.forwarders;
        if let Some(peer) = client.address().or(self.address()).filter(|_| !forwarders.is_empty()) {
            let address = client_address(peer, named.forwarded.as_deref(), forwarders);
            if address != peer {
                client.name = address.to_string();
                client.addrs = Some(self.with_address(address));
            }
        }
        client
    }

    /// Returns our address and that of a client that a web server has named.
    fn with_address(&self, client: IpAddr) -> (SocketAddr, SocketAddr) {
        // A web server that connects to a UNIX-domain socket does not say where its client did.
        let unspecified = match client {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let ours = self.addrs.map_or(SocketAddr::new(unspecified, 0), |(ours, _)| ours);
        (ours, SocketAddr::new(client, 0))
    }
}

/// A connection with at most one request at a time.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    pub(super) registration: Registration,
    reader: Box<dyn ReadRequest>,
    /// The client or the web server at the other end.
    peer: ClientId,
    /// The client of the current request.
    pub(super) client: ClientId,
    state: State,
    /// The start of a long body was checked.
    is_checked: bool,
    /// Bytes received after the current request.
    received: Vec<u8>,
    /// The client has sent EOF, but may still wait for the answer.
    has_ended: bool,
    output: Vec<u8>,
    written: usize,
    pub(super) deadline: Instant,
    /// The time at which the deadline is checked next.
    pub(super) alarm: Option<Instant>,
    /// The connection has carried a valid request.
    pub(super) is_authenticated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// The request waits for its answer.
    Waiting {
        sid: Sid,
        form: Form,
    },
    /// The answer is being written.
    Writing {
        closes: bool,
    },
    /// The last answer is written. Reading on avoids a reset, which could destroy it.
    Closing,
}

/// The result of [`Connection::advance`].
pub(super) enum Progress {
    /// A request is complete.
    Request(Sid, Vec<u8>),
    /// A request was refused. The connection closes after the answer.
    Refused(Refusal),
    /// The connection must wait for events.
    Waiting,
    /// The connection is over.
    Closed,
}

fn reader(site: &Site) -> Box<dyn ReadRequest> {
    match site.transport {
        PostTransport::Scgi => Box::new(ScgiRequest::new(&site.path)),
        PostTransport::Http | PostTransport::Https => Box::new(HttpRequests::new(&site.path)),
    }
}

impl Connection {
    pub(super) fn new(
        mut stream: Box<dyn Stream>,
        site: &Arc<Site>,
        name: String,
        addrs: Option<(SocketAddr, SocketAddr)>,
    ) -> Self {
        // A client recognizes a truncated answer by its length.
        stream.set_reset_on_exit(false);
        let peer = ClientId { name, addrs, site: Arc::clone(site) };
        Self {
            stream,
            registration: Registration::default(),
            reader: reader(&peer.site),
            client: peer.clone(),
            peer,
            state: State::Reading,
            is_checked: false,
            received: Vec::new(),
            has_ended: false,
            output: Vec::new(),
            written: 0,
            deadline: Instant::now() + REQUEST_HEAD_TIMEOUT,
            alarm: None,
            is_authenticated: false,
        }
    }

    /// Returns the address of the client or the web server; `None` for a UNIX-domain socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.peer.address()
    }

    fn is_scgi(&self) -> bool {
        self.client.site.transport == PostTransport::Scgi
    }

    /// Returns the tunnel whose answer the connection waits for.
    pub(super) fn waits_for(&self) -> Option<Sid> {
        match self.state {
            State::Waiting { sid, .. } => Some(sid),
            State::Reading | State::Writing { .. } | State::Closing => None,
        }
    }

    fn interest(&self) -> Interest {
        let read = !self.has_ended && self.received.is_empty();
        match self.state {
            State::Reading | State::Waiting { .. } => Interest { read, ..Interest::default() },
            State::Writing { .. } => Interest::WRITE,
            State::Closing => Interest { read, write: self.stream.undelivered() > 0, hangup: false },
        }
    }

    pub(super) fn register<'a>(&'a self, polls: &mut PollSet<'a>) {
        self.stream.register(self.interest(), polls);
    }

    /// Returns `true` if bytes for the next request have been received already.
    pub(super) fn is_runnable(&self) -> bool {
        self.state == State::Reading && !self.received.is_empty()
    }

    /// Handles the events of the last wait.
    pub(super) fn advance(&mut self, mut events: Events, buffer: &mut [u8]) -> Progress {
        let ready = self.stream.ready(self.interest(), &mut events);
        if ready.write {
            // An error shows up in the next write or read.
            let _ = self.stream.flush();
        }
        match self.state {
            State::Waiting { .. } if ready.gone => return Progress::Closed,
            State::Writing { .. } => return self.write(),
            State::Closing if ready.read => return self.discard(buffer),
            State::Reading if self.is_runnable() => {
                let received = std::mem::take(&mut self.received);
                if let Some(progress) = self.process(&received) {
                    return progress;
                }
            }
            State::Reading | State::Waiting { .. } | State::Closing => {}
        }
        if ready.read { self.read(buffer) } else { Progress::Waiting }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Progress {
        for _ in 0..MAX_READS {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.has_ended = true;
                    let is_waiting = matches!(self.state, State::Waiting { .. });
                    return if is_waiting { Progress::Waiting } else { Progress::Closed };
                }
                Ok(count) => {
                    if let Some(progress) = self.process(&buffer[..count]) {
                        return progress;
                    }
                    if !self.received.is_empty() {
                        return Progress::Waiting;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waiting,
                Err(_) => return Progress::Closed,
            }
        }
        Progress::Waiting
    }

    /// Passes bytes to the reader. Returns `None` unless a request is complete or refused.
    fn process(&mut self, bytes: &[u8]) -> Option<Progress> {
        if self.state != State::Reading {
            self.received.extend_from_slice(bytes);
            return None;
        }
        let (was_idle, had_head) = (self.reader.is_idle(), self.reader.has_head());
        match self.reader.receive(bytes) {
            Ok((count, Some(request))) => {
                self.received.extend_from_slice(&bytes[count..]);
                Some(self.accept(request))
            }
            Ok((_, None)) => {
                if self.reader.has_head() && !had_head {
                    self.deadline = Instant::now() + REQUEST_BODY_TIMEOUT;
                } else if was_idle && self.is_authenticated && !self.reader.is_idle() {
                    self.deadline = Instant::now() + REQUEST_HEAD_TIMEOUT;
                }
                None
            }
            Err(refusal) => Some(self.refuse(refusal)),
        }
    }

    /// Returns the tunnel and the start of a body that is long, once for each request.
    pub(super) fn unchecked_body(&mut self) -> Option<(Sid, &[u8])> {
        let (sid, start) = self.reader.partial().filter(|(_, start)| start.len() > MAX_UNCHECKED_BODY)?;
        (!std::mem::replace(&mut self.is_checked, true)).then_some((sid, start))
    }

    /// Answers a request that is not complete.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Progress {
        let form =
            if self.is_scgi() { Form::Scgi } else { Form::Http { keeps_alive: false, is_http_1_0: false } };
        // A web server may send the requests of several clients on one connection.
        self.client = self.peer.of_request(&self.reader.named());
        // Frees the body.
        self.reader = reader(&self.client.site);
        self.send(form.refusal(refusal), true);
        Progress::Refused(refusal)
    }

    fn accept(&mut self, request: Received) -> Progress {
        let Received { sid, body, keeps_alive, is_http_1_0, named } = request;
        self.is_checked = false;
        self.client = self.peer.of_request(&named);
        let form = if self.is_scgi() { Form::Scgi } else { Form::Http { keeps_alive, is_http_1_0 } };
        self.state = State::Waiting { sid, form };
        // The table of tunnels limits the wait.
        self.deadline = Instant::now() + 10 * REQUEST_BODY_TIMEOUT;
        Progress::Request(sid, body)
    }

    /// Answers the request.
    pub(super) fn answer(&mut self, status: u16, body: &[u8]) -> Progress {
        let State::Waiting { form, .. } = self.state else { return Progress::Waiting };
        self.is_authenticated |= status == 200;
        let closes = self.has_ended || !matches!(form, Form::Http { keeps_alive: true, .. });
        self.send(form.answer(status, body), closes);
        self.write()
    }

    fn send(&mut self, answer: Vec<u8>, closes: bool) {
        (self.output, self.written) = (answer, 0);
        self.state = State::Writing { closes };
        self.deadline = Instant::now() + REQUEST_BODY_TIMEOUT;
    }

    /// Writes the rest of the answer.
    pub(super) fn write(&mut self) -> Progress {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waiting,
                Err(_) => return Progress::Closed,
            }
        }
        match self.stream.flush() {
            Ok(()) => {}
            Err(error) if sys::is_transient(&error) => return Progress::Waiting,
            Err(_) => return Progress::Closed,
        }
        (self.output, self.written) = (Vec::new(), 0);
        if self.state != (State::Writing { closes: true }) {
            self.state = State::Reading;
            self.deadline = Instant::now() + KEPT_CONNECTION_TIMEOUT;
            return Progress::Waiting;
        }
        self.state = State::Closing;
        self.received = Vec::new();
        self.deadline = Instant::now() + LAST_ANSWER_TIMEOUT;
        let is_closed = self.stream.shut_down_writing().is_err() || self.has_ended;
        if is_closed { Progress::Closed } else { Progress::Waiting }
    }

    fn discard(&mut self, buffer: &mut [u8]) -> Progress {
        match self.stream.read(buffer) {
            Ok(1..) => Progress::Waiting,
            Err(error) if sys::is_transient(&error) => Progress::Waiting,
            Ok(0) | Err(_) => Progress::Closed,
        }
    }
}

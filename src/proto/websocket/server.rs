//! The server's side of the opening handshake (RFC 6455 §4.2).

use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use httparse::{EMPTY_HEADER, Error as ParseError, Header, Status};
use zeroize::Zeroizing;

use super::accept::accept_value;
use super::refusal::refusal_response;
use crate::proto::server::{Origin, Refusal, Rejection, Server, Step, forwarded_in};
use crate::proto::{Limit, Wire};
use crate::secret::Secret;

/// Maximum length of the head of a request for a WebSocket.
const MAX_REQUEST_HEAD: usize = 16 * 1024;

/// Maximum number of header fields in it.
const MAX_REQUEST_FIELDS: usize = 100;

/// The requests that a listener accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The path of the requests. Their query is ignored.
    pub path: String,
    /// The origins whose pages may connect. A client that is not a browser sends no Origin.
    pub origins: Vec<Origin>,
}

/// The handshake with one client.
pub struct ServerHandshake {
    site: Arc<Site>,
    state: State,
    /// The incomplete head. It may contain a token.
    head: Zeroizing<Vec<u8>>,
    /// The request, once it is valid.
    request: Option<Request>,
}

/// A valid request.
struct Request {
    key: String,
    token: Option<Secret>,
}

enum State {
    Head,
    Send(Vec<u8>, Box<State>),
    Open,
    Relay,
    Close(Option<Rejection>),
}

/// An answer other than 101.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    why: String,
}

impl ServerHandshake {
    /// Waits for a request.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        Self { site, state: State::Head, head: Zeroizing::new(Vec::new()), request: None }
    }

    /// Returns the bearer token in the request; `None` if it has none.
    #[must_use]
    pub fn token(&self) -> Option<&[u8]> {
        self.request.as_ref()?.token.as_ref().map(Secret::expose)
    }

    /// Returns the value of X-Forwarded-For, even if the request was refused; `None` if there is
    /// none.
    #[must_use]
    pub fn forwarded_for(&self) -> Option<String> {
        forwarded_in(&self.head)
    }

    /// Answers a valid request with this status, and one line of text.
    pub fn reject(&mut self, status: u16, why: String) {
        self.state = close(Answer { status, why });
    }

    /// Returns the next state after a complete head.
    fn decide(&mut self) -> State {
        match parse(&self.head, &self.site) {
            Ok(request) => {
                self.request = Some(request);
                State::Open
            }
            Err(answer) => close(answer),
        }
    }
}

fn close(answer: Answer) -> State {
    let bytes = answer.bytes();
    let Answer { status, why } = answer;
    State::Send(bytes, Box::new(State::Close(Some(Rejection::Web { status, why }))))
}

impl Answer {
    fn new(status: u16, why: &str) -> Self {
        Self { status, why: why.into() }
    }

    fn bytes(&self) -> Vec<u8> {
        refusal_response(self.status, &self.why)
    }
}

/// Checks a head that ends in an empty line, in the order of the statuses: 431, 400, 404, 405, 403,
/// 426.
fn parse(head: &[u8], site: &Site) -> Result<Request, Answer> {
    let mut fields = [EMPTY_HEADER; MAX_REQUEST_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Err(ParseError::TooManyHeaders) => return Err(Answer::new(431, "too many header fields")),
        Ok(_) | Err(_) => return Err(Answer::new(400, "malformed HTTP request")),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Answer::new(400, "malformed HTTP request"));
    };
    let fields = Fields(parsed.headers);
    let hosts = fields.values("host").count();
    if hosts > 1 || (hosts == 0 && minor > 0) {
        return Err(Answer::new(400, "missing or repeated Host field"));
    }
    let has_body = fields.values("content-length").any(|length| length != "0")
        || fields.values("transfer-encoding").next().is_some();
    if path(target) != site.path {
        return Err(Answer::new(404, "unknown path"));
    }
    if method != "GET" {
        return Err(Answer::new(405, "this path accepts only WebSocket requests"));
    }
    if has_body {
        return Err(Answer::new(400, "request with a body"));
    }
    if let Some(origin) = fields.values("origin").find(|origin| !Origin::is_in(origin, &site.origins)) {
        return Err(Answer { status: 403, why: format!("origin not allowed: {}", printable(origin)) });
    }
    let is_upgrade =
        minor > 0 && fields.lists("upgrade", "websocket") && fields.lists("connection", "upgrade");
    if !is_upgrade || !fields.values("sec-websocket-version").eq(["13"]) {
        return Err(Answer::new(426, "this path accepts only WebSocket requests, version 13"));
    }
    let key = fields.values("sec-websocket-key").next().unwrap_or_default();
    if BASE64_STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err(Answer::new(400, "invalid Sec-WebSocket-Key"));
    }
    let bearer = fields.values("authorization").find_map(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Secret::from(token.trim()))
    });
    Ok(Request { key: key.to_owned(), token: bearer })
}

fn printable(text: &str) -> String {
    crate::text::printable(text.as_bytes())
}

/// Returns the path of a request target (RFC 9112 §3.2), without the query.
fn path(target: &str) -> &str {
    let after_scheme = target.split_once("://").map(|(_, rest)| rest);
    let path = match after_scheme.filter(|_| !target.starts_with('/')) {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The fields of a head. Values that are not UTF-8 count as empty.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// Returns all values of a field.
    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| str::from_utf8(field.value).unwrap_or_default().trim())
    }

    /// Returns `true` if the comma-separated values of a field include `item`, ignoring case.
    fn lists(&self, name: &'static str, item: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(item))
    }
}

impl Server for ServerHandshake {
    fn step(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Close(None)) {
            State::Head => {
                self.state = State::Head;
                Step::Receive(Limit::Unknown)
            }
            State::Send(bytes, next) => {
                self.state = *next;
                Step::Send(Wire::public(bytes))
            }
            State::Open => {
                self.state = State::Open;
                Step::Open
            }
            State::Relay => {
                self.state = State::Relay;
                Step::Relay
            }
            State::Close(why) => {
                self.state = State::Close(why.clone());
                Step::Close(why)
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            self.head.push(byte);
            if self.head.len() > MAX_REQUEST_HEAD {
                self.state = close(Answer::new(431, "header too long"));
                return index + 1;
            }
            if byte == b'\n' && (self.head.ends_with(b"\r\n\r\n") || self.head.ends_with(b"\n\n")) {
                self.state = self.decide();
                return index + 1;
            }
        }
        bytes.len()
    }

    fn closed(&mut self) {
        self.state = State::Close(Some(Rejection::Closed));
    }

    fn timed_out(&mut self) {
        let bytes = Answer::new(408, "the request took too long").bytes();
        self.state = State::Send(bytes, Box::new(State::Close(Some(Rejection::TimedOut))));
    }

    fn connected(&mut self, _: Option<SocketAddr>, _: bool) {
        let Some(request) = &self.request else { return };
        let mut answer = String::from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
        let _ = write!(
            answer,
            "Connection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nConnect-Half-Close: 1\r\n\r\n",
            accept_value(&request.key)
        );
        self.state = State::Send(answer.into_bytes(), Box::new(State::Relay));
    }

    fn refused(&mut self, why: Refusal) {
        let bytes = Answer::new(502, why.text()).bytes();
        self.state = State::Send(bytes, Box::new(State::Close(None)));
    }
}

/// The head may contain a token.
impl fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerHandshake")
    }
}

#[cfg(test)]
mod tests;

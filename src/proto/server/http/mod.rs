//! The server side of HTTP: CONNECT (RFC 9110 §9.3.6), and requests in absolute form (RFC 9112
//! §3.2.2), which are forwarded.
//!
//! - A client connection carries one request. Both sides receive `Connection: close`.
//! - [`request`] decides whether a head is valid, and makes the head for the target from it.
//! - [`body`] passes on exactly the body of that request, so nothing after it reaches the target.
//! - [`response`] makes the head for the client from the target's. The body follows as it is.
//! - A client that waits for `100 Continue` gets it from the target.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::logins::Logins;
use super::machine::{Filters, Kind, Server, Step};
use super::reason::{Refusal, Rejection};
use crate::addr::Endpoint;
use crate::proto::{ForwardRequest, Limit, Wire};
use answer::Answer;
use body::RequestBody;
use fields::MAX_HEAD;
use request::{Failure, Forwarded, Request};
use response::Response;

mod answer;
mod body;
mod fields;
mod request;
mod response;

/// Listens with `--listen http://…`.
pub(super) static HTTP: Kind =
    Kind { scheme: "http", name: "HTTP", tls: false, make: |logins| Box::new(Http::new(logins)) };

/// Listens with `--listen https://…`.
pub(super) static HTTPS: Kind =
    Kind { scheme: "https", name: "HTTPS", tls: true, make: |logins| Box::new(Http::new(logins)) };

/// The state of one client's handshake.
struct Http {
    logins: Option<Arc<Logins>>,
    state: State,
    /// The incomplete head. It may contain a password.
    head: Zeroizing<Vec<u8>>,
    /// The request, while its target is being connected.
    request: Option<Request>,
}

#[derive(Debug)]
enum State {
    Head,
    Send(Vec<u8>, Box<State>),
    Connect(Endpoint),
    Relay,
    Forward(Filters),
    Close(Option<Rejection>),
}

/// The head may contain a password.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({:?})", self.state)
    }
}

impl Http {
    fn new(logins: Option<Arc<Logins>>) -> Self {
        Self { logins, state: State::Head, head: Zeroizing::new(Vec::new()), request: None }
    }

    /// Returns the next state after a complete head.
    fn decide(&mut self) -> State {
        let request = match Request::parse(&self.head) {
            Ok(request) => request,
            Err(failure) => return fail(&failure),
        };
        if let Some(logins) = &self.logins {
            let login = request.authorization.as_deref().and_then(|value| decode_basic(value));
            let why = match login {
                Some(login) if logins.accept_pair(&login) => None,
                Some(_) => Some(Rejection::WrongPassword),
                None => Some(Rejection::NoPassword),
            };
            if let Some(why) = why {
                let answer = Answer::new(407, "this proxy requires a user name and password");
                let answer = answer.with("Proxy-Authenticate: Basic realm=\"connect\", charset=\"UTF-8\"");
                return close(&answer.without_body_if(request.is_head), why);
            }
        }
        let target = request.target.clone();
        self.request = Some(request);
        State::Connect(target)
    }
}

/// Returns the user name and password in a value of `Proxy-Authorization`; `None` for other schemes
/// and for invalid values.
fn decode_basic(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let encoded = rest.trim_ascii();
    scheme.eq_ignore_ascii_case(b"basic ").then(|| BASE64.decode(encoded).ok().map(Zeroizing::new))?
}

fn close(answer: &Answer, why: Rejection) -> State {
    State::Send(answer.bytes(), Box::new(State::Close(Some(why))))
}

fn fail(failure: &Failure) -> State {
    let malformed = |why| Rejection::Malformed { protocol: "HTTP", why };
    match *failure {
        Failure::BadRequest(why) => close(&Answer::new(400, why), malformed(why)),
        Failure::NotForProxy => {
            let answer = Answer::new(405, "this is a proxy, not a web server");
            close(&answer.with("Allow: CONNECT"), Rejection::Unsupported("a page of this listener"))
        }
        Failure::HeadTooLong => {
            let answer = Answer::new(431, "the header is too long");
            close(&answer, Rejection::HeaderTooLong(MAX_HEAD / 1024))
        }
        Failure::Unsupported(what) => {
            close(&Answer::new(501, &format!("{what} is not supported")), Rejection::Unsupported(what))
        }
        Failure::Version => {
            let answer = Answer::new(505, "this proxy speaks HTTP/1.1");
            close(&answer, Rejection::Unsupported("another version of HTTP"))
        }
        Failure::InvalidTarget => close(&Answer::new(400, "invalid host or port"), Rejection::InvalidTarget),
    }
}

impl Server for Http {
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
            State::Connect(target) => Step::Connect(target),
            State::Relay => {
                self.state = State::Relay;
                Step::Relay
            }
            State::Forward(filters) => Step::Forward(filters),
            State::Close(why) => Step::Close(why),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            // Ignore empty lines before the request (RFC 9112 §2.2).
            if self.head.is_empty() && matches!(byte, b'\r' | b'\n') {
                continue;
            }
            if self.head.is_empty() && !fields::is_token_byte(byte) {
                let why = Rejection::NotTheProtocol { expected: "an HTTP request", got: byte };
                self.state = State::Close(Some(why));
                return index + 1;
            }
            if self.head.len() == MAX_HEAD {
                self.state = fail(&Failure::HeadTooLong);
                return index + 1;
            }
            fields::push_secret(&mut self.head, byte);
            // A line may end in CR LF or a bare LF (RFC 9112 §2.2).
            if byte == b'\n' && (self.head.ends_with(b"\n\n") || self.head.ends_with(b"\n\r\n")) {
                self.state = self.decide();
                self.head = Zeroizing::new(Vec::new());
                return index + 1;
            }
        }
        bytes.len()
    }

    fn closed(&mut self) {
        self.state = State::Close(Some(Rejection::Closed));
    }

    fn timed_out(&mut self) {
        // Browsers open connections that they may never use.
        self.state = if self.head.is_empty() {
            State::Close(Some(Rejection::Closed))
        } else {
            close(&Answer::new(408, "the request took too long"), Rejection::TimedOut)
        };
    }

    fn forward_request(&self) -> Option<&Arc<ForwardRequest>> {
        Some(&self.request.as_ref()?.forwarded.as_ref()?.for_proxy)
    }

    fn connected(&mut self, _: Option<SocketAddr>, is_forwarding: bool) {
        let Some(request) = self.request.take() else { return };
        self.state = match request.forwarded {
            None => {
                let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
                State::Send(answer.to_vec(), Box::new(State::Relay))
            }
            Some(Forwarded { head, framing, is_http_1_0, .. }) => State::Forward(Filters {
                // A proxy has already received the head.
                head: if is_forwarding { Wire::public(Vec::new()) } else { head },
                request: Box::new(RequestBody::new(framing)),
                response: Box::new(Response::new(request.is_head, is_http_1_0, is_forwarding)),
            }),
        };
    }

    fn refused(&mut self, why: Refusal) {
        let Some(request) = self.request.take() else { return };
        let status = match why {
            Refusal::NotAllowed => 403,
            Refusal::TimedOut => 504,
            Refusal::UnknownHost
            | Refusal::HostUnreachable
            | Refusal::NetworkUnreachable
            | Refusal::ConnectionRefused
            | Refusal::ProxyAuthentication
            | Refusal::ProxyFailed
            | Refusal::General => 502,
        };
        let text = format!("cannot connect to {}: {}", request.target, why.text());
        let answer = Answer::new(status, &text).without_body_if(request.is_head);
        self.state = State::Send(answer.bytes(), Box::new(State::Close(None)));
    }
}

#[cfg(test)]
mod tests;

//! HTTP CONNECT (RFC 9110 §9.3.6, RFC 9112 §3.2.3) with authentication: Basic (RFC 7617) and Digest
//! (RFC 7616).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    Awaited, Credentials, Error, Learned, Limit, Negotiation, Redactor, Step, Unusable, UnusableScheme, Wire,
};
use crate::addr::Endpoint;
use crate::secret::Secret;
use scheme_selection::{NoScheme, SchemeSelector};

mod body;
mod challenge;
mod credentials_header;
mod digest;
mod forward;
mod forwarded;
mod head;
mod header;
mod page;
mod refusal_text;
mod scheme_selection;
mod status;

pub(super) use body::{Body, MAX_KEPT};
pub use digest::Random;
pub use forward::ForwardRequest;
use forward::Forwarding;
pub(super) use head::{Head, HeadReader};
pub use header::Header;
pub(super) use refusal_text::describe as describe_refusal;
pub use scheme_selection::{AcceptedScheme, Scheme};
pub(super) use status::reason;

/// The maximum size of a challenge response's body to read in order to keep the connection. Beyond
/// that, reconnecting is cheaper.
const MAX_DRAINED: usize = 64 * 1024;

/// The maximum number of characters of a scheme name to show in a message.
const MAX_NAME: usize = 40;

/// The user's settings for HTTP proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The allowed authentication schemes. If Basic comes first, a known password is sent with the
    /// first request.
    pub schemes: Vec<Scheme>,
    /// Additional header fields. A `Host` field replaces the generated one, and a
    /// `Proxy-Authorization` field disables all other authentication.
    pub headers: Vec<Header>,
    /// Send HTTP/1.0 requests, for proxies that support nothing else.
    pub http_1_0: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { schemes: vec![Scheme::Basic, Scheme::Digest], headers: Vec::new(), http_1_0: false }
    }
}

/// A CONNECT negotiation (RFC 9110 §9.3.6).
///
/// All heads in response to one request, including interim responses, are limited to 64 KiB in
/// total. At most 4 KiB of a refusal's body is read.
///
/// A known password is sent with the first request, unless the user put another scheme before
/// Basic. Otherwise the negotiation waits until the proxy answers 407 (some firewalls send 401)
/// with a challenge that we support, and requests the password if it is not known. The next request
/// is sent on the same connection if the proxy keeps it open, else on a new one. If the proxy
/// rejects one scheme and offers others, the next scheme is tried with the same password.
///
/// After a [`recall`](Negotiation::recall), the first request uses the scheme that the proxy
/// accepted in an earlier negotiation, and the same challenge. If the proxy rejects the response,
/// or closes the connection without an answer, the negotiation starts over without it.
#[derive(Debug)]
pub struct Connect {
    target: Endpoint,
    /// The client's request to send instead of CONNECT.
    forwarding: Option<Forwarding>,
    settings: Settings,
    random: Random,
    credentials: Option<Credentials>,
    selector: SchemeSelector,
    redactor: Redactor,
    state: State,
    head: HeadReader,
    /// The connection has already carried a request, so the proxy may have closed it since.
    reused: bool,
}

#[derive(Debug)]
enum State {
    SendRequest,
    AwaitHead,
    /// Reads and discards the body of a challenge response, so that the connection can be reused.
    DrainChallenge(Body),
    /// An authentication scheme is selected; the next request needs the credentials.
    Challenged {
        /// The connection can carry another request.
        keep: bool,
    },
    Reconnect,
    /// The status is 2xx, but the head looks like that of a web page. Checks the bytes after it.
    CheckForPage {
        head: Box<Head>,
        /// The number of bytes after the head that have been seen.
        seen: usize,
    },
    /// The proxy has refused, or sent a page; the body may explain why.
    ReadRefusal {
        head: Box<Head>,
        body: Body,
    },
    Done,
}

impl Connect {
    /// Creates a negotiation for a tunnel to `target`.
    #[must_use]
    pub fn new(target: Endpoint, settings: Settings, random: Random) -> Self {
        let redactor = Redactor::default();
        for header in settings.headers.iter().filter(|header| header.is_secret()) {
            redactor.add_header_value(header.value());
        }
        let (state, head) = (State::SendRequest, HeadReader::default());
        let selector = SchemeSelector::allowing(settings.schemes.clone());
        Self {
            target,
            forwarding: None,
            settings,
            random,
            credentials: None,
            selector,
            redactor,
            state,
            head,
            reused: false,
        }
    }

    /// Sends this request to the proxy instead of CONNECT. It goes to the same target.
    #[must_use]
    pub fn forwarding(mut self, request: Option<Arc<ForwardRequest>>) -> Self {
        self.forwarding = request.map(Forwarding::new);
        self
    }

    /// Returns the received bytes that belong to the client, once the negotiation is done.
    pub fn take_answer(&mut self) -> Zeroizing<Vec<u8>> {
        self.forwarding.as_mut().map(Forwarding::take_answer).unwrap_or_default()
    }

    /// Masks the secrets of this redactor as well, and adds our own to it.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        redactor.add_all(&self.redactor);
        self.redactor = redactor;
        self
    }

    /// Sets credentials in advance, instead of requesting them with [`Step::Credentials`].
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        if let Some(credentials) = credentials.filter(|_| !self.has_own_authorization()) {
            self.redactor.add_credentials(&credentials);
            self.credentials = Some(credentials);
            self.selector.respond_preemptively();
        }
        self
    }

    fn has_own_authorization(&self) -> bool {
        self.settings.headers.iter().any(|header| header.is("proxy-authorization"))
    }

    fn version(&self) -> &'static str {
        if self.settings.http_1_0 { "1.0" } else { "1.1" }
    }

    /// Returns the next request.
    fn request(&mut self) -> Result<Wire, Error> {
        self.check()?;
        let (method, url, start) = match &self.forwarding {
            None => ("CONNECT".into(), self.target.to_string(), self.connect_head()),
            Some(forwarding) => {
                let probes = self.probes();
                let (method, url) = forwarding.target(probes);
                (method, url, forwarding.head(probes, self.version()))
            }
        };
        // Get a fresh nonce first: squid accepts a nonce 50 times, so an old one may work for the
        // HEAD request and not for the request with the body.
        let wants_nonce = self.probes() && self.selector.uses_remembered_nonce();
        let authorization = match &self.credentials {
            Some(credentials) if !wants_nonce => {
                self.selector.authorization(credentials, (&method, &url), self.random)?
            }
            _ => None,
        };
        let mut parts = Vec::new();
        if let Some(authorization) = &authorization {
            let [before, secret, after] = authorization.parts();
            // The challenge may echo one of our secrets, for example in its nonce, and our response
            // repeats the nonce.
            let [before_is_secret, after_is_secret] =
                [before, after].map(|text| self.redactor.occurs_in(text));
            self.redactor.add(&Secret::new(secret.to_vec()));
            parts.extend([(&b"Proxy-Authorization: "[..], false), (before, before_is_secret)]);
            parts.extend([(secret, true), (after, after_is_secret), (b"\r\n", false)]);
        }
        parts.push((b"\r\n", false));
        Ok(start.concat(&Wire::from_parts(&parts)))
    }

    /// Returns the start of the CONNECT request. The request line and `Host` both contain the
    /// target with its port (RFC 9110 §7.2), unless the user supplied another `Host`.
    fn connect_head(&self) -> Wire {
        let target = self.target.to_string();
        let start = format!("CONNECT {target} HTTP/{}\r\nHost: ", self.version());
        let (own_host, headers): (Vec<_>, Vec<_>) =
            self.settings.headers.iter().partition(|header| header.is("host"));
        let host = own_host.first().map_or(target.as_bytes(), |header| header.value().expose());
        let mut parts = vec![(start.as_bytes(), false), (host, false), (b"\r\n", false)];
        for header in headers {
            parts.extend([(header.name().as_bytes(), false), (b": ", false)]);
            parts.extend([(header.value().expose(), header.is_secret()), (b"\r\n", false)]);
        }
        Wire::from_parts(&parts)
    }

    fn handle_head(&mut self, head: Head) -> Result<(), Error> {
        if self.forwarding.is_some() {
            return self.handle_forwarded_head(&head);
        }
        self.state = match head.status {
            // Interim response; the final one follows (RFC 9110 §15.2).
            100 | 102..=199 => State::AwaitHead,
            200..=299 if page::is_announced(&head) => State::CheckForPage { head: Box::new(head), seen: 0 },
            // Tunnel data follows, even if the head has a Content-Length (RFC 9110 §9.3.6).
            200..=299 => self.establish(),
            // A directive of the response is invalid (RFC 7616 §3.4), such as the nonce.
            400 if self.selector.forget() => State::Reconnect,
            401 | 407 => self.handle_challenge(&head)?,
            _ => State::ReadRefusal { body: Body::from_head(&head), head: Box::new(head) },
        };
        Ok(())
    }

    fn establish(&mut self) -> State {
        self.selector.accepted();
        State::Done
    }

    fn handle_challenge(&mut self, head: &Head) -> Result<State, Error> {
        let shown = head.masked(&self.redactor);
        let reason = shown.as_ref().map_or("", Head::reason);
        let status_line = format!("{} {}", head.status, self.redactor.printable(reason.as_bytes()));
        let text = format!("({})", status_line.trim_end());
        if self.has_own_authorization() {
            return Err(Error::WrongHeader { text });
        }
        self.selector.select(head).map_err(|reason| match reason {
            NoScheme::Exhausted => {
                let user = self.credentials.as_ref().map(|known| known.user.to_string()).unwrap_or_default();
                Error::WrongPassword { user, text }
            }
            NoScheme::Unusable(offered) => {
                // The names may be parts of a secret, unless it was masked before they were split.
                let offered = shown.map_or(offered, |shown| self.selector.unusable(&shown));
                let offered = offered.into_iter().map(|scheme| self.displayable(scheme)).collect();
                Error::NoScheme { offered, status: head.status }
            }
        })?;
        let probes = self.probes();
        let is_head = self.forwarding.as_ref().is_some_and(|forwarding| forwarding.is_head(probes));
        let body = if is_head { Body::empty() } else { Body::from_head(head) };
        Ok(if !head.keeps_alive() || body.is_longer_than(MAX_DRAINED) {
            State::Challenged { keep: false }
        } else if body.is_complete() {
            State::Challenged { keep: true }
        } else {
            State::DrainChallenge(body)
        })
    }

    /// Masks, escapes and shortens the proxy's text for display.
    fn displayable(&self, scheme: UnusableScheme) -> UnusableScheme {
        let displayable = |text: &str| shorten(self.redactor.printable(text.as_bytes()));
        let reason = match scheme.reason {
            Unusable::Challenge(why) => Unusable::Challenge(displayable(&why)),
            reason => reason,
        };
        UnusableScheme { name: displayable(&scheme.name), reason }
    }

    fn refusal(&self, head: &Head, body: &Body) -> Error {
        let text = describe_refusal(head, body, &self.redactor);
        // nginx: "The plain HTTP request was sent to HTTPS port".
        let expects_tls = head.status == 400 && text.contains("HTTPS");
        if (200..300).contains(&head.status) {
            return Error::WebPage { target: self.target.clone().into(), status: head.status, text };
        }
        Error::HttpRefused {
            target: self.target.clone().into(),
            status: head.status,
            text,
            expects_tls,
            sent_user_agent: self.settings.headers.iter().any(|header| header.is("user-agent")),
        }
    }
}

impl Negotiation for Connect {
    fn check(&self) -> Result<(), Error> {
        self.credentials.as_ref().map_or(Ok(()), |credentials| self.selector.check(credentials))
    }

    fn restart(&mut self) {
        self.state = State::SendRequest;
        self.head = HeadReader::default();
        self.reused = false;
    }

    fn step(&mut self) -> Result<Step, Error> {
        if let (State::Challenged { keep }, Some(_)) = (&self.state, &self.credentials) {
            self.reused = *keep;
            self.state = if *keep { State::SendRequest } else { State::Reconnect };
        }
        Ok(match &self.state {
            State::SendRequest => {
                let request = self.request()?;
                self.state = if self.awaits_response() { State::AwaitHead } else { State::Done };
                self.head = HeadReader::default();
                Step::Send(request)
            }
            // The server behind the proxy may take its time.
            State::AwaitHead if self.forwarding.is_some() && !self.probes() => {
                Step::ReceiveFor(forward::CHALLENGE_TIMEOUT)
            }
            State::AwaitHead => Step::Receive(Limit::Unknown),
            // The body may never come, for example because its Content-Length is wrong.
            State::DrainChallenge(_) => Step::ReceiveRest,
            State::Challenged { .. } => Step::Credentials,
            State::Reconnect => Step::Reconnect,
            State::ReadRefusal { head, body } => {
                if body.is_complete() || body.received() >= MAX_KEPT {
                    return Err(self.refusal(head, body));
                }
                Step::ReceiveRest
            }
            State::CheckForPage { seen, .. } => Step::Peek(*seen),
            State::Done => Step::Done,
        })
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        match &mut self.state {
            State::AwaitHead => {
                let (taken, head) = self.head.receive(bytes, &self.redactor)?;
                if let Some(head) = head {
                    self.handle_head(head)?;
                }
                Ok(taken)
            }
            State::DrainChallenge(body) => {
                // After a malformed body, the connection cannot be reused, but the negotiation
                // continues.
                let Ok(taken) = body.receive(bytes) else {
                    self.state = State::Challenged { keep: false };
                    return Ok(bytes.len());
                };
                // A chunked body reveals its length only as it is parsed, even if it arrived in one
                // piece.
                if body.is_longer_than(MAX_DRAINED) {
                    self.state = State::Challenged { keep: false };
                } else if body.is_complete() {
                    self.state = State::Challenged { keep: true };
                }
                Ok(taken)
            }
            State::CheckForPage { head, seen } => {
                match page::begins(head, bytes) {
                    Some(true) => {
                        let (head, body) = (head.clone(), Body::from_head(head));
                        self.state = State::ReadRefusal { head, body };
                    }
                    Some(false) => self.state = self.establish(),
                    None => *seen = bytes.len(),
                }
                Ok(0)
            }
            // The refusal is final, even if its body is malformed.
            State::ReadRefusal { body, .. } => {
                let bytes = &bytes[..bytes.len().min(MAX_KEPT.saturating_sub(body.received()))];
                Ok(body.receive(bytes).unwrap_or_else(|_| {
                    body.abandon();
                    bytes.len()
                }))
            }
            _ => Ok(0),
        }
    }

    fn closed(&mut self) -> Result<(), Error> {
        match &self.state {
            State::ReadRefusal { head, body } => Err(self.refusal(head, body)),
            State::DrainChallenge(_) => {
                self.state = State::Challenged { keep: false };
                Ok(())
            }
            State::CheckForPage { .. } => {
                self.state = self.establish();
                Ok(())
            }
            // The proxy may have closed the connection while the user typed the password (RFC 9112
            // §9.3.1), or because of a response that it no longer accepts.
            State::AwaitHead if self.head.is_empty() && (self.reused || self.selector.forget()) => {
                self.state = State::Reconnect;
                Ok(())
            }
            State::AwaitHead if !self.probes() && self.forwarding.is_some() => self.timed_out(),
            _ => Err(Error::Closed(self.waiting_for())),
        }
    }

    fn timed_out(&mut self) -> Result<(), Error> {
        let start = self.head.take_start();
        let Some(forwarding) = &mut self.forwarding else { return self.closed() };
        forwarding.keep_bytes(&start);
        self.state = State::Done;
        Ok(())
    }

    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error> {
        // Check the credentials before the driver opens a new connection to send them.
        self.selector.check(&credentials)?;
        self.redactor.add_credentials(&credentials);
        self.credentials = Some(credentials);
        Ok(())
    }

    fn learned(&self) -> Option<Learned> {
        let accepted = self.selector.accepted_scheme().filter(|_| self.credentials.is_some())?;
        // A proxy may put the password into a nonce. Only the plan and the prompts keep passwords.
        let has_secret = accepted.texts().any(|text| self.redactor.occurs_in(text.as_bytes()));
        (!has_secret).then_some(Learned::Http(accepted))
    }

    fn recall(&mut self, learned: &Learned, credentials: Option<Credentials>) -> bool {
        let Learned::Http(accepted) = learned else { return false };
        let Some(credentials) = self.credentials.clone().or(credentials) else { return false };
        if self.has_own_authorization() || !self.selector.recall(accepted) {
            return false;
        }
        self.redactor.add_credentials(&credentials);
        self.credentials = Some(credentials);
        true
    }

    fn take_log_note(&mut self) -> Option<String> {
        self.selector.log_note.take()
    }

    fn waiting_for(&self) -> Awaited {
        match self.state {
            State::AwaitHead if self.head.is_empty() => Awaited::HttpResponse,
            _ => Awaited::HttpResponseRest,
        }
    }

    fn is_text(&self) -> bool {
        true
    }
}

/// Truncates a name sent by the proxy, so that a long one does not push the others out of the
/// message.
fn shorten(text: String) -> String {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;

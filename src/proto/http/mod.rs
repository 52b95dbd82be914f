//! HTTP/1.1 CONNECT (RFC 9110 §9.3.6, RFC 9112 §3.2.3) with Basic authentication (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::{Credentials, Error, Limit, Negotiation, Step, Wire};
use crate::addr::{Endpoint, Host};
use body::Body;
use head::{Head, HeadReader};
use mask::Mask;

mod body;
mod challenge;
mod gist;
mod head;
mod mask;

/// What precedes the credentials in a request.
const FIELD: &str = "Proxy-Authorization: Basic ";
/// The longest body of a challenge that is drained to keep the connection; a longer one costs more than
/// a new connection.
const CHALLENGE_DRAINED: usize = 64 * 1024;

/// A CONNECT negotiation.
///
/// A password that is known goes out with the first request. One that is not is asked for when the proxy
/// answers 407 (or 401, which some firewalls send) with a Basic challenge; the second request then goes out
/// on the same connection if the proxy keeps it, else on a new one.
#[derive(Debug)]
pub struct Connect {
    target: Endpoint,
    credentials: Option<Credentials>,
    mask: Mask,
    state: State,
    head: HeadReader,
    /// This connection has carried a request before: the proxy may have closed it meanwhile.
    reused: bool,
}

#[derive(Debug)]
enum State {
    SendRequest,
    AwaitHead,
    /// A challenge was answered with a body that must be read to keep the connection.
    DrainChallenge(Body),
    /// The proxy wants user and password; whether the connection can be used again.
    NeedCredentials {
        keep: bool,
    },
    Reconnect,
    /// The verdict is known; its body may hold words for the user.
    ReadRefusal {
        head: Box<Head>,
        body: Body,
    },
    Done,
}

impl Connect {
    /// Starts a negotiation for a tunnel to `target`.
    #[must_use]
    pub fn new(target: Endpoint, credentials: Option<Credentials>) -> Self {
        let mask = credentials.as_ref().map(Mask::of).unwrap_or_default();
        let (state, head) = (State::SendRequest, HeadReader::default());
        Self { target, credentials, mask, state, head, reused: false }
    }

    /// The target stands in the request line and in Host alike, always with its port (RFC 9110 §7.2).
    fn request(&self) -> Result<Wire, Error> {
        if matches!(&self.target.host, Host::Name(name) if !name.as_str().is_ascii()) {
            return Err(Error::Unspeakable("HTTP has ASCII host names only; use the name's xn-- form"));
        }
        let target = &self.target;
        let open = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        let Some(credentials) = &self.credentials else {
            return Ok(Wire::open((open + "\r\n").into_bytes()));
        };
        let credentials = basic(credentials)?;
        let start = open.len() + FIELD.len();
        let secret = start..start + credentials.len();
        // Large enough from the start: growing would leave a copy of the password behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.end + 4));
        for part in [open.as_bytes(), FIELD.as_bytes(), credentials.as_bytes(), b"\r\n\r\n"] {
            bytes.extend(part);
        }
        Ok(Wire::with_secret(bytes, secret))
    }

    fn head_complete(&mut self, head: Head) -> Result<(), Error> {
        self.state = match head.status {
            // An interim answer; the final one follows (RFC 9110 §15.2).
            100 | 102..=199 => State::AwaitHead,
            // Whatever follows is the tunnel's, even if the proxy names a length (RFC 9110 §9.3.6).
            200..=299 => State::Done,
            401 | 407 => self.challenged(&head)?,
            _ => State::ReadRefusal { body: Body::of(&head), head: Box::new(head) },
        };
        Ok(())
    }

    fn challenged(&self, head: &Head) -> Result<State, Error> {
        let schemes = challenge::schemes(head);
        if !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
            let offered = if schemes.is_empty() { "no scheme is named".into() } else { schemes.join(", ") };
            return Err(Error::NoScheme { offered: self.mask.fit(offered.as_bytes()), status: head.status });
        }
        if let Some(Credentials { user, .. }) = &self.credentials {
            let said = format!("{} {}", head.status, self.mask.fit(head.reason().as_bytes()));
            return Err(Error::WrongPassword { user: user.clone(), text: format!("({})", said.trim_end()) });
        }
        let body = Body::of(head);
        Ok(if !head.keeps_alive() || body.is_longer_than(CHALLENGE_DRAINED) {
            State::NeedCredentials { keep: false }
        } else if body.is_complete() {
            State::NeedCredentials { keep: true }
        } else {
            State::DrainChallenge(body)
        })
    }

    fn refusal(&self, head: &Head, body: &Body) -> Error {
        let gist = gist::of(head.value("content-type").unwrap_or_default(), &self.mask.over(body.start()));
        // Titles such as "403 Forbidden" say nothing new.
        let gist =
            gist.strip_prefix(&head.status.to_string()).map_or(gist.as_str(), str::trim_start).to_owned();
        let mut words = vec![self.mask.fit(head.reason().as_bytes()), gist];
        words.dedup_by(|gist, reason| gist.eq_ignore_ascii_case(reason));
        words.retain(|words| !words.is_empty());
        let mut text = words.join(": ");
        if let Some(location) = head.value("location").filter(|_| (300..400).contains(&head.status)) {
            let gap = if text.is_empty() { "" } else { " " };
            text = format!("{text}{gap}(to {})", self.mask.fit(location.as_bytes()));
        }
        Error::HttpRefused { target: self.target.to_string(), status: head.status, text }
    }
}

impl Negotiation for Connect {
    fn check(&self) -> Result<(), Error> {
        self.request().map(drop)
    }

    fn restart(&mut self) {
        self.state = State::SendRequest;
        self.head = HeadReader::default();
        self.reused = false;
    }

    fn step(&mut self) -> Result<Step, Error> {
        Ok(match &self.state {
            State::SendRequest => {
                let request = self.request()?;
                self.state = State::AwaitHead;
                self.head = HeadReader::default();
                Step::Send(request)
            }
            State::AwaitHead => Step::Receive(Limit::Unknown),
            State::DrainChallenge(body) => Step::Receive(body.limit()),
            State::NeedCredentials { .. } => Step::Credentials,
            State::Reconnect => Step::Reconnect,
            State::ReadRefusal { head, body } => {
                if body.is_complete() || body.received() >= body::KEPT {
                    return Err(self.refusal(head, body));
                }
                Step::ReceiveRest
            }
            State::Done => Step::Done,
        })
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        match &mut self.state {
            State::AwaitHead => {
                let (taken, head) = self.head.receive(bytes, &self.mask)?;
                if let Some(head) = head {
                    self.head_complete(head)?;
                }
                Ok(taken)
            }
            State::DrainChallenge(body) => {
                // A body that cannot be drained costs the connection, not the negotiation.
                let Ok(taken) = body.receive(bytes) else {
                    self.state = State::NeedCredentials { keep: false };
                    return Ok(bytes.len());
                };
                // However much of it came at once.
                if body.is_longer_than(CHALLENGE_DRAINED) {
                    self.state = State::NeedCredentials { keep: false };
                } else if body.is_complete() {
                    self.state = State::NeedCredentials { keep: true };
                }
                Ok(taken)
            }
            // The verdict stands, however broken its body is.
            State::ReadRefusal { body, .. } => {
                let bytes = &bytes[..bytes.len().min(body::KEPT.saturating_sub(body.received()))];
                Ok(body.receive(bytes).unwrap_or_else(|_| {
                    body.give_up();
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
                self.state = State::NeedCredentials { keep: false };
                Ok(())
            }
            // The proxy was free to close it while the password was typed (RFC 9112 §9.3.1).
            State::AwaitHead if self.reused && self.head.is_empty() => {
                self.state = State::Reconnect;
                Ok(())
            }
            _ => Err(Error::Closed(self.waiting_for())),
        }
    }

    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error> {
        // What cannot be said is told before a new connection is made for it.
        basic(&credentials)?;
        self.mask = Mask::of(&credentials);
        self.credentials = Some(credentials);
        self.state = match self.state {
            State::NeedCredentials { keep: true } => {
                self.reused = true;
                State::SendRequest
            }
            _ => State::Reconnect,
        };
        Ok(())
    }

    fn waiting_for(&self) -> &'static str {
        match self.state {
            State::AwaitHead if self.head.is_empty() => "the answer to CONNECT",
            _ => "the rest of its answer to CONNECT",
        }
    }

    fn shown(&self, received: &[u8]) -> Vec<u8> {
        self.mask.over(received)
    }

    fn is_text(&self) -> bool {
        true
    }
}

/// The credentials of the Basic scheme: base64 of `user:password` (RFC 7617 §2).
fn basic(credentials: &Credentials) -> Result<Zeroizing<String>, Error> {
    let (user, password) = (credentials.user.as_str(), credentials.password.expose());
    if user.contains(':') {
        return Err(Error::Unspeakable("Basic authentication allows no ':' in the user name (RFC 7617)"));
    }
    let controls = |bytes: &[u8]| bytes.iter().any(u8::is_ascii_control);
    if controls(user.as_bytes()) || controls(password) {
        return Err(Error::Unspeakable(
            "Basic authentication allows no control character in user name and password (RFC 7617)",
        ));
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
    for part in [user.as_bytes(), b":", password] {
        plain.extend(part);
    }
    Ok(Zeroizing::new(BASE64.encode(&plain)))
}

#[cfg(test)]
mod tests;

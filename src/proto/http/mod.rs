//! HTTP CONNECT (RFC 9110 §9.3.6, RFC 9112 §3.2.3) with authentication: Basic (RFC 7617) and Digest (RFC 7616).

use super::{Credentials, Error, Limit, Negotiation, Step, Wire};
use crate::addr::{Endpoint, Host};
use body::Body;
use head::{Head, HeadReader};
use redact::Mask;
use scheme_selection::{NoScheme, SchemeSelector};

mod body;
mod challenge;
mod credentials_header;
mod digest;
mod head;
mod header;
mod redact;
mod refusal_text;
mod scheme_selection;

pub use header::Header;
pub use scheme_selection::{Random, Scheme};

/// The longest body of a challenge that is drained to keep the connection; a longer one costs more than
/// a new connection.
const CHALLENGE_DRAINED: usize = 64 * 1024;

/// What the user may choose about the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The authentication schemes that may be used. A password that is known goes out with the first request if Basic is
    /// the first of them.
    pub schemes: Vec<Scheme>,
    /// Further header fields. If `Proxy-Authorization` is among them, it is all that is said about who we are.
    pub headers: Vec<Header>,
    /// Speaks HTTP/1.0, for proxies that know no other.
    pub http_1_0: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { schemes: vec![Scheme::Basic, Scheme::Digest], headers: Vec::new(), http_1_0: false }
    }
}

/// A CONNECT negotiation (RFC 9110 §9.3.6). The heads of the answers to one request, interim ones among them, may have
/// 64 KiB; of the words of a refusal 4 KiB are read.
///
/// A password that is known goes out with the first request, unless the user does not want it. One that is not is asked
/// for when the proxy answers 407 (or 401, which some firewalls send) with a challenge that we can answer; the next
/// request then goes out on the same connection if the proxy keeps it, else on a new one. A proxy that refuses one
/// scheme and offers others gets the next one, with the same password.
#[derive(Debug)]
pub struct Connect {
    target: Endpoint,
    settings: Settings,
    random: Random,
    credentials: Option<Credentials>,
    choice: SchemeSelector,
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
    /// The proxy wants user and password, in a way that has been chosen; whether the connection can be used again.
    Challenged {
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
    pub fn new(target: Endpoint, settings: Settings, random: Random) -> Self {
        let mut mask = Mask::default();
        for header in settings.headers.iter().filter(|header| header.is_secret()) {
            mask.add_value(header.value().clone());
        }
        let (state, head) = (State::SendRequest, HeadReader::default());
        let choice = SchemeSelector::allowing(settings.schemes.clone());
        Self { target, settings, random, credentials: None, choice, mask, state, head, reused: false }
    }

    /// These credentials are known, and need not be asked for.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        if let Some(credentials) = credentials.filter(|_| !self.has_own_authorization()) {
            self.mask.add(&credentials);
            self.credentials = Some(credentials);
            self.choice.respond_preemptively();
        }
        self
    }

    fn has_own_authorization(&self) -> bool {
        self.settings.headers.iter().any(|header| header.is("proxy-authorization"))
    }

    /// The target stands in the request line and in Host alike, always with its port (RFC 9110 §7.2).
    fn request(&mut self) -> Result<Wire, Error> {
        self.check()?;
        let target = self.target.to_string();
        let version = if self.settings.http_1_0 { "1.0" } else { "1.1" };
        let start = format!("CONNECT {target} HTTP/{version}\r\nHost: {target}\r\n");
        let mut parts = vec![(start.as_bytes(), false)];
        for header in &self.settings.headers {
            parts.extend([(header.name().as_bytes(), false), (b": ", false)]);
            parts.extend([(header.value().expose(), header.is_secret()), (b"\r\n", false)]);
        }
        let authorization = match &self.credentials {
            Some(credentials) => self.choice.authorization(credentials, &target, self.random)?,
            None => None,
        };
        if let Some(authorization) = &authorization {
            let [before, secret, after] = authorization.parts();
            // What the proxy has us repeat may be what it has learned from us.
            let [hides_before, hides_after] = [before, after].map(|text| self.mask.is_in(text));
            self.mask.add_secret(secret.into());
            parts.extend([(&b"Proxy-Authorization: "[..], false), (before.as_bytes(), hides_before)]);
            parts.extend([(secret.as_bytes(), true), (after.as_bytes(), hides_after), (b"\r\n", false)]);
        }
        parts.push((b"\r\n", false));
        Ok(Wire::from_parts(&parts))
    }

    fn head_complete(&mut self, head: Head) -> Result<(), Error> {
        self.state = match head.status {
            // An interim answer; the final one follows (RFC 9110 §15.2).
            100 | 102..=199 => State::AwaitHead,
            // Whatever follows is the tunnel's, even if the proxy names a length (RFC 9110 §9.3.6).
            200..=299 => {
                self.choice.accepted();
                State::Done
            }
            401 | 407 => self.challenged(&head)?,
            _ => State::ReadRefusal { body: Body::of(&head), head: Box::new(head) },
        };
        Ok(())
    }

    fn challenged(&mut self, head: &Head) -> Result<State, Error> {
        let said = format!("{} {}", head.status, self.mask.fit(head.reason().as_bytes()));
        let text = format!("({})", said.trim_end());
        if self.has_own_authorization() {
            return Err(Error::WrongHeader { text });
        }
        self.choice.next(head).map_err(|exhausted| match exhausted {
            NoScheme::Tried => {
                let user = self.credentials.as_ref().map(|known| known.user.clone()).unwrap_or_default();
                Error::WrongPassword { user, text }
            }
            NoScheme::Offers(offered) => {
                Error::NoScheme { offered: self.mask.fit(offered.as_bytes()), status: head.status }
            }
        })?;
        let body = Body::of(head);
        Ok(if !head.keeps_alive() || body.is_longer_than(CHALLENGE_DRAINED) {
            State::Challenged { keep: false }
        } else if body.is_complete() {
            State::Challenged { keep: true }
        } else {
            State::DrainChallenge(body)
        })
    }

    fn refusal(&self, head: &Head, body: &Body) -> Error {
        let gist =
            refusal_text::of(head.value("content-type").unwrap_or_default(), &self.mask.over(body.start()));
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
        if matches!(&self.target.host, Host::Name(name) if !name.as_str().is_ascii()) {
            return Err(Error::NotEncodable("HTTP has ASCII host names only; use the name's xn-- form"));
        }
        self.credentials.as_ref().map_or(Ok(()), |credentials| self.choice.check(credentials))
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
                self.state = State::AwaitHead;
                self.head = HeadReader::default();
                Step::Send(request)
            }
            State::AwaitHead => Step::Receive(Limit::Unknown),
            State::DrainChallenge(body) => Step::Receive(body.limit()),
            State::Challenged { .. } => Step::Credentials,
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
                    self.state = State::Challenged { keep: false };
                    return Ok(bytes.len());
                };
                // However much of it came at once.
                if body.is_longer_than(CHALLENGE_DRAINED) {
                    self.state = State::Challenged { keep: false };
                } else if body.is_complete() {
                    self.state = State::Challenged { keep: true };
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
                self.state = State::Challenged { keep: false };
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
        self.choice.check(&credentials)?;
        self.mask.add(&credentials);
        self.credentials = Some(credentials);
        Ok(())
    }

    fn take_log_note(&mut self) -> Option<String> {
        self.choice.remark.take()
    }

    fn waiting_for(&self) -> &'static str {
        match self.state {
            State::AwaitHead if self.head.is_empty() => "the answer to CONNECT",
            _ => "the rest of its answer to CONNECT",
        }
    }

    fn redact(&self, received: &[u8]) -> Vec<u8> {
        self.mask.over(received)
    }

    fn is_text(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;

//! The client's side of the opening handshake (RFC 6455 §4.1).

use base64::prelude::{BASE64_STANDARD, Engine};

use super::accept;
use crate::proto::http::{Body, Head, HeadReader, MAX_KEPT, describe_refusal};
use crate::proto::link::LinkId;
use crate::proto::{
    Awaited, BadUpgrade, Credentials, Error, Limit, Negotiation, Random, Redactor, Step, Unencodable, Wire,
};
use crate::secret::{Secret, secret_option};

/// The meaning of a Close frame for the two directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    /// A Close is the EOF of its own direction only: both ends have announced
    /// `Connect-Half-Close`.
    Both,
    /// The peer still sends data after our Close, but accepts none after its own.
    Ours,
    /// A Close from either end ends both directions, and the peer discards data that it has not
    /// sent at ours. So we send none before the peer's.
    Neither,
}

/// A request for a WebSocket.
#[derive(Clone, Debug)]
pub struct Request {
    /// The value of `Host`.
    pub host: String,
    /// The path and the query.
    pub path: String,
    /// The bearer token (RFC 6750), which the server may require.
    pub token: Option<Secret>,
    /// The subprotocols to offer, as a list in one header field; empty for none.
    pub subprotocols: String,
    /// The server must select a subprotocol: one that selects none is of another kind.
    pub needs_subprotocol: bool,
    /// The link that a connection to a relay hub resumes.
    pub resumed_link: Option<LinkId>,
    /// The half-close behavior of a server that does not announce `Connect-Half-Close`.
    pub half_close: HalfClose,
}

/// The opening handshake. The bytes after it are frames.
#[derive(Debug)]
pub struct Handshake {
    request: Request,
    random: Random,
    /// The value of `Sec-WebSocket-Key` on this connection.
    key: String,
    redactor: Redactor,
    state: State,
    head: HeadReader,
}

#[derive(Debug)]
enum State {
    SendRequest,
    AwaitHead,
    /// The server has refused; the body may explain why.
    ReadRefusal {
        head: Box<Head>,
        body: Body,
    },
    Done,
}

impl Handshake {
    /// Creates a handshake. `redactor` masks secrets in what the server sends.
    #[must_use]
    pub fn new(request: Request, random: Random, redactor: Redactor) -> Self {
        if let Some(token) = &request.token {
            redactor.add(token);
        }
        let (state, head) = (State::SendRequest, HeadReader::default());
        Self { request, random, key: String::new(), redactor, state, head }
    }

    /// Returns the meaning of Close frames. The server may have changed it in its response.
    #[must_use]
    pub fn half_close(&self) -> HalfClose {
        self.request.half_close
    }

    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the masks for what the server sends.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    fn wire(&mut self) -> Result<Wire, Error> {
        let random = (self.random)().ok_or(Error::NotEncodable(Unencodable::WebSocketKey))?;
        self.key = BASE64_STANDARD.encode(random);
        let Request { host, path, token, subprotocols, resumed_link, .. } = &self.request;
        // A server of another project may take a token in the query.
        let (path, secret) = path.split_at(secret_option(path.as_bytes()).unwrap_or(path.len()));
        let fields = format!(
            " HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
            self.key
        );
        let mut parts = vec![
            (&b"GET "[..], false),
            (path.as_bytes(), false),
            (secret.as_bytes(), true),
            (fields.as_bytes(), false),
        ];
        if !subprotocols.is_empty() {
            parts.extend(
                [&b"Sec-WebSocket-Protocol: "[..], subprotocols.as_bytes(), b"\r\n"].map(|it| (it, false)),
            );
        }
        let resumed_link = resumed_link.map(|id| format!("Connect-Resume: {}\r\n", id.hex()));
        parts.extend(resumed_link.iter().map(|field| (field.as_bytes(), false)));
        if let Some(token) = token {
            parts.extend([(&b"Authorization: Bearer "[..], false), (token.expose(), true), (b"\r\n", false)]);
        }
        parts.push((b"\r\n", false));
        Ok(Wire::from_parts(&parts))
    }

    fn handle_head(&mut self, head: Head) -> Result<(), Error> {
        self.state = match head.status {
            101 => {
                self.check_upgrade(&head).map_err(Error::BadUpgrade)?;
                if head.value("connect-half-close") == Some("1") {
                    self.request.half_close = HalfClose::Both;
                }
                State::Done
            }
            // Interim response; the final one follows (RFC 9110 §15.2).
            100..=199 => State::AwaitHead,
            _ => State::ReadRefusal { body: Body::from_head(&head), head: Box::new(head) },
        };
        Ok(())
    }

    /// Checks the fields of a response with status 101.
    fn check_upgrade(&self, head: &Head) -> Result<(), BadUpgrade> {
        if !head.lists("upgrade", "websocket") {
            return Err(BadUpgrade::Missing("Upgrade: websocket"));
        }
        if !head.lists("connection", "upgrade") {
            return Err(BadUpgrade::Missing("Connection: Upgrade"));
        }
        match head.value("sec-websocket-accept") {
            None => return Err(BadUpgrade::Missing("Sec-WebSocket-Accept")),
            Some(value) if value != accept::accept_value(&self.key) => return Err(BadUpgrade::WrongAccept),
            Some(_) => {}
        }
        let shown = |value: &str| self.redactor.printable(value.as_bytes());
        if let Some(extension) = head.values("sec-websocket-extensions").find(|value| !value.is_empty()) {
            return Err(BadUpgrade::Extension(shown(extension)));
        }
        if self.request.needs_subprotocol && head.value("sec-websocket-protocol").is_none() {
            return Err(BadUpgrade::Missing("Sec-WebSocket-Protocol"));
        }
        let is_offered = |value: &str| self.request.subprotocols.split(',').any(|it| it.trim() == value);
        match head.values("sec-websocket-protocol").find(|value| !is_offered(value)) {
            Some(protocol) => Err(BadUpgrade::Subprotocol(shown(protocol))),
            None => Ok(()),
        }
    }

    fn refusal(&self, head: &Head, body: &Body) -> Error {
        let text = describe_refusal(head, body, &self.redactor);
        if head.status == 401 {
            return Error::Token { sent: self.request.token.is_some(), text };
        }
        // nginx: "The plain HTTP request was sent to HTTPS port".
        let expects_tls = head.status == 400 && text.contains("HTTPS");
        Error::NoWebSocket { status: head.status, text, expects_tls }
    }
}

impl Negotiation for Handshake {
    fn restart(&mut self) {
        self.state = State::SendRequest;
        self.head = HeadReader::default();
    }

    fn step(&mut self) -> Result<Step, Error> {
        Ok(match &self.state {
            State::SendRequest => {
                let request = self.wire()?;
                self.state = State::AwaitHead;
                Step::Send(request)
            }
            State::AwaitHead => Step::Receive(Limit::Unknown),
            State::ReadRefusal { head, body } => {
                if body.is_complete() || body.received() >= MAX_KEPT {
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
                let (taken, head) = self.head.receive(bytes, &self.redactor)?;
                if let Some(head) = head {
                    self.handle_head(head)?;
                }
                Ok(taken)
            }
            // The refusal is final, even if its body is malformed.
            State::ReadRefusal { body, .. } => {
                let bytes = &bytes[..bytes.len().min(MAX_KEPT.saturating_sub(body.received()))];
                Ok(body.receive(bytes).unwrap_or_else(|_| {
                    body.abandon();
                    bytes.len()
                }))
            }
            State::SendRequest | State::Done => Ok(0),
        }
    }

    fn closed(&mut self) -> Result<(), Error> {
        match &self.state {
            State::ReadRefusal { head, body } => Err(self.refusal(head, body)),
            _ => Err(Error::Closed(self.waiting_for())),
        }
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), Error> {
        Ok(())
    }

    fn waiting_for(&self) -> Awaited {
        match self.state {
            State::AwaitHead if self.head.is_empty() => Awaited::WebSocketResponse,
            _ => Awaited::WebSocketResponseRest,
        }
    }

    fn is_text(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;

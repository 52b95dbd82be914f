//! The head of a request to the hub.

use std::fmt;
use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, Engine};
use httparse::{EMPTY_HEADER, Error as ParseError, Header, Status};
use zeroize::Zeroizing;

use super::control::Mode;
use super::refusal::{Label, Refusal};
use super::{Id, MUX_PROTOCOL, ORIGIN_PROTOCOL, UNKNOWN_OFFER};
use crate::proto::server::{Origin, forwarded_in};
use crate::proto::websocket::accept_value;
use crate::secret::Secret;
use crate::token::is_session_name;

/// Maximum length of the head of a request, in bytes.
const MAX_HUB_HEAD: usize = 16 * 1024;

/// Maximum number of header fields in it.
const MAX_HUB_FIELDS: usize = 100;

/// The only role that an address serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleLimit {
    /// Origins.
    Origin,
    /// Clients of origins.
    Dest,
}

/// The requests that an address accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The path before those of the hub, without a slash at the end.
    pub prefix: String,
    /// The only role; `None` for both.
    pub role: Option<RoleLimit>,
    /// The origins whose pages may connect. A client that is not a browser sends no Origin.
    pub origins: Vec<Origin>,
}

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An origin registers.
    Origin {
        /// The session that it offers.
        session: String,
    },
    /// A client asks for a connection to an origin.
    Dest {
        /// The session.
        session: String,
        /// The conversation.
        mode: Mode,
        /// The link to resume.
        resume: Option<Id>,
    },
    /// An origin accepts an offer.
    Accept {
        /// The session.
        session: String,
        /// The offer.
        offer: Id,
    },
    /// A balancer checks the hub.
    Health,
    /// Statistics in JSON.
    Stats,
    /// Statistics for Prometheus.
    Metrics {
        /// The client accepts `OpenMetrics`.
        open: bool,
    },
    /// The page that shows the statistics in a browser.
    Status,
}

impl Action {
    /// Returns the session; `None` for pages.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Origin { session } | Self::Dest { session, .. } | Self::Accept { session, .. } => {
                Some(session)
            }
            Self::Health | Self::Stats | Self::Metrics { .. } | Self::Status => None,
        }
    }
}

/// A valid request.
#[derive(Clone)]
pub struct Request {
    /// The purpose.
    pub action: Action,
    /// The bearer token; `None` if there is none.
    pub token: Option<Secret>,
    /// The value of X-Forwarded-For; `None` if there is none.
    pub forwarded_for: Option<String>,
    /// The value of Sec-WebSocket-Key; empty for pages.
    key: String,
}

impl Request {
    /// Returns the response that opens the WebSocket.
    #[must_use]
    pub fn accepted(&self) -> Vec<u8> {
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nConnect-Half-Close: 1\r\n",
            accept_value(&self.key)
        );
        let protocol = match self.action {
            Action::Origin { .. } => Some(ORIGIN_PROTOCOL),
            Action::Dest { mode: Mode::Mux, .. } => Some(MUX_PROTOCOL),
            _ => None,
        };
        if let Some(protocol) = protocol {
            let _ = write!(answer, "Sec-WebSocket-Protocol: {protocol}\r\n");
        }
        answer.push_str("\r\n");
        answer.into_bytes()
    }
}

/// The request contains a token.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?})", self.action)
    }
}

/// Reads the head of a request.
#[derive(Default)]
pub struct HeadReader(Zeroizing<Vec<u8>>);

impl HeadReader {
    /// Adds bytes up to the end of the head. Returns their number and, at the end, the request.
    ///
    /// # Errors
    /// The request is refused.
    pub fn receive(&mut self, bytes: &[u8], site: &Site) -> Result<(usize, Option<Request>), Refusal> {
        let head = &mut self.0;
        for (index, &byte) in bytes.iter().enumerate() {
            if head.len() == MAX_HUB_HEAD {
                return Err(Refusal::new(431, Label::Malformed, "header too long"));
            }
            head.push(byte);
            if byte == b'\n' && (head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")) {
                return parse(head, site).map(|request| (index + 1, Some(request)));
            }
        }
        Ok((bytes.len(), None))
    }

    /// Returns the value of X-Forwarded-For in a request that was refused; `None` if there is none.
    #[must_use]
    pub fn forwarded_for(&self) -> Option<String> {
        forwarded_in(&self.0)
    }

    /// Returns `true` if nothing has been received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The head may contain a token.
impl fmt::Debug for HeadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadReader")
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(400, Label::Malformed, why)
}

/// Checks a head that ends in an empty line, in the order of the statuses: 431, 400, 404, 405, 403,
/// 426.
fn parse(head: &[u8], site: &Site) -> Result<Request, Refusal> {
    let mut fields = [EMPTY_HEADER; MAX_HUB_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Err(ParseError::TooManyHeaders) => {
            return Err(Refusal::new(431, Label::Malformed, "too many header fields"));
        }
        Ok(_) | Err(_) => return Err(malformed("malformed HTTP request")),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(malformed("malformed HTTP request"));
    };
    let fields = Fields(parsed.headers);
    let hosts = fields.values("host").count();
    if hosts > 1 || (hosts == 0 && minor > 0) {
        return Err(malformed("missing or repeated Host field"));
    }
    let has_body = fields.values("content-length").any(|length| length != "0")
        || fields.values("transfer-encoding").next().is_some();
    if has_body {
        return Err(malformed("request with a body"));
    }
    let action = action(target, site, &fields)?;
    if method != "GET" {
        return Err(Refusal::new(405, Label::Malformed, "expected GET"));
    }
    if fields.values("origin").any(|origin| !Origin::is_in(origin, &site.origins)) {
        return Err(Refusal::new(403, Label::Browser, "web pages may not use this hub"));
    }
    let key = if action.session().is_some() { websocket_key(&action, &fields, minor)? } else { "" };
    let token = fields.values("authorization").find_map(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Secret::from(token.trim()))
    });
    let forwarded: Vec<_> = fields.values("x-forwarded-for").collect();
    let forwarded_for = (!forwarded.is_empty()).then(|| forwarded.join(","));
    Ok(Request { action, token, forwarded_for, key: key.to_owned() })
}

/// Returns the purpose of a request for this path.
fn action(target: &str, site: &Site, fields: &Fields<'_>) -> Result<Action, Refusal> {
    if target.contains('?') {
        return Err(malformed("unexpected query"));
    }
    let unknown = || Refusal::new(404, Label::Absent, "unknown path");
    let path =
        target.strip_prefix(&site.prefix).and_then(|path| path.strip_prefix('/')).ok_or_else(unknown)?;
    let segments: Vec<_> = path.split('/').collect();
    let serves = |role| site.role.is_none_or(|only| only == role);
    let (session, action) = match segments[..] {
        ["v1", "health"] => return Ok(Action::Health),
        ["v1", "stats"] => return Ok(Action::Stats),
        ["status"] => return Ok(Action::Status),
        ["metrics"] => {
            let open = fields.values("accept").any(|value| value.contains("application/openmetrics-text"));
            return Ok(Action::Metrics { open });
        }
        ["v1", session, "origin"] if serves(RoleLimit::Origin) => {
            (session, Action::Origin { session: session.into() })
        }
        ["v1", session, "dest"] if serves(RoleLimit::Dest) => (session, dest(session, fields)?),
        ["v1", session, "accept", offer] if serves(RoleLimit::Origin) => {
            let unknown = || Refusal::new(404, Label::Absent, UNKNOWN_OFFER);
            (
                session,
                Action::Accept { session: session.into(), offer: Id::parse(offer).ok_or_else(unknown)? },
            )
        }
        _ => return Err(unknown()),
    };
    if is_session_name(session) { Ok(action) } else { Err(malformed("invalid session name")) }
}

fn dest(session: &str, fields: &Fields<'_>) -> Result<Action, Refusal> {
    let mode = if fields.lists("sec-websocket-protocol", MUX_PROTOCOL) { Mode::Mux } else { Mode::Raw };
    let resume = match fields.values("connect-resume").next() {
        Some(id) if mode == Mode::Mux => {
            Some(Id::parse(id).ok_or_else(|| malformed("invalid Connect-Resume"))?)
        }
        Some(_) => return Err(malformed("Connect-Resume without a link")),
        None => None,
    };
    Ok(Action::Dest { session: session.into(), mode, resume })
}

/// Checks that the request is for a WebSocket, and returns its key.
fn websocket_key<'a>(action: &Action, fields: &Fields<'a>, minor: u8) -> Result<&'a str, Refusal> {
    let is_upgrade =
        minor > 0 && fields.lists("upgrade", "websocket") && fields.lists("connection", "upgrade");
    if !is_upgrade || !fields.values("sec-websocket-version").eq(["13"]) {
        return Err(Refusal::new(426, Label::Upgrade, "expected a WebSocket request, version 13"));
    }
    let key = fields.values("sec-websocket-key").next().unwrap_or_default();
    if BASE64_STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err(malformed("invalid Sec-WebSocket-Key"));
    }
    let is_origin = matches!(action, Action::Origin { .. });
    if is_origin && !fields.lists("sec-websocket-protocol", ORIGIN_PROTOCOL) {
        return Err(malformed("expected the subprotocol connect.origin.v1"));
    }
    Ok(key)
}

/// The fields of a head. Values that are not UTF-8 are ignored.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// Returns all values of a field.
    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.filter_map(|field| str::from_utf8(field.value).ok()).map(str::trim)
    }

    /// Returns `true` if the comma-separated values of a field include `item`, ignoring case.
    fn lists(&self, name: &'static str, item: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(item))
    }
}

#[cfg(test)]
mod tests;

//! Validates the head of a request, and makes the head for the target.

use std::fmt;
use std::sync::Arc;

use httparse::{EMPTY_HEADER, Error as ParseError, Header, Status};
use zeroize::Zeroizing;

use super::super::reason::Rejection;
use super::super::target::parse_host;
use super::body::Framing;
use super::fields::{Fields, MAX_FIELDS, PSEUDONYM};
use crate::addr::{Endpoint, Port, parse_port, split_port};
use crate::proto::{ForwardRequest, Wire};

/// A valid request.
pub(super) struct Request {
    pub(super) target: Endpoint,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<Zeroizing<Vec<u8>>>,
    /// The method is HEAD, whose response has no body.
    pub(super) is_head: bool,
    /// The request to forward; `None` for CONNECT.
    pub(super) forwarded: Option<Forwarded>,
}

/// A request to be forwarded.
pub(super) struct Forwarded {
    /// The head for the target.
    pub(super) head: Wire,
    /// The request for a proxy.
    pub(super) for_proxy: Arc<ForwardRequest>,
    pub(super) framing: Framing,
    /// The client speaks HTTP/1.0, and so does the request to the target. Otherwise the target
    /// could answer with a chunked body, which the client does not know.
    pub(super) is_http_1_0: bool,
}

/// The fields may contain passwords.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.target)
    }
}

/// The reason to reject a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    BadRequest(&'static str),
    /// The request is for a resource of this server, which has none.
    NotForProxy,
    HeadTooLong,
    Unsupported(&'static str),
    Version,
    InvalidTarget,
}

use Failure::BadRequest;

impl Request {
    /// Parses a head that ends in an empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Failure> {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(BadRequest("invalid line end")),
            Err(error) => return Err(parse_failure(error, head)),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(BadRequest("invalid request line"));
        };
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadRequest("invalid character in the request target"));
        }
        let is_http_1_0 = minor == 0;
        let fields = Fields(parsed.headers);
        let framing = framing(&fields, is_http_1_0)?;
        let authorization =
            fields.values("proxy-authorization").next().map(|value| Zeroizing::new(value.into()));
        let hosts = fields.values("host").count();
        if hosts > 1 {
            return Err(BadRequest("several Host fields"));
        }
        if method == "CONNECT" {
            if !matches!(framing, Framing::None | Framing::Length(0)) {
                return Err(BadRequest("CONNECT with a body"));
            }
            // Some clients send no Host. The request target is sufficient.
            let (host, port) = split_port(target);
            let port = port.and_then(parse_port).ok_or(Failure::InvalidTarget)?;
            let target = endpoint(host, port)?;
            return Ok(Self { target, authorization, is_head: false, forwarded: None });
        }
        let (authority, path) = absolute_form(target)?;
        if hosts == 0 && !is_http_1_0 {
            return Err(BadRequest("missing Host field"));
        }
        let (host, port) = split_port(authority);
        let authority = if port == Some("") { host } else { authority };
        let port = match port {
            None | Some("") => Port::new(80),
            Some(port) => parse_port(port),
        };
        let target = endpoint(host, port.ok_or(Failure::InvalidTarget)?)?;
        let line = RequestLine { method, path, authority, is_http_1_0 };
        let head = line.head(&line.origin_form(), &fields)?;
        let url = line.absolute_form();
        let for_proxy = Arc::new(ForwardRequest {
            method: method.into(),
            authority: authority.into(),
            head: line.head(&url, &fields)?,
            url,
            has_body: !matches!(framing, Framing::None | Framing::Length(0)),
        });
        let head = head.concat(&Wire::public(b"\r\n".to_vec()));
        let forwarded = Some(Forwarded { head, for_proxy, framing, is_http_1_0 });
        Ok(Self { target, authorization, is_head: method == "HEAD", forwarded })
    }
}

fn parse_failure(error: ParseError, head: &[u8]) -> Failure {
    match error {
        ParseError::HeaderName => BadRequest("invalid header name"),
        ParseError::HeaderValue => BadRequest("invalid header value"),
        ParseError::NewLine => BadRequest("invalid line end"),
        ParseError::TooManyHeaders => Failure::HeadTooLong,
        ParseError::Version if names_version(head) => Failure::Version,
        ParseError::Token | ParseError::Status | ParseError::Version => BadRequest("invalid request line"),
    }
}

/// Returns `true` if the request line is well-formed, even with an unknown version.
fn names_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    words.next().is_some_and(|version| version.starts_with(b"HTTP/")) && words.next().is_none()
}

fn endpoint(host: &str, port: Port) -> Result<Endpoint, Failure> {
    // RFC 3986 §3.2.2 requires brackets around IPv6 addresses.
    if host.contains(':') && !host.starts_with('[') {
        return Err(Failure::InvalidTarget);
    }
    let host = parse_host(host).map_err(|_: Rejection| Failure::InvalidTarget)?;
    Ok(Endpoint { host, port })
}

/// Splits `http://AUTHORITY/PATH` into the authority, and the path with the query.
fn absolute_form(target: &str) -> Result<(&str, &str), Failure> {
    if target.starts_with('/') || target == "*" {
        return Err(Failure::NotForProxy);
    }
    let (scheme, rest) = target.split_once("://").ok_or(BadRequest("invalid request target"))?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(Failure::Unsupported("a URL scheme other than http without CONNECT"));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // RFC 9110 §4.2.4: a URL with a user name may be meant to mislead the user.
    if authority.contains('@') {
        return Err(BadRequest("user name in the URL"));
    }
    if path.contains('#') {
        return Err(BadRequest("fragment in the URL"));
    }
    Ok((authority, path))
}

/// Returns how the body is delimited (RFC 9112 §6.3). A request that two parsers could delimit
/// differently is rejected.
fn framing(fields: &Fields<'_>, is_http_1_0: bool) -> Result<Framing, Failure> {
    if ["content-length", "transfer-encoding", "host"].iter().any(|name| fields.connection_names(name)) {
        return Err(BadRequest("Connection names a field that is not for one connection"));
    }
    let length = fields.content_length().map_err(BadRequest)?;
    if fields.values("transfer-encoding").next().is_none() {
        return Ok(length.map_or(Framing::None, Framing::Length));
    }
    if length.is_some() {
        return Err(BadRequest("both Content-Length and Transfer-Encoding"));
    }
    if is_http_1_0 {
        return Err(BadRequest("Transfer-Encoding in HTTP/1.0"));
    }
    let codings: Vec<_> = fields.members("transfer-encoding").collect();
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.as_slice() {
        [coding] if is_chunked(coding) => Ok(Framing::Chunked),
        [others @ .., last] if is_chunked(last) && !others.iter().any(|coding| is_chunked(coding)) => {
            Err(Failure::Unsupported("a transfer coding other than chunked"))
        }
        _ => Err(BadRequest("invalid Transfer-Encoding")),
    }
}

/// The parts of a request line.
struct RequestLine<'a> {
    method: &'a str,
    path: &'a str,
    authority: &'a str,
    is_http_1_0: bool,
}

impl RequestLine<'_> {
    /// Returns the head with this request target, without the empty line at the end.
    fn head(&self, target: &str, fields: &Fields<'_>) -> Result<Wire, Failure> {
        let version = if self.is_http_1_0 { "1.0" } else { "1.1" };
        let line = format!("{} {target} HTTP/{version}\r\nHost: {}\r\n", self.method, self.authority);
        let end = format!("Via: {version} {PSEUDONYM}\r\nConnection: close\r\n");
        let mut hops = None;
        let limits_hops = matches!(self.method, "OPTIONS" | "TRACE");
        let mut parts: Vec<(&[u8], bool)> = vec![(line.as_bytes(), false)];
        for &Header { name, value } in fields.0 {
            let is_dropped = fields.is_hop_by_hop(name)
                || ["host", "trailer"].iter().any(|dropped| name.eq_ignore_ascii_case(dropped));
            if limits_hops && name.eq_ignore_ascii_case("max-forwards") {
                hops = Some(fewer_hops(value)?);
            } else if !is_dropped {
                parts.extend([(name.as_bytes(), false), (b": ", false), (value, true), (b"\r\n", false)]);
            }
        }
        let hops = hops.unwrap_or_default();
        parts.extend([(hops.as_bytes(), false), (end.as_bytes(), false)]);
        Ok(Wire::from_parts(&parts))
    }

    /// Returns the request target in absolute form (RFC 9112 §3.2.2). Without a path, OPTIONS is
    /// for the server as a whole.
    fn absolute_form(&self) -> String {
        let path = self.origin_form();
        format!("http://{}{}", self.authority, if path == "*" { "" } else { &path })
    }

    /// Returns the request target in origin form, or in asterisk form (RFC 9112 §3.2.4).
    fn origin_form(&self) -> String {
        match self.path {
            "" if self.method == "OPTIONS" => "*".into(),
            path if path.starts_with('/') => path.into(),
            path => format!("/{path}"),
        }
    }
}

/// Returns the field `Max-Forwards` for the next server (RFC 9110 §7.6.2). With 0, the request is
/// for this proxy.
fn fewer_hops(value: &[u8]) -> Result<String, Failure> {
    let hops = std::str::from_utf8(value).ok().and_then(|value| value.parse::<u64>().ok());
    match hops {
        None => Err(BadRequest("invalid Max-Forwards")),
        Some(0) => Err(Failure::NotForProxy),
        Some(hops) => Ok(format!("Max-Forwards: {}\r\n", hops - 1)),
    }
}

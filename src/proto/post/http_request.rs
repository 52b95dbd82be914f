//! Reads HTTP requests from a client or a web server (RFC 9112).

use httparse::{EMPTY_HEADER, Header, Status};

use super::message::{MAX_BODY, Sid};
use super::received::{Named, ReadRequest, Received, Refusal, sid_in};
use crate::proto::server::forwarded_in;

/// The maximum length of a head.
pub const MAX_HEAD: usize = 16 * 1024;

/// The maximum number of fields in a head.
pub const MAX_FIELDS: usize = 100;

/// Reads one HTTP request after another.
#[derive(Debug)]
pub struct HttpRequests {
    /// The path, without a slash at the end.
    path: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Body { request: Received, length: usize },
}

impl HttpRequests {
    /// Creates a reader for requests below `path`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { path: path.trim_end_matches('/').into(), state: State::Head(Vec::new()) }
    }

    /// Adds bytes to the head, up to its end. Returns their number, and `true` at the end.
    fn receive_head(head: &mut Vec<u8>, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        for (index, &byte) in bytes.iter().enumerate() {
            // Empty lines before a request are ignored (RFC 9112 §2.2).
            if head.is_empty() && b"\r\n".contains(&byte) {
                continue;
            }
            head.push(byte);
            if byte == b'\n' && (head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")) {
                return Ok((index + 1, true));
            }
            if head.len() >= MAX_HEAD {
                return Err(Refusal { status: 431, why: "header too long" });
            }
        }
        Ok((bytes.len(), false))
    }
}

impl ReadRequest for HttpRequests {
    fn receive(&mut self, bytes: &[u8]) -> Result<(usize, Option<Received>), Refusal> {
        let mut consumed = 0;
        if let State::Head(head) = &mut self.state {
            let (count, is_complete) = Self::receive_head(head, bytes)?;
            consumed = count;
            if !is_complete {
                return Ok((consumed, None));
            }
            let (request, length) = parse(head, &self.path)?;
            self.state = State::Body { request, length };
        }
        let State::Body { request, length } = &mut self.state else { return Ok((consumed, None)) };
        let missing = *length - request.body.len();
        let rest = &bytes[consumed..];
        let part = &rest[..rest.len().min(missing)];
        if request.body.is_empty() && !part.is_empty() {
            request.body.reserve_exact(*length);
        }
        request.body.extend_from_slice(part);
        consumed += part.len();
        if part.len() < missing {
            return Ok((consumed, None));
        }
        match std::mem::replace(&mut self.state, State::Head(Vec::new())) {
            State::Body { request, .. } => Ok((consumed, Some(request))),
            State::Head(_) => Ok((consumed, None)),
        }
    }

    fn is_idle(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.is_empty())
    }

    fn partial(&self) -> Option<(Sid, &[u8])> {
        match &self.state {
            State::Body { request, .. } => Some((request.sid, &request.body)),
            State::Head(_) => None,
        }
    }

    fn named(&self) -> Named {
        match &self.state {
            State::Body { request, .. } => request.named.clone(),
            State::Head(head) => Named { client: None, forwarded: forwarded_in(head) },
        }
    }
}

/// Parses a complete head. Returns the request without its body, and the length of the body.
fn parse(head: &[u8], path: &str) -> Result<(Received, usize), Refusal> {
    let refuse = |status, why| Err(Refusal { status, why });
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return refuse(431, "too many header fields"),
        Err(httparse::Error::Version) => return refuse(400, "unsupported HTTP version"),
        Ok(_) | Err(_) => return refuse(400, "malformed request"),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return refuse(400, "malformed request");
    };
    let fields = Fields(parsed.headers);
    let is_http_1_0 = minor == 0;
    let hosts = fields.values("host").count();
    if hosts > 1 || hosts == 0 && !is_http_1_0 {
        return refuse(400, "expected one Host field");
    }
    let Some(sid) = sid_in(target, path) else { return refuse(404, "no tunnel at this path") };
    if method != "POST" {
        return refuse(405, "expected POST");
    }
    if fields.values("origin").next().is_some() {
        return refuse(403, "web pages may not use the tunnel");
    }
    let length = content_length(&fields)?;
    let lists = |item: &str| fields.values("connection").any(|value| lists(value, item));
    let keeps_alive = if is_http_1_0 { lists("keep-alive") } else { !lists("close") };
    let forwarded: Vec<_> = fields.values("x-forwarded-for").map(String::from_utf8_lossy).collect();
    let forwarded = (!forwarded.is_empty()).then(|| forwarded.join(","));
    let named = Named { client: None, forwarded };
    Ok((Received { sid, body: Vec::new(), keeps_alive, is_http_1_0, named }, length))
}

/// The fields of a head.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// Returns all values of a field.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

/// Returns the length of the body (RFC 9112 §6.3). A request that two servers could delimit
/// differently is refused.
fn content_length(fields: &Fields<'_>) -> Result<usize, Refusal> {
    let mut lengths = fields.values("content-length");
    let (first, second) = (lengths.next(), lengths.next());
    let is_coded = fields.values("transfer-encoding").next().is_some();
    let refuse = |status, why| Err(Refusal { status, why });
    match (first, second) {
        (Some(_), Some(_)) => refuse(400, "several Content-Length fields"),
        (Some(_), None) if is_coded => refuse(400, "both Content-Length and Transfer-Encoding"),
        (None, _) => refuse(411, "expected Content-Length"),
        (Some(value), None) => parse_length(value),
    }
}

/// Parses the length of a body: decimal digits only.
pub(super) fn parse_length(value: &[u8]) -> Result<usize, Refusal> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal { status: 400, why: "invalid length of the body" });
    }
    let length = value.iter().fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
    usize::try_from(length)
        .ok()
        .filter(|&length| length <= MAX_BODY)
        .ok_or(Refusal { status: 413, why: "body too long" })
}

/// Returns `true` if the comma-separated value includes `item`, ignoring case.
fn lists(value: &[u8], item: &str) -> bool {
    value.split(|&byte| byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(item.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::received::testing::read_in_all_ways;
    use super::*;

    const SID: &str = "00112233445566778899aabbccddeeff";

    fn read(input: &str) -> Result<Vec<Received>, Refusal> {
        let input = input.replace('\n', "\r\n").replace("SID", SID);
        read_in_all_ways(&|| Box::new(HttpRequests::new("/tunnel")), input.as_bytes())
    }

    fn status(input: &str) -> u16 {
        read(input).unwrap_err().status
    }

    #[test]
    fn requests_follow_each_other_on_a_connection() {
        let first = "POST /tunnel/SID HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc";
        let second = "\nPOST /tunnel/SID?x=y HTTP/1.1\nhost: h\ncontent-length: 0\nConnection: x, Close\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 192.0.2.2\n\n";
        let requests = read(&format!("{first}{second}")).unwrap();
        assert_eq!(requests.len(), 2);
        assert_eq!((&requests[0].body[..], requests[0].keeps_alive), (&b"abc"[..], true));
        assert_eq!((&requests[1].body[..], requests[1].keeps_alive), (&b""[..], false));
        assert_eq!(requests[1].sid.to_string(), SID);
        assert_eq!(requests[1].named.forwarded.as_deref(), Some("192.0.2.1,192.0.2.2"));
    }

    #[test]
    fn a_client_of_http_1_0_needs_no_host_and_asks_for_a_kept_connection() {
        let request = |fields| format!("POST /tunnel/SID HTTP/1.0\nContent-Length: 0\n{fields}\n");
        let read = |fields| read(&request(fields)).unwrap().remove(0);
        assert!(!read("").keeps_alive);
        assert!(read("Connection: Keep-Alive\n").keeps_alive);
        assert!(read("").is_http_1_0);
    }

    #[test]
    fn the_path_is_compared_exactly_and_may_be_absolute() {
        let read = |target: &str| {
            read(&format!("POST {target} HTTP/1.1\nHost: h\nContent-Length: 0\n\n"))
                .map_or_else(|refusal| refusal.status, |_| 200)
        };
        for target in ["/tunnel/SID", "/tunnel/SID?", "http://h/tunnel/SID", "HTTPS://h:1/tunnel/SID?q"] {
            assert_eq!(read(target), 200, "{target}");
        }
        for target in [
            "/",
            "/tunnel",
            "/tunnel/",
            "/tunnel/SIDx",
            "/tunnel/SID/",
            "/Tunnel/SID",
            "/tunnel//SID",
            "/SID",
            "*",
            "ftp://h/tunnel/SID",
            "/tunnel/%30",
            "/x/tunnel/SID",
        ] {
            assert_eq!(read(target), 404, "{target}");
        }
    }

    #[test]
    fn each_fault_has_its_status() {
        let post = "POST /tunnel/SID HTTP/1.1\nHost: h\n";
        for (expected, input) in [
            (400, "nonsense\n\n".to_owned()),
            (400, "POST /tunnel/SID HTTP/2.0\nHost: h\n\n".into()),
            (400, "POST /tunnel/SID HTTP/1.1\nContent-Length: 0\n\n".into()),
            (400, format!("{post}Host: h\nContent-Length: 0\n\n")),
            (400, format!("{post}Content-Length: 0\nContent-Length: 0\n\n")),
            (400, format!("{post}Content-Length: 0\nTransfer-Encoding: chunked\n\n")),
            (400, format!("{post}Content-Length: +1\n\n")),
            (400, format!("{post}Content-Length:\n\n")),
            (400, format!("{post}Content-Length: 9999999999999999999\n\n")),
            (411, format!("{post}Transfer-Encoding: chunked\n\n")),
            (411, format!("{post}\n")),
            (413, format!("{post}Content-Length: {}\n\n", MAX_BODY + 1)),
            (403, format!("{post}Origin: null\nContent-Length: 0\n\n")),
            (404, "GET /x HTTP/1.1\nHost: h\n\n".into()),
            (405, "GET /tunnel/SID HTTP/1.1\nHost: h\n\n".into()),
            (431, format!("{post}{}\n", "x: y\n".repeat(MAX_FIELDS))),
        ] {
            assert_eq!(status(&input), expected, "{input}");
        }
    }

    #[test]
    fn a_refused_request_names_its_client() {
        let client = |input: &str| {
            let mut reader = HttpRequests::new("/tunnel");
            let refusal = reader.receive(input.replace('\n', "\r\n").as_bytes()).unwrap_err();
            (refusal.status, reader.named().forwarded)
        };
        let fields = "Host: h\nX-Forwarded-For: 192.0.2.1\n";
        let named = Some("192.0.2.1".to_owned());
        assert_eq!(client(&format!("POST /x HTTP/1.1\n{fields}\n")), (404, named.clone()));
        assert_eq!(client(&format!("GET /tunnel/{SID} HTTP/1.1\n{fields}\n")), (405, named));
        assert_eq!(client(&format!("POST /x HTTP/1.1\n{fields}nonsense\n\n")), (400, None));
    }

    #[test]
    fn a_head_beyond_the_limit_is_refused() {
        let long = "x".repeat(MAX_HEAD);
        let mut reader = HttpRequests::new("/");
        assert_eq!(reader.receive(long.as_bytes()).unwrap_err().status, 431);
    }
}

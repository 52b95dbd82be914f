//! Reads SCGI requests from a web server (Schemenauer 2008): `LENGTH:` header fields `,` body. A
//! connection carries one request.

use super::http_request::{MAX_HEAD, parse_length};
use super::message::Sid;
use super::received::{Named, ReadRequest, Received, Refusal, sid_in};

/// The maximum number of digits in the length of the header.
const MAX_DIGITS: usize = 5;

/// Reads one SCGI request.
#[derive(Debug)]
pub struct ScgiRequest {
    /// The path, without a slash at the end.
    path: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The length of the header, so far.
    Length {
        length: usize,
        digits: usize,
    },
    /// The header and the comma after it.
    Header {
        header: Vec<u8>,
        length: usize,
    },
    Body {
        request: Received,
        length: usize,
    },
    Done,
}

const BAD_LENGTH: Refusal = Refusal { status: 400, why: "invalid length of the SCGI header" };

impl ScgiRequest {
    /// Creates a reader for a request below `path`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { path: path.trim_end_matches('/').into(), state: State::Length { length: 0, digits: 0 } }
    }

    /// Processes the next bytes, at least one. Returns their number.
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let count = match &mut self.state {
            State::Length { length, digits } => {
                match bytes[0] {
                    // "0" is the only length that begins with 0.
                    digit @ b'0'..=b'9' if *digits < MAX_DIGITS && (*digits == 0 || *length > 0) => {
                        *length = *length * 10 + usize::from(digit - b'0');
                        *digits += 1;
                    }
                    b':' if *digits > 0 && (1..=MAX_HEAD).contains(length) => {
                        self.state = State::Header { header: Vec::new(), length: *length };
                    }
                    _ => return Err(BAD_LENGTH),
                }
                1
            }
            State::Header { header, length } => {
                let missing = *length + 1 - header.len();
                let part = &bytes[..bytes.len().min(missing)];
                header.extend_from_slice(part);
                if part.len() == missing {
                    let (request, length) = parse(header, &self.path)?;
                    self.state = State::Body { request, length };
                }
                part.len()
            }
            State::Body { request, length } => {
                let part = &bytes[..bytes.len().min(*length - request.body.len())];
                request.body.extend_from_slice(part);
                part.len()
            }
            // Some servers send a newline after the body. Nothing else follows it.
            State::Done => bytes.len(),
        };
        Ok(count)
    }

    /// Returns the request if it is complete.
    fn take(&mut self) -> Option<Received> {
        match &self.state {
            State::Body { request, length } if request.body.len() == *length => {}
            _ => return None,
        }
        match std::mem::replace(&mut self.state, State::Done) {
            State::Body { request, .. } => Some(request),
            _ => None,
        }
    }
}

impl ReadRequest for ScgiRequest {
    fn receive(&mut self, bytes: &[u8]) -> Result<(usize, Option<Received>), Refusal> {
        let mut consumed = 0;
        while consumed < bytes.len() {
            consumed += self.advance(&bytes[consumed..])?;
            if let Some(request) = self.take() {
                return Ok((consumed, Some(request)));
            }
        }
        Ok((consumed, None))
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Length { digits: 0, .. } | State::Done)
    }

    fn partial(&self) -> Option<(Sid, &[u8])> {
        match &self.state {
            State::Body { request, .. } => Some((request.sid, &request.body)),
            _ => None,
        }
    }

    fn named(&self) -> Named {
        match &self.state {
            State::Body { request, .. } => request.named.clone(),
            State::Header { header, .. } => Fields::parse(header).map(|it| it.named()).unwrap_or_default(),
            State::Length { .. } | State::Done => Named::default(),
        }
    }
}

/// The fields of a header: names and values.
struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Fields<'a> {
    /// Splits a header with the comma after it. Returns `None` if it is malformed.
    fn parse(header: &'a [u8]) -> Option<Self> {
        let mut parts = header.strip_suffix(b"\0,")?.split(|&byte| byte == 0);
        let mut fields = Vec::new();
        while let Some(name) = parts.next() {
            let value = parts.next()?;
            if name.is_empty() || fields.iter().any(|(known, _)| *known == name) {
                return None;
            }
            fields.push((name, value));
        }
        Some(Self(fields))
    }

    fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value)
    }

    /// Returns the client that the header names.
    fn named(&self) -> Named {
        let text = |name| self.value(name).map(|text| String::from_utf8_lossy(text).into_owned());
        Named { client: text("REMOTE_ADDR"), forwarded: text("HTTP_X_FORWARDED_FOR") }
    }
}

/// Parses a header with the comma after it. Returns the request without its body, and the length of
/// the body.
fn parse(header: &[u8], path: &str) -> Result<(Received, usize), Refusal> {
    let malformed = Refusal { status: 400, why: "malformed SCGI header" };
    let fields = Fields::parse(header).ok_or(malformed)?;
    let value = |name| fields.value(name);
    let length = match fields.0.first() {
        Some((b"CONTENT_LENGTH", value)) => *value,
        _ => return Err(malformed),
    };
    if value("SCGI") != Some(b"1") {
        return Err(malformed);
    }
    let target = value("REQUEST_URI").and_then(|target| std::str::from_utf8(target).ok());
    let Some(sid) = target.and_then(|target| sid_in(target, path)) else {
        return Err(Refusal { status: 404, why: "no tunnel at this path" });
    };
    if value("REQUEST_METHOD") != Some(b"POST") {
        return Err(Refusal { status: 405, why: "expected POST" });
    }
    if value("HTTP_ORIGIN").is_some() {
        return Err(Refusal { status: 403, why: "web pages may not use the tunnel" });
    }
    let named = fields.named();
    let request = Received { sid, body: Vec::new(), keeps_alive: false, is_http_1_0: false, named };
    Ok((request, parse_length(length)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::message::MAX_BODY;
    use super::super::received::testing::read_in_all_ways;
    use super::*;

    const SID: &str = "00112233445566778899aabbccddeeff";

    fn netstring(fields: &[(&str, &str)]) -> String {
        let parts: Vec<_> = fields.iter().flat_map(|(name, value)| [*name, "\0", *value, "\0"]).collect();
        let header = parts.concat();
        format!("{}:{header},", header.len())
    }

    /// Returns a request with some fields replaced, or removed if they are "-".
    fn request(changes: &[(&str, &str)]) -> String {
        let uri = format!("/tunnel/{SID}?x");
        let mut fields = vec![
            ("CONTENT_LENGTH", "3"),
            ("SCGI", "1"),
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", &uri),
            ("REMOTE_ADDR", "192.0.2.1"),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            match *name {
                _ if *value == "-" => {}
                "CONTENT_LENGTH" => fields.insert(0, (name, value)),
                _ => fields.push((name, value)),
            }
        }
        netstring(&fields) + "abc"
    }

    fn read(input: &str) -> Result<Vec<Received>, Refusal> {
        read_in_all_ways(&|| Box::new(ScgiRequest::new("/tunnel/")), input.as_bytes())
    }

    #[test]
    fn a_request_names_tunnel_and_client() {
        for input in [request(&[]), request(&[]) + "\n"] {
            let requests = read(&input).unwrap();
            assert_eq!(requests.len(), 1);
            let Received { sid, body, keeps_alive, named, .. } = &requests[0];
            assert_eq!((sid.to_string().as_str(), &body[..], *keeps_alive), (SID, &b"abc"[..], false));
            assert_eq!(named.client.as_deref(), Some("192.0.2.1"));
        }
        assert_eq!(read(&request(&[("CONTENT_LENGTH", "0")])).unwrap()[0].body, b"");
    }

    #[test]
    fn a_refused_request_names_its_client() {
        let client = |input: &str| {
            let mut reader = ScgiRequest::new("/tunnel");
            (reader.receive(input.as_bytes()).unwrap_err().status, reader.named())
        };
        let input = request(&[("REQUEST_METHOD", "GET"), ("HTTP_X_FORWARDED_FOR", "192.0.2.9")]);
        let named = Named { client: Some("192.0.2.1".into()), forwarded: Some("192.0.2.9".into()) };
        assert_eq!(client(&input), (405, named));
        assert_eq!(client("4:a\0b\0;"), (400, Named::default()));
        assert_eq!(client("x"), (400, Named::default()));
    }

    #[test]
    fn each_fault_has_its_status() {
        let long = (MAX_BODY + 1).to_string();
        for (expected, input) in [
            (400, request(&[("SCGI", "2")])),
            (400, request(&[("SCGI", "-")])),
            (400, request(&[("CONTENT_LENGTH", "-")])),
            (400, request(&[("CONTENT_LENGTH", "")])),
            (400, request(&[("CONTENT_LENGTH", "-3x")])),
            (400, netstring(&[("SCGI", "1"), ("CONTENT_LENGTH", "3")])),
            (400, netstring(&[("CONTENT_LENGTH", "3"), ("CONTENT_LENGTH", "3"), ("SCGI", "1")])),
            (400, netstring(&[("CONTENT_LENGTH", "3"), ("", "x"), ("SCGI", "1")])),
            (400, "0:,".into()),
            (400, "x".into()),
            (400, "012:".into()),
            (400, "16385:".into()),
            (400, "999999:".into()),
            (400, "5:abcde,".into()),
            (400, "4:a\0b\0;".into()),
            (413, request(&[("CONTENT_LENGTH", &long)])),
            (403, request(&[("HTTP_ORIGIN", "https://evil.example")])),
            (404, request(&[("REQUEST_URI", "/tunnel/x")])),
            (404, request(&[("REQUEST_URI", "-")])),
            (405, request(&[("REQUEST_METHOD", "GET")])),
        ] {
            assert_eq!(read(&input).map_err(|refusal| refusal.status), Err(expected), "{input:?}");
        }
    }
}

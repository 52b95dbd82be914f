//! The client side of HTTP: writes the head of a request, and reads the response.

use std::time::Duration;

use super::super::http::{Body, Head, HeadReader};
use super::super::{Error, Redactor};
use super::message::{MAX_BODY, Sid};

/// Maximum length of the body of a response that is no message of the tunnel. The rest of a longer
/// one is not read.
const MAX_PAGE: usize = 64 * 1024;
/// Maximum value of `Retry-After`; a longer one is shortened.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The parts of a request that are the same for all requests of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The value of `Host`.
    pub authority: String,
    /// The path; a slash at its end is ignored.
    pub path: String,
    /// The query; `None` for none.
    pub query: Option<String>,
}

impl Resource {
    /// Returns the head of a request whose body has this length.
    #[must_use]
    pub fn head(&self, sid: Sid, length: usize) -> Vec<u8> {
        let Self { authority, path, query } = self;
        let path = path.trim_end_matches('/');
        let query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        format!(
            "POST {path}/{sid}{query} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes()
    }
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase, as received.
    pub reason: String,
    /// The media type, in lower case and without parameters.
    pub content_type: Option<String>,
    /// The value of `Retry-After` in seconds, at most half a minute.
    pub retry_after: Option<Duration>,
    /// The value of `Location`.
    pub location: Option<String>,
    /// The server accepts another request on this connection.
    pub keeps_alive: bool,
    /// The end of the connection is the only sign that the body is complete.
    pub ends_at_eof: bool,
    /// The body; of a page, only the start.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns `true` if the body may be a message of the tunnel.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.status == 200 && self.content_type.as_deref() == Some("application/octet-stream")
    }
}

/// Reads the response to one request.
#[derive(Debug)]
pub struct ResponseReader {
    redactor: Redactor,
    head: HeadReader,
    response: Option<(Response, Body)>,
    has_received: bool,
}

impl ResponseReader {
    /// Creates a reader. `redactor` masks secrets in errors.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, head: HeadReader::default(), response: None, has_received: false }
    }

    /// Processes received bytes. Returns how many of them belong to the response, and the response
    /// once it is complete.
    ///
    /// # Errors
    /// The bytes are no response.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(usize, Option<Response>), Error> {
        self.has_received |= !bytes.is_empty();
        let mut consumed = 0;
        while self.response.is_none() && consumed < bytes.len() {
            let (count, head) = self.head.receive(&bytes[consumed..], &self.redactor)?;
            consumed += count;
            // Interim responses precede the final one.
            self.response = head.filter(|head| head.status >= 200).map(|head| begin(&head));
        }
        let Some((response, body)) = &mut self.response else { return Ok((consumed, None)) };
        consumed += body.receive(&bytes[consumed..])?;
        let is_message = response.has_message();
        if body.received() > 2 * MAX_BODY && is_message {
            return Err(Error::MalformedHttp("body too long".into()));
        }
        if !body.is_complete() {
            if is_message || body.received() <= MAX_PAGE {
                return Ok((consumed, None));
            }
            response.keeps_alive = false;
        }
        Ok((consumed, self.take()))
    }

    /// Reports that the server closed the connection. Returns the response if its body ends at EOF;
    /// `None` if it is incomplete.
    pub fn closed(&mut self) -> Option<Response> {
        let (response, _) = self.response.as_ref()?;
        if response.ends_at_eof { self.take() } else { None }
    }

    /// Returns `true` if no byte has been received.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        !self.has_received
    }

    fn take(&mut self) -> Option<Response> {
        let (response, body) = self.response.take()?;
        Some(Response { body: body.into_start(), ..response })
    }
}

/// Returns the response without its body, and the reader for the body.
fn begin(head: &Head) -> (Response, Body) {
    let content_type = head.value("content-type").and_then(|value| value.split(';').next());
    let seconds = head.value("retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
    let body = Body::from_head(head);
    let ends_at_eof = body.ends_at_eof();
    let response = Response {
        status: head.status,
        reason: head.reason().into(),
        content_type: content_type.map(|value| value.trim().to_ascii_lowercase()),
        retry_after: seconds.map(|delay| delay.min(MAX_RETRY_AFTER)),
        location: head.value("location").map(Into::into),
        keeps_alive: head.keeps_alive() && !ends_at_eof,
        ends_at_eof,
        body: Vec::new(),
    };
    let body = if response.has_message() { body.keeping(MAX_BODY) } else { body };
    (response, body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Reads the response in each fragmentation, and returns it with the bytes after it.
    fn read(input: &str) -> Option<(Response, String)> {
        let whole = read_parts(&[input.as_bytes()]);
        let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
        assert_eq!(read_parts(&bytes), whole);
        for at in 1..input.len() {
            let (before, after) = input.as_bytes().split_at(at);
            assert_eq!(read_parts(&[before, after]), whole, "cut after {at}");
        }
        whole
    }

    fn read_parts(parts: &[&[u8]]) -> Option<(Response, String)> {
        let mut reader = ResponseReader::new(Redactor::default());
        assert!(reader.is_unused());
        let mut rest = String::new();
        let mut done = None;
        for part in parts {
            let mut part = *part;
            while done.is_none() && !part.is_empty() {
                let (count, response) = reader.receive(part).ok()?;
                part = &part[count..];
                done = response;
                assert!(done.is_some() || !reader.is_unused());
            }
            rest.push_str(std::str::from_utf8(part).unwrap());
        }
        Some((done.or_else(|| reader.closed())?, rest))
    }

    #[test]
    fn a_request_has_the_documented_head() {
        let resource = Resource { authority: "h:81".into(), path: "/t/".into(), query: Some("a=b".into()) };
        let sid = Sid::new([0xab; 16]);
        let text = "ab".repeat(16);
        let expected = format!(
            "POST /t/{text}?a=b HTTP/1.1\r\nHost: h:81\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: 5\r\n\r\n"
        );
        assert_eq!(String::from_utf8(resource.head(sid, 5)).unwrap(), expected);
        let root = Resource { path: "/".into(), query: None, ..resource };
        assert!(root.head(sid, 0).starts_with(format!("POST /{text} HTTP/1.1").as_bytes()));
    }

    #[test]
    fn a_body_has_a_length_or_is_chunked() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: Application/Octet-Stream; x=y\r\n";
        for body in [
            "Content-Length: 5\r\n\r\nabcde",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x\r\ncde\r\n0\r\n\r\n",
        ] {
            let (response, rest) = read(&format!("HTTP/1.1 100 Continue\r\n\r\n{head}{body}HTTP")).unwrap();
            assert!(response.has_message() && response.keeps_alive);
            assert_eq!((&response.body[..], rest.as_str()), (&b"abcde"[..], "HTTP"));
        }
        assert_eq!(read(&format!("{head}Content-Length: 5\r\n\r\nabcd")), None);
        assert_eq!(read(&format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")), None);
        assert_eq!(read("SSH-2.0-x\r\n"), None);
    }

    #[test]
    fn a_body_that_ends_at_eof_says_so() {
        let (response, _) =
            read("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<title>Log in</title>").unwrap();
        assert!(response.ends_at_eof && !response.keeps_alive && !response.has_message());
        assert_eq!(response.body, b"<title>Log in</title>");
    }

    #[test]
    fn a_long_page_is_not_read_to_its_end() {
        let head = "HTTP/1.1 302 Found\r\nLocation: https://h/login\r\nContent-Length: 99999999\r\n\r\n";
        let mut reader = ResponseReader::new(Redactor::default());
        let input = format!("{head}{}", "x".repeat(MAX_PAGE + 1));
        let response = reader.receive(input.as_bytes()).unwrap().1.unwrap();
        assert!(!response.keeps_alive && response.body.len() < MAX_PAGE);
        assert_eq!(response.location.as_deref(), Some("https://h/login"));
    }

    #[test]
    fn retry_after_is_limited() {
        let retry_after = |value: &str| {
            let head = format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
            read(&head).unwrap().0.retry_after
        };
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("700"), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }

    #[test]
    fn a_message_beyond_the_limit_is_rejected() {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 99999999\r\n\r\n";
        let mut reader = ResponseReader::new(Redactor::default());
        reader.receive(head.as_bytes()).unwrap();
        assert!(reader.receive(&vec![0; 2 * MAX_BODY + 1]).is_err());
    }
}

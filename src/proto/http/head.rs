//! The head of an answer: status line and header fields (RFC 9112 §4 and §5), read as they come.

use super::super::Error;
use super::redact::Mask;

/// The most bytes of heads that are read for one request, interim answers included.
const LIMIT: usize = 64 * 1024;

/// Collects a head byte by byte; one after another, if interim answers come first.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    /// What earlier heads for the same request took.
    earlier: usize,
}

/// A complete head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// HTTP/1.0 and HTTP/1.1 differ in what happens to the connection.
    http_1_0: bool,
    pub(super) status: u16,
    reason: String,
    fields: Vec<(String, String)>,
}

impl HeadReader {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what belongs to the head: all, or up to the end of the blank line that makes it complete.
    pub(super) fn receive(&mut self, bytes: &[u8], mask: &Mask) -> Result<(usize, Option<Head>), Error> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.bytes.push(byte);
            if self.earlier + self.bytes.len() > LIMIT {
                return Err(Error::HeaderTooLong(LIMIT / 1024));
            }
            // Each line may end in CR LF or in a bare LF (RFC 9112 §2.2).
            if byte == b'\n' && (self.bytes.ends_with(b"\n\n") || self.bytes.ends_with(b"\n\r\n")) {
                let head = Head::parse(&self.bytes, mask)?;
                self.earlier += self.bytes.len();
                self.bytes.clear();
                return Ok((index + 1, Some(head)));
            }
        }
        self.check_start(mask)?;
        Ok((bytes.len(), None))
    }

    /// Something other than HTTP/1 is told at once: it may never send a line's end.
    fn check_start(&self, mask: &Mask) -> Result<(), Error> {
        let start = b"HTTP/1.";
        let seen = self.bytes.len().min(start.len());
        if self.bytes[..seen] == start[..seen] { Ok(()) } else { Err(not_http(&self.bytes, mask)) }
    }
}

fn not_http(bytes: &[u8], mask: &Mask) -> Error {
    let first_line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    Error::MalformedHttp(format!("it begins with '{}'", mask.fit(first_line)))
}

impl Head {
    fn parse(bytes: &[u8], mask: &Mask) -> Result<Self, Error> {
        // A CR that ends no line, or a NUL, lets two readers disagree (RFC 9110 §5.5).
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        for (bad, name) in [('\r', "a bare CR"), ('\0', "a NUL")] {
            if text.contains(bad) {
                return Err(Error::MalformedHttp(format!("{name} within its header")));
            }
        }
        let mut lines = text.lines();
        let (http_1_0, status, reason) =
            lines.next().and_then(parse_status_line).ok_or_else(|| not_http(bytes, mask))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            // obs-fold: the value goes on in the next line (RFC 9112 §5.2).
            if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), fields.last_mut()) {
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| {
                Error::MalformedHttp(format!("no colon in the header line '{}'", mask.fit(line.as_bytes())))
            })?;
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self { http_1_0, status, reason: reason.to_owned(), fields })
    }

    /// All values of a field, which is named in lower case.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a field, which is named in lower case.
    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// Whether one of the comma-separated words of a field is this one.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|w| w.trim().eq_ignore_ascii_case(word))
    }

    /// Whether the proxy takes another request on this connection (RFC 9112 §9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        let says = |word| self.lists("connection", word) || self.lists("proxy-connection", word);
        !says("close") && (!self.http_1_0 || says("keep-alive"))
    }

    /// The reason phrase, as it came.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// `HTTP/1.x SP code [SP reason]`, to the letter: what only looks like it is not trusted with a tunnel.
/// Codes from 600 on are no known class, and still an answer, to be taken as a 5xx (RFC 9110 §15).
fn parse_status_line(line: &str) -> Option<(bool, u16, &str)> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (minor, rest) = rest.split_once(' ')?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits = |word: &str, count| word.len() == count && word.bytes().all(|b| b.is_ascii_digit());
    let status = code.parse().ok().filter(|status| digits(code, 3) && (100..1000).contains(status))?;
    digits(minor, 1).then_some((minor == "0", status, reason.trim()))
}

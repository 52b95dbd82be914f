//! The head of a response: status line and header fields (RFC 9112 §4 and §5), parsed
//! incrementally.

use super::super::{Error, Redactor};

/// The maximum size of all heads in response to one request, interim responses included.
const MAX_SIZE: usize = 64 * 1024;

/// The first byte of a TLS alert, which a TLS server sends in reply to plain HTTP (RFC 8446 §5.1).
const TLS_ALERT: u8 = 0x15;

/// Collects the bytes of a head, and of the next one after an interim response.
#[derive(Debug, Default)]
pub(in crate::proto) struct HeadReader {
    bytes: Vec<u8>,
    /// Total size of the earlier heads in response to the same request.
    earlier: usize,
}

/// A complete head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::proto) struct Head {
    /// The version is HTTP/1.0, whose connections close by default.
    http_1_0: bool,
    pub(in crate::proto) status: u16,
    reason: String,
    fields: Vec<(String, String)>,
    /// As received.
    raw: Vec<u8>,
}

impl HeadReader {
    /// Takes the start of an incomplete head.
    pub(super) fn take_start(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(in crate::proto) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Processes received bytes up to the blank line that ends the head.
    ///
    /// Returns how many bytes belong to the head, and the head once it is complete.
    pub(in crate::proto) fn receive(
        &mut self,
        bytes: &[u8],
        redactor: &Redactor,
    ) -> Result<(usize, Option<Head>), Error> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.bytes.push(byte);
            if self.earlier + self.bytes.len() > MAX_SIZE {
                return Err(Error::HeaderTooLong(MAX_SIZE / 1024));
            }
            // A line may end in CR LF or a bare LF (RFC 9112 §2.2).
            if byte == b'\n' && (self.bytes.ends_with(b"\n\n") || self.bytes.ends_with(b"\n\r\n")) {
                // Check the start before the header fields, so that the error does not depend on
                // how the bytes are fragmented.
                self.check_start(redactor)?;
                self.earlier += self.bytes.len();
                let head = Head::parse(std::mem::take(&mut self.bytes), redactor)?;
                return Ok((index + 1, Some(head)));
            }
        }
        self.check_start(redactor)?;
        Ok((bytes.len(), None))
    }

    /// Detects a protocol other than HTTP/1 from the first bytes, because the peer may never send a
    /// newline.
    fn check_start(&self, redactor: &Redactor) -> Result<(), Error> {
        let start = b"HTTP/1.";
        let seen = self.bytes.len().min(start.len());
        if self.bytes[..seen] == start[..seen] { Ok(()) } else { Err(not_http(&self.bytes, redactor)) }
    }
}

fn not_http(bytes: &[u8], redactor: &Redactor) -> Error {
    // Mask first: a secret may contain a line end.
    let shown = redactor.redact_start(bytes);
    let first_line = shown.split(|&b| b == b'\n').next().unwrap_or_default();
    Error::NotHttp { start: redactor.printable(first_line), is_tls: bytes.first() == Some(&TLS_ALERT) }
}

/// The error about the first header line without a colon.
fn no_colon(bytes: &[u8], redactor: &Redactor) -> Error {
    // Mask first: a secret may contain a line end.
    let shown = redactor.redact(bytes);
    let text = String::from_utf8_lossy(&shown);
    let lines = text.lines().enumerate().skip(1).filter(|(index, line)| *index == 1 || !is_folded(line));
    let line = lines.map(|(_, line)| line).find(|line| !line.contains(':')).unwrap_or_default();
    Error::MalformedHttp(format!("no colon in the header line '{}'", redactor.printable(line.as_bytes())))
}

/// Returns `true` for a line that continues the previous one (obs-fold, RFC 9112 §5.2).
fn is_folded(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

impl Head {
    /// Returns the head as received.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    fn parse(bytes: Vec<u8>, redactor: &Redactor) -> Result<Self, Error> {
        // Reject a bare CR and a NUL: parsers disagree about them, and whether a tunnel is
        // established must not depend on that (RFC 9110 §5.5).
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        for (bad, name) in [('\r', "a bare CR"), ('\0', "a NUL")] {
            if text.contains(bad) {
                return Err(Error::MalformedHttp(format!("{name} in the header")));
            }
        }
        let mut lines = text.lines();
        let (http_1_0, status, reason) =
            lines.next().and_then(parse_status_line).ok_or_else(|| not_http(&bytes, redactor))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            if let (true, Some((_, value))) = (is_folded(line), fields.last_mut()) {
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| no_colon(&bytes, redactor))?;
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        let reason = reason.to_owned();
        Ok(Self { http_1_0, status, reason, fields, raw: bytes })
    }

    /// Returns the head for display, with our secrets masked before it is parsed. `None` if the
    /// masked text is not a head.
    pub(in crate::proto) fn masked(&self, redactor: &Redactor) -> Option<Self> {
        Self::parse(redactor.redact(&self.raw), redactor).ok()
    }

    /// Returns all values of a field. `name` must be in lower case.
    pub(in crate::proto) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first value of a field. `name` must be in lower case.
    pub(in crate::proto) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// Returns `true` if the comma-separated values of a field include `item`, ignoring case.
    pub(in crate::proto) fn lists(&self, name: &str, item: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(item))
    }

    /// Returns `true` if the proxy accepts another request on this connection (RFC 9112 §9.3).
    pub(in crate::proto) fn keeps_alive(&self) -> bool {
        let has = |option| self.lists("connection", option) || self.lists("proxy-connection", option);
        !has("close") && (!self.http_1_0 || has("keep-alive"))
    }

    /// Returns the reason phrase as received.
    pub(in crate::proto) fn reason(&self) -> &str {
        &self.reason
    }
}

/// Parses `HTTP/1.x SP code [SP reason]` strictly, because a 2xx status hands the connection over
/// to the tunnel.
///
/// Codes of 600 and above are accepted and treated as 5xx (RFC 9110 §15).
fn parse_status_line(line: &str) -> Option<(bool, u16, &str)> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (minor, rest) = rest.split_once(' ')?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let status = code.parse().ok().filter(|status| digits(code, 3) && (100..1000).contains(status))?;
    digits(minor, 1).then_some((minor == "0", status, reason.trim()))
}

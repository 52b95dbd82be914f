//! The head of the target's response, for the client.

use std::fmt;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};
use zeroize::Zeroizing;

use super::super::filter::{Filter, Malformed, Mode};
use super::answer::Answer;
use super::fields::{Fields, MAX_FIELDS, MAX_HEAD, PSEUDONYM, push_secret};

/// The filter for the target's bytes. The body follows the head as it is.
pub(super) struct Response {
    state: State,
    /// The request was HEAD.
    is_head: bool,
    /// The client speaks HTTP/1.0.
    is_http_1_0: bool,
    /// The response comes from a proxy that forwards the request.
    is_from_proxy: bool,
    /// The size of the earlier heads: interim responses.
    earlier: usize,
}

enum State {
    /// The incomplete head.
    Head(Zeroizing<Vec<u8>>),
    Body,
    End,
}

/// The head for the client.
struct Rewritten {
    bytes: Zeroizing<Vec<u8>>,
    /// Another head follows (RFC 9110 §15.2).
    is_interim: bool,
}

/// The head may contain a secret, such as a cookie.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({:?})", self.mode())
    }
}

impl Response {
    pub(super) fn new(is_head: bool, is_http_1_0: bool, is_from_proxy: bool) -> Self {
        let state = State::Head(Zeroizing::new(Vec::new()));
        Self { state, is_head, is_http_1_0, is_from_proxy, earlier: 0 }
    }

    /// Replaces the response with our own.
    fn fail(&mut self, why: &str, output: &mut Zeroizing<Vec<u8>>) {
        self.state = State::End;
        let answer = Answer::new(502, why).without_body_if(self.is_head);
        output.extend_from_slice(&answer.bytes());
    }

    fn rewrite(&self, head: &[u8]) -> Result<Rewritten, &'static str> {
        const MALFORMED: &str = "the target sent a malformed response";
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        // RFC 9112 §5.1: a proxy removes blanks between the name and the colon.
        let mut config = ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        match config.parse_response(&mut parsed, head) {
            Ok(Status::Complete(length)) if length == head.len() => {}
            _ => return Err(MALFORMED),
        }
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else { return Err(MALFORMED) };
        let fields = Fields(parsed.headers);
        if status < 100 {
            return Err(MALFORMED);
        }
        let is_interim = status < 200;
        match status {
            // A forwarded request never contains `Upgrade`.
            101 => return Err(MALFORMED),
            // The client does not know the password for the next proxy.
            407 if self.is_from_proxy => return Err("the next proxy rejected the login"),
            // The client would send the target its password for this proxy.
            407 => return Err("the target is not a proxy, but requires proxy authentication"),
            _ => {}
        }
        let has_coding = fields.values("transfer-encoding").next().is_some();
        if !has_coding {
            fields.content_length().map_err(|_| MALFORMED)?;
        } else if self.is_http_1_0 {
            return Err(MALFORMED);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + 128));
        let reason = parsed.reason.unwrap_or_default();
        bytes.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        for &Header { name, value } in fields.0 {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            // `Connection` cannot remove a field that delimits the body. A transfer coding
            // overrides the length (RFC 9112 §6.3).
            let is_kept = match name {
                _ if is("content-length") => !has_coding,
                _ if is("transfer-encoding") => true,
                name => !fields.is_hop_by_hop(name),
            };
            if is_kept {
                for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                    bytes.extend_from_slice(part);
                }
            }
        }
        bytes.extend_from_slice(format!("Via: 1.{minor} {PSEUDONYM}\r\n").as_bytes());
        bytes.extend_from_slice(if is_interim { b"\r\n" } else { b"Connection: close\r\n\r\n" });
        Ok(Rewritten { bytes, is_interim })
    }
}

impl Filter for Response {
    fn mode(&self) -> Mode {
        match self.state {
            State::Head(_) => Mode::Process,
            State::Body => Mode::Pass(u64::MAX),
            State::End => Mode::End,
        }
    }

    fn receive(&mut self, input: &[u8], output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
        for (index, &byte) in input.iter().enumerate() {
            let State::Head(head) = &mut self.state else {
                if let State::Body = self.state {
                    output.extend_from_slice(&input[index..]);
                }
                return Ok(());
            };
            if self.earlier + head.len() == MAX_HEAD {
                self.fail("the target sent too long a header", output);
                return Ok(());
            }
            push_secret(head, byte);
            if byte == b'\n' && (head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n")) {
                let head = std::mem::take(head);
                self.earlier += head.len();
                match self.rewrite(&head) {
                    Err(why) => self.fail(why, output),
                    Ok(Rewritten { bytes, is_interim }) => {
                        // RFC 9110 §15.2: HTTP/1.0 has no interim responses.
                        if !(is_interim && self.is_http_1_0) {
                            output.extend_from_slice(&bytes);
                        }
                        if !is_interim {
                            self.state = State::Body;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn passed(&mut self, _: usize) {}

    fn closed(&mut self, output: &mut Zeroizing<Vec<u8>>) -> Result<(), Malformed> {
        match self.state {
            State::Head(_) => self.fail("the target closed the connection without a response", output),
            State::Body | State::End => self.state = State::End,
        }
        Ok(())
    }
}

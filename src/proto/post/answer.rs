//! Writes the answers of the server, for HTTP and SCGI.

use super::received::Refusal;
use crate::proto::http::reason;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// HTTP.
    Http {
        /// The connection stays open after the answer.
        keeps_alive: bool,
        /// The client speaks HTTP/1.0, in which connections close by default.
        is_http_1_0: bool,
    },
    /// SCGI. The connection closes after the answer.
    Scgi,
}

impl Form {
    /// Returns an answer with this status. The body of status 200 is a message of the tunnel; the
    /// body of any other status is a text for the user, by default the reason phrase.
    #[must_use]
    pub fn answer(self, status: u16, body: &[u8]) -> Vec<u8> {
        if status == 200 {
            return self.write(status, "application/octet-stream", body);
        }
        let text = std::str::from_utf8(body).ok().filter(|text| !text.is_empty());
        let text = format!("connect: {}\n", text.unwrap_or_else(|| reason(status)));
        self.write(status, "text/plain; charset=utf-8", text.as_bytes())
    }

    /// Returns the answer to a request that was refused.
    #[must_use]
    pub fn refusal(self, refusal: Refusal) -> Vec<u8> {
        let text = format!("connect: {}\n", refusal.why);
        self.write(refusal.status, "text/plain; charset=utf-8", text.as_bytes())
    }

    fn write(self, status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
        let start = match self {
            Self::Http { .. } => "HTTP/1.1",
            Self::Scgi => "Status:",
        };
        let more = match status {
            401 => "WWW-Authenticate: Bearer\r\n",
            405 => "Allow: POST\r\n",
            _ => "",
        };
        let connection = match self {
            Self::Http { keeps_alive: false, .. } => "Connection: close\r\n",
            Self::Http { is_http_1_0: true, .. } => "Connection: keep-alive\r\n",
            Self::Http { .. } | Self::Scgi => "",
        };
        let head = format!(
            "{start} {status} {}\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\n\
             Content-Length: {}\r\n{more}{connection}\r\n",
            reason(status),
            body.len()
        );
        let mut answer = Vec::with_capacity(head.len() + body.len());
        answer.extend_from_slice(head.as_bytes());
        answer.extend_from_slice(body);
        answer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_answer_has_the_form_of_its_protocol() {
        let http = Form::Http { keeps_alive: true, is_http_1_0: false };
        let fields =
            "Content-Type: application/octet-stream\r\nCache-Control: no-store\r\nContent-Length: 3\r\n";
        for (form, start, end) in [
            (http, "HTTP/1.1 200 OK\r\n", ""),
            (
                Form::Http { keeps_alive: false, is_http_1_0: false },
                "HTTP/1.1 200 OK\r\n",
                "Connection: close\r\n",
            ),
            (
                Form::Http { keeps_alive: true, is_http_1_0: true },
                "HTTP/1.1 200 OK\r\n",
                "Connection: keep-alive\r\n",
            ),
            (Form::Scgi, "Status: 200 OK\r\n", ""),
        ] {
            let answer = String::from_utf8(form.answer(200, b"abc")).unwrap();
            assert_eq!(answer, format!("{start}{fields}{end}\r\nabc"));
        }
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        let refusal = Refusal { status: 405, why: "expected POST" };
        let answer = String::from_utf8(Form::Scgi.refusal(refusal)).unwrap();
        assert!(answer.starts_with("Status: 405 Method Not Allowed\r\n"), "{answer}");
        assert!(
            answer.contains("\r\nAllow: POST\r\n") && answer.ends_with("\r\n\r\nconnect: expected POST\n")
        );
        let answer = String::from_utf8(Form::Scgi.answer(401, b"")).unwrap();
        assert!(
            answer.contains("\r\nWWW-Authenticate: Bearer\r\n")
                && answer.ends_with("connect: Unauthorized\n")
        );
    }
}

//! The answers of the hub to requests that it refuses.

use crate::proto::websocket::refusal_response;
use crate::token;

/// The reason for a refusal, in the log and the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The head is invalid.
    Malformed,
    /// The token is missing, invalid or expired.
    Token,
    /// The token does not permit this, or is denied.
    Forbidden,
    /// The request comes from a web page.
    Browser,
    /// The origin has refused the client.
    Origin,
    /// No origin offers the session, or the offer or the path is unknown.
    Absent,
    /// The origin does not know the link.
    Unknown,
    /// Another identity offers the session.
    Taken,
    /// The request is not for a WebSocket.
    Upgrade,
    /// A limit is reached.
    Limit,
    /// The origin cannot reach its target.
    Target,
    /// The origin did not answer in time.
    Timeout,
    /// The hub is shutting down.
    Draining,
}

impl Label {
    /// All labels.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Token,
        Self::Forbidden,
        Self::Browser,
        Self::Origin,
        Self::Absent,
        Self::Unknown,
        Self::Taken,
        Self::Upgrade,
        Self::Limit,
        Self::Target,
        Self::Timeout,
        Self::Draining,
    ];

    /// Returns the name in the log and the statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Token => "token",
            Self::Forbidden => "forbidden",
            Self::Browser => "browser",
            Self::Origin => "origin",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
            Self::Taken => "taken",
            Self::Upgrade => "upgrade",
            Self::Limit => "limit",
            Self::Target => "target",
            Self::Timeout => "timeout",
            Self::Draining => "draining",
        }
    }
}

/// A refusal: its HTTP status, its label, and a line of text for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The reason.
    pub label: Label,
    /// The text, without a line break.
    pub why: String,
}

impl Refusal {
    /// Creates a refusal.
    #[must_use]
    pub fn new(status: u16, label: Label, why: impl Into<String>) -> Self {
        Self { status, label, why: why.into() }
    }

    /// Creates the refusal of a hub that shuts down.
    #[must_use]
    pub fn draining() -> Self {
        Self::new(503, Label::Draining, "the hub is shutting down")
    }

    /// Returns the response. The server closes the connection after it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        refusal_response(self.status, &self.why)
    }
}

impl From<token::Refusal> for Refusal {
    fn from(refusal: token::Refusal) -> Self {
        let label = match refusal.status() {
            401 => Label::Token,
            403 => Label::Forbidden,
            _ => Label::Limit,
        };
        Self::new(refusal.status(), label, refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn labels_have_different_names() {
        let names: std::collections::BTreeSet<_> = Label::ALL.iter().map(|label| label.name()).collect();
        assert_eq!(names.len(), Label::ALL.len());
        assert!(Label::ALL.is_sorted());
    }

    #[test]
    fn a_refusal_has_one_line_of_text_and_the_fields_of_its_status() {
        let text = |status| String::from_utf8(Refusal::new(status, Label::Absent, "gone").bytes()).unwrap();
        assert!(text(404).starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(
            text(404)
                .ends_with("Content-Length: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\ngone\n")
        );
        for (status, field) in [
            (401, "\r\nWWW-Authenticate: Bearer\r\n"),
            (426, "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\n"),
            (503, "\r\nRetry-After: 1\r\n"),
        ] {
            assert!(text(status).contains(field), "{status}");
        }
    }
}

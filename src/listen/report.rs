//! The messages about clients, whose number is limited.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::text::printable;
use crate::trace::{self, trace};

/// Maximum number of messages in one interval. With `-d`, all are logged.
const MAX_MESSAGES: u32 = 10;
/// Length of an interval.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum interval between reports of clients that could not be served.
const ACCEPT_ERROR_INTERVAL: Duration = Duration::from_secs(10);

/// Prints messages, as many as a reader can follow.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The start of the current interval.
    since: Option<Instant>,
    count: u32,
    /// The number of messages that were not printed.
    dropped: u32,
}

impl Report {
    /// Reports a request that was answered with this status. `client` may be from [`client_text`].
    pub(super) fn refused(&mut self, client: &str, status: u16, why: &str) {
        self.message(&format!("refused client {client}: {status} {why}"));
    }

    /// Reports a tunnel that failed.
    pub(super) fn failed(&mut self, client: &str, why: &str) {
        self.message(&format!("client {client}: {why}"));
    }

    /// Prints a message, or counts it.
    pub(crate) fn message(&mut self, line: &str) {
        match self.accept(Instant::now()) {
            Some(0) => trace::message(line),
            Some(dropped) => trace::message(&format!("{line} ({dropped} more messages since the last one)")),
            None => trace!("{line}"),
        }
    }

    /// Returns the number of messages that were dropped before this one; `None` to drop it.
    fn accept(&mut self, now: Instant) -> Option<u32> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= MESSAGE_INTERVAL) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        if self.count > MAX_MESSAGES {
            self.dropped += 1;
            return None;
        }
        Some(std::mem::take(&mut self.dropped))
    }
}

/// Describes a client: its name, its identity, and the session that it asks for. `identity` is
/// empty for a client without one.
pub(crate) fn client_text(name: &str, session: Option<&str>, identity: &str) -> String {
    let mut text = name.to_owned();
    if !identity.is_empty() {
        text = format!("{text} ({})", printable(identity.as_bytes()));
    }
    match session {
        Some(session) => format!("{text} for session '{session}'"),
        None => text,
    }
}

/// Reports clients that could not be served, at most one per [`ACCEPT_ERROR_INTERVAL`].
#[derive(Default)]
pub(crate) struct ErrorReport {
    last: Option<Instant>,
    /// The number of errors since the last report.
    unreported: u32,
}

impl ErrorReport {
    pub(crate) fn error(&mut self, error: &Error) {
        if self.last.is_some_and(|last| last.elapsed() < ACCEPT_ERROR_INTERVAL) {
            self.unreported += 1;
            return;
        }
        let count = std::mem::take(&mut self.unreported);
        let more =
            if count > 0 { format!(" ({count} more errors since the last report)") } else { String::new() };
        trace::message(&format!("{error}{more}"));
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_limit_are_counted() {
        let mut report = Report::default();
        let now = Instant::now();
        let accepted = (0..15).filter(|_| report.accept(now).is_some()).count();
        assert_eq!(accepted, 10);
        assert_eq!(report.accept(now + MESSAGE_INTERVAL), Some(5));
        assert_eq!(report.accept(now + MESSAGE_INTERVAL), Some(0));
    }

    #[test]
    fn a_client_is_described_by_address_session_and_identity() {
        assert_eq!(client_text("192.0.2.1:5", None, ""), "192.0.2.1:5");
        assert_eq!(client_text("192.0.2.1:5", Some("lab"), ""), "192.0.2.1:5 for session 'lab'");
        assert_eq!(client_text("a", Some("lab"), "x\u{1b}"), "a (x\\x1b) for session 'lab'");
    }

    #[test]
    fn errors_are_reported_once_per_interval() {
        let mut report = ErrorReport::default();
        for count in 0..3 {
            report.error(&Error::ClientGone);
            assert_eq!(report.unreported, count);
        }
    }
}

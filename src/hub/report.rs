//! The lines that a hub logs.

use std::sync::{Mutex, PoisonError};

use crate::listen;
use crate::proto::hub::Refusal;
use crate::text::printable;

/// Logs refusals and connections that the hub has ended. All threads share it.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<listen::Report>);

impl Report {
    /// Logs a refused request. `identity` is empty for a client without one.
    pub(super) fn refused(&self, name: &str, session: Option<&str>, identity: &str, refusal: &Refusal) {
        let Refusal { status, label, why } = refusal;
        let subject = format!("refused {}", client(name, session, identity));
        self.line(&format!("{subject}: {status} {}: {why}", label.name()));
    }

    /// Logs a connection that the hub has ended.
    pub(super) fn ended(&self, name: &str, session: &str, identity: &str, why: &str) {
        self.line(&format!("ended {}: {why}", client(name, Some(session), identity)));
    }

    fn line(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).message(line);
    }
}

fn client(name: &str, session: Option<&str>, identity: &str) -> String {
    let mut text = format!("client {name}");
    if !identity.is_empty() {
        text = format!("{text} ({})", printable(identity.as_bytes()));
    }
    match session {
        Some(session) => format!("{text} for session '{session}'"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_address_session_and_identity() {
        assert_eq!(client("192.0.2.1:5", None, ""), "client 192.0.2.1:5");
        assert_eq!(
            client("a", Some("lab"), "x\u{1b}"),
            format!("client a ({}) for session 'lab'", printable(b"x\x1b"))
        );
    }
}

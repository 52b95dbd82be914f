//! The lines that a hub logs.

use std::sync::{Mutex, PoisonError};

use crate::listen::{self, client_text};
use crate::proto::hub::Refusal;

/// Logs refusals and connections that the hub has ended. All threads share it.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<listen::Report>);

impl Report {
    /// Logs a refused request. `identity` is empty for a client without one.
    pub(super) fn refused(&self, name: &str, session: Option<&str>, identity: &str, refusal: &Refusal) {
        let Refusal { status, label, why } = refusal;
        let client = client_text(name, session, identity);
        self.line(&format!("refused client {client}: {status} {}: {why}", label.name()));
    }

    /// Logs a connection that the hub has ended.
    pub(super) fn ended(&self, name: &str, session: &str, identity: &str, why: &str) {
        self.line(&format!("ended client {}: {why}", client_text(name, Some(session), identity)));
    }

    fn line(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).message(line);
    }
}

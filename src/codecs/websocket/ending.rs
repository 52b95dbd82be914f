//! The Close frames that end a connection, for users that give their codes a meaning.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::proto::websocket::CloseCode;

/// A Close of the peer that is not normal, as the cause of an I/O error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The code.
    pub code: CloseCode,
    /// The reason, made printable.
    pub reason: String,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.reason.is_empty() { "" } else { ": " };
        write!(f, "WebSocket closed with code {}{gap}{}", self.code, self.reason)
    }
}

impl std::error::Error for Closed {}

/// The code of the Close that will end a connection. All clones belong to the same connection.
#[derive(Clone, Debug)]
pub struct ClosingCode(Arc<AtomicU16>);

impl Default for ClosingCode {
    fn default() -> Self {
        Self(Arc::new(AtomicU16::new(CloseCode::NORMAL.0)))
    }
}

impl ClosingCode {
    /// Sets the code. Until then, it is [`CloseCode::NORMAL`].
    pub fn set(&self, code: CloseCode) {
        self.0.store(code.0, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> CloseCode {
        CloseCode(self.0.load(Ordering::Relaxed))
    }
}

impl PartialEq for ClosingCode {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ClosingCode {}

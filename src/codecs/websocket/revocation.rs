//! Ends a connection from outside of it.

use std::io;
use std::sync::{Arc, OnceLock};

use crate::proto::websocket::CloseCode;

/// A handle that ends a connection with an error. All clones belong to the same connection.
#[derive(Clone, Debug, Default)]
pub struct Revocation(Arc<OnceLock<(CloseCode, String)>>);

impl Revocation {
    /// Ends the connection for this reason: its next read or write sends a Close with this code,
    /// and fails. Does nothing if it was ended before.
    pub fn revoke(&self, code: CloseCode, why: String) {
        let _ = self.0.set((code, why));
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.0.get().is_some()
    }

    /// Returns the code and the error of a connection that was ended.
    pub(super) fn error(&self) -> Option<(CloseCode, io::Error)> {
        let (code, why) = self.0.get()?;
        Some((*code, io::Error::new(io::ErrorKind::ConnectionAborted, why.clone())))
    }
}

//! Opens the pipes with which a dest resumes its link.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::handshake::{Failure, handshake};
use super::mailbox::DialFailure;
use super::pipe::Pipe;
use super::secure::{Insecure, Side, secure};
use crate::error::Error;
use crate::plan::{Dial, DialError};
use crate::proto::hub::refusal_cause;
use crate::proto::link::{Cause, LinkId};
use crate::proto::websocket::Request;
use crate::proto::{self, Redactor};
use crate::secret::{Secret, SharedKey};

/// Opens pipes.
pub trait PipeSource: Send + Sync {
    /// Opens a pipe that continues this link. Blocks until it works.
    ///
    /// # Errors
    /// The hub cannot be reached, or refuses.
    fn open(&self, id: LinkId) -> Result<Pipe, DialFailure>;

    /// Returns `true` if the token has been renewed since the last pipe.
    fn has_new_token(&self) -> bool {
        false
    }

    /// Returns the host of the hub for a status line; `None` if this run shows none.
    fn status_host(&self) -> Option<String> {
        None
    }
}

/// Opens pipes through the hops of a route.
pub struct Redial {
    dial: Arc<dyn Dial>,
    request: Request,
    redactor: Redactor,
    keep_alive: Option<Duration>,
    key: Option<SharedKey>,
    session: String,
    /// The token of the latest pipe.
    token: Mutex<Option<Secret>>,
}

impl Redial {
    /// Creates the source of the pipes after the first one, which had this request.
    #[must_use]
    pub fn new(
        dial: Arc<dyn Dial>,
        request: Request,
        redactor: Redactor,
        keep_alive: Option<Duration>,
        key: Option<SharedKey>,
        session: String,
    ) -> Self {
        let token = Mutex::new(request.token.clone());
        Self { dial, request, redactor, keep_alive, key, session, token }
    }

    fn refused(&self, error: proto::Error) -> DialFailure {
        match error {
            proto::Error::Token { text, .. } if self.has_new_token() => DialFailure::Temporary(text),
            proto::Error::Token { text, .. } => DialFailure::Final(refusal_cause(401, &text)),
            proto::Error::NoWebSocket { status, text, .. } => {
                let cause = refusal_cause(status, &text);
                // The origin is not registered yet, a limit is reached, or a server on the way has
                // failed.
                if matches!(status, 404 | 429 | 502 | 503 | 504) {
                    DialFailure::Temporary(self.describe(cause))
                } else {
                    DialFailure::Final(cause)
                }
            }
            other => DialFailure::Final(Cause::Unusable(format!("the hub {other}"))),
        }
    }

    fn describe(&self, cause: Cause) -> String {
        proto::link::Failure { session: self.session.clone(), cause }.to_string()
    }
}

impl PipeSource for Redial {
    fn open(&self, id: LinkId) -> Result<Pipe, DialFailure> {
        let connection = self.dial.dial().map_err(dial_failure)?;
        let token = self.dial.token();
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&token);
        let request = Request { resumed_link: Some(id), token, ..self.request.clone() };
        let pipe = handshake(connection, request, self.redactor.clone(), self.keep_alive);
        let pipe = pipe.map_err(|failure| match failure {
            Failure::Io(why) => DialFailure::Temporary(why),
            Failure::Refusal(error) => self.refused(error),
        })?;
        secure(pipe, self.key.as_ref(), &self.session, Side::Dest).map_err(|insecure| match insecure {
            Insecure::Key => DialFailure::Final(Cause::Key),
            Insecure::Ended(end) => DialFailure::Temporary(end.to_string()),
        })
    }

    fn has_new_token(&self) -> bool {
        let token = self.dial.token();
        token.is_some() && token != *self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status_host(&self) -> Option<String> {
        self.dial.status_host()
    }
}

/// Classifies the failure to reach the hub. Repeating a password that a proxy has rejected could
/// lock the account.
fn dial_failure(error: DialError) -> DialFailure {
    match error.into_inner().downcast::<Error>() {
        Ok(error) if error.is_auth_rejected() => DialFailure::Final(Cause::Unusable(error.to_string())),
        Ok(error) => DialFailure::Temporary(error.to_string()),
        Err(error) => DialFailure::Temporary(error.to_string()),
    }
}

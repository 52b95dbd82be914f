//! The request of a dest that carries a link.

use std::time::Duration;

use crate::proto::link::{Cause, Failure};
use crate::proto::websocket::Handshake;
use crate::proto::{Awaited, Credentials, Error, Negotiation, Step};

/// The delay before a request is repeated because the hub is shutting down: it may be restarted, or
/// a balancer may find another one.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Maximum time for which a request is repeated.
pub const MAX_RETRY_TIME: Duration = Duration::from_secs(20);

/// The negotiation with a hub, which joins the connection with an origin.
#[derive(Debug)]
pub struct DestRequest {
    handshake: Handshake,
    session: String,
    /// The time for which the request is still repeated.
    retry_time: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    Pause,
    Reconnect,
}

impl DestRequest {
    /// Creates the request. It is repeated for `retry_time`, at most [`MAX_RETRY_TIME`], while the
    /// hub is shutting down.
    #[must_use]
    pub fn new(handshake: Handshake, session: &str, retry_time: Duration) -> Self {
        let retry_time = retry_time.min(MAX_RETRY_TIME);
        Self { handshake, session: session.into(), retry_time, state: State::Handshake }
    }

    /// Returns the handshake.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Handles an error of the handshake: plans another request, or returns the error.
    fn failed(&mut self, error: Error) -> Result<(), Error> {
        let cause = match error {
            Error::NoWebSocket { status, ref text, expects_tls: false } => cause(status, text),
            other => return Err(other),
        };
        if cause == Cause::Draining && !self.retry_time.is_zero() {
            self.retry_time = self.retry_time.saturating_sub(RETRY_DELAY);
            self.state = State::Pause;
            return Ok(());
        }
        Err(Error::Link(Box::new(Failure { session: self.session.clone(), cause })))
    }
}

/// Returns the meaning of a status of the hub. `text` begins with the reason phrase.
#[must_use]
pub fn cause(status: u16, text: &str) -> Cause {
    let why = text.split_once(": ").map_or("", |(_, why)| why);
    match status {
        401 => Cause::Token(why.to_owned()),
        404 if why.starts_with("no origin offers ") => Cause::Absent,
        410 => Cause::Lost,
        502 if why.starts_with("cannot reach ") => {
            Cause::Unreachable(why["cannot reach ".len()..].to_owned())
        }
        503 => Cause::Draining,
        504 if why.starts_with("the origin of ") => Cause::NoAnswer,
        _ => Cause::Refused(status, if why.is_empty() { text } else { why }.to_owned()),
    }
}

impl Negotiation for DestRequest {
    fn restart(&mut self) {
        self.handshake.restart();
        self.state = State::Handshake;
    }

    fn step(&mut self) -> Result<Step, Error> {
        match self.state {
            State::Handshake => match self.handshake.step() {
                Err(error) => {
                    self.failed(error)?;
                    self.step()
                }
                step => step,
            },
            State::Pause => {
                self.state = State::Reconnect;
                Ok(Step::Pause(RETRY_DELAY))
            }
            State::Reconnect => Ok(Step::Reconnect),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.handshake.receive(bytes)
    }

    fn closed(&mut self) -> Result<(), Error> {
        self.handshake.closed().or_else(|error| self.failed(error))
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), Error> {
        Ok(())
    }

    fn waiting_for(&self) -> Awaited {
        self.handshake.waiting_for()
    }

    fn is_text(&self) -> bool {
        true
    }
}

//! Drives a protocol's state machine over a connection.

use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::deadline::Deadline;
use super::hop::{Context, HopState, enter_login};
use super::login::credentials;
use super::login_gate::Login;
use super::progress::{Progress, Stage};
use super::waiting::{Wait, WaitError};
use crate::error::{Error, GIVEN_UP};
use crate::proto::{self, Limit, Step, Wire};
use crate::sys::SignalReport;
use crate::text::escaped;
use crate::trace::{self, in_charset, trace};

/// Time limit for the rest of a refusal's text or of a challenge's body. The text helps the user,
/// but does not affect the outcome. The body must be read only to keep the connection.
const REST_TIMEOUT: Duration = Duration::from_millis(500);

/// Interval between two peeks for more bytes. Polling would return at once, because the bytes that
/// were peeked at are still in the stream.
const PEEK_INTERVAL: Duration = Duration::from_millis(10);

/// The end of a negotiation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The tunnel is established: all further bytes on the connection belong to it.
    Established,
    /// The negotiation must be repeated on a new connection.
    Reconnect,
}

/// Sends, in one write, everything that can be sent to the hops before the first of them answers.
pub(super) fn send_ahead(
    connection: &mut Connection,
    hops: &mut [HopState<'_>],
    deadline: &Deadline<'_>,
) -> Result<(), Error> {
    let mut ahead: Option<Wire> = None;
    for hop in hops.iter_mut() {
        // `negotiate` performs all other steps.
        let Step::Send(wire) = hop.negotiation.step().map_err(|cause| hop.failed(cause))? else { break };
        if hop.negotiation.logs_bytes() {
            trace::sent(&wire, hop.negotiation.is_text());
        }
        ahead = Some(match ahead {
            Some(before) => before.concat(&wire),
            None => wire,
        });
        if !hop.negotiation.is_fully_sent() {
            break;
        }
    }
    let (Some(wire), Some(first)) = (ahead, hops.first()) else { return Ok(()) };
    let until = first.wait(deadline);
    match connection.send(wire.bytes(), &until) {
        // Ignore a failed write: the peer may have sent the reason before it closed the connection,
        // and `negotiate` will read it.
        Ok(()) | Err(WaitError::Io(_)) => Ok(()),
        Err(error) => Err(until.error(error)),
    }
}

/// Negotiates with one hop until its tunnel is established or it needs a new connection. `deadline`
/// limits this hop, and `reach` limits the whole route. Both are extended by the time that a prompt
/// takes.
pub(super) fn negotiate<'a>(
    connection: &mut Connection,
    hop: &mut HopState<'a>,
    context: Context<'a>,
    deadline: &mut Deadline<'_>,
    reach: &mut Deadline<'_>,
) -> Result<Outcome, Error> {
    let result = take_steps(connection, hop, context, deadline, reach);
    hop.log.flush();
    hop.update_memory(context.shared.memory.as_ref());
    result
}

fn take_steps<'a>(
    connection: &mut Connection,
    hop: &mut HopState<'a>,
    context: Context<'a>,
    deadline: &mut Deadline<'_>,
    reach: &mut Deadline<'_>,
) -> Result<Outcome, Error> {
    let mut rest_deadline = None;
    loop {
        let step = hop.negotiation.step();
        // Also before the last step and before an error, which end the loop.
        hop.report(context.progress);
        let step = step.map_err(|cause| hop.failed(cause))?;
        let limit = match step {
            Step::ReceiveRest | Step::Peek(_) => REST_TIMEOUT,
            Step::ReceiveFor(limit) => limit,
            _ => {
                rest_deadline = None;
                Duration::ZERO
            }
        };
        let limit = deadline.left().map_or(limit, |left| left.min(limit));
        let mut rest_deadline = || *rest_deadline.get_or_insert_with(|| Deadline::start(Some(limit)));
        match step {
            Step::Send(wire) => {
                hop.log.flush();
                if hop.negotiation.logs_bytes() {
                    trace::sent(&wire, hop.negotiation.is_text());
                }
                let until = hop.wait(deadline);
                match connection.send(wire.bytes(), &until) {
                    // Ignore a failed write: the peer may have sent the reason before it closed the
                    // connection, and the next step will read it.
                    Ok(()) | Err(WaitError::Io(_)) => {}
                    Err(error) => return Err(until.error(error)),
                }
            }
            Step::Receive(limit) => hop.receive(connection, limit, deadline)?,
            Step::ReceiveRest => hop.receive_rest(connection, &rest_deadline())?,
            Step::ReceiveFor(_) => hop.receive_for(connection, &rest_deadline(), deadline)?,
            Step::Peek(seen) => hop.peek(connection, seen, &rest_deadline())?,
            Step::Credentials => {
                hop.log.flush();
                let prompted = Instant::now();
                let report = hop.password_report(deadline);
                let credentials = credentials(hop.hop, &hop.peer, &*context.shared.prompt)?;
                drop(report);
                // The user caused this delay, not the proxy.
                deadline.extend(prompted.elapsed());
                reach.extend(prompted.elapsed());
                // Release any earlier attempt before waiting for another one.
                hop.login = None;
                let login = Login::new(hop.hop, Some(&credentials));
                hop.login = enter_login(login, &hop.peer, deadline, context)?;
                hop.redactor.add_credentials(&credentials);
                hop.negotiation.credentials(credentials).map_err(|cause| hop.failed(cause))?;
            }
            Step::Ask { prompt, is_visible, is_new } => {
                let prompted = Instant::now();
                let answer = match &context.shared.prompt {
                    user if is_new || is_visible => user.ask_anew(&prompt, is_visible),
                    user => user.ask(&prompt),
                };
                if let Ok(secret) = &answer
                    && !is_visible
                {
                    hop.redactor.add(secret);
                }
                deadline.extend(prompted.elapsed());
                reach.extend(prompted.elapsed());
                hop.negotiation.answered(answer).map_err(|cause| hop.failed(cause))?;
            }
            Step::Pause(time) => hop.pause(time, deadline)?,
            Step::Reconnect => return Ok(Outcome::Reconnect),
            Step::Done => return Ok(Outcome::Established),
        }
    }
}

impl HopState<'_> {
    /// Passes on what the negotiation has to report.
    fn report(&mut self, progress: &dyn Progress) {
        while let Some(note) = self.negotiation.take_log_note() {
            self.log.flush();
            trace!("{note}");
        }
        while let Some(text) = self.negotiation.take_fact() {
            progress.reached(&Stage::Progressed { peer: &self.peer, text: &text });
        }
        while let Some(message) = self.negotiation.take_message() {
            trace::message(&message);
        }
    }

    /// Waits, but not beyond the deadline.
    fn pause(&self, time: Duration, deadline: &Deadline<'_>) -> Result<(), Error> {
        let wait = self.wait(deadline);
        let is_too_long = deadline.left().is_some_and(|left| left < time);
        let time = deadline.left().map_or(time, |left| left.min(time));
        let sleep = |limit: Option<Duration>| {
            thread::sleep(limit.unwrap_or(time));
            None::<()>
        };
        match wait.poll_with_status(Some(time), sleep) {
            Ok(()) => Ok(()),
            Err(WaitError::TimedOut) if !is_too_long => Ok(()),
            Err(error) => Err(wait.error(error)),
        }
    }

    fn receive(
        &mut self,
        connection: &mut Connection,
        limit: Limit,
        deadline: &Deadline<'_>,
    ) -> Result<(), Error> {
        match self.receive_some(connection, limit, deadline) {
            Ok(()) => Ok(()),
            Err(HopFailure::Protocol(cause)) => Err(self.failed(cause)),
            // If the protocol can continue after EOF, treat the error as EOF.
            Err(HopFailure::Wait(WaitError::Io(cause))) => {
                if let Some(error) = self.tls.as_ref().and_then(|tls| tls.late_failure(&self.peer)) {
                    return Err(error);
                }
                let waiting_for = self.negotiation.waiting_for().as_str();
                let peer = self.peer.clone();
                self.negotiation.closed().map_err(|_| Error::Lost { peer, waiting_for, cause })
            }
            Err(HopFailure::Wait(error)) => Err(self.wait(deadline).error(error)),
        }
    }

    /// Receives more of a message that is not essential. A connection error or a timeout only ends
    /// the message.
    fn receive_rest(&mut self, connection: &mut Connection, deadline: &Deadline<'_>) -> Result<(), Error> {
        let result = match self.receive_some(connection, Limit::Unknown, deadline) {
            Err(HopFailure::Wait(_)) => self.negotiation.closed(),
            Err(HopFailure::Protocol(cause)) => Err(cause),
            Ok(()) => Ok(()),
        };
        result.map_err(|cause| self.failed(cause))
    }

    /// Receives more of a message until `limit` passes, after which the negotiation continues
    /// without the rest.
    fn receive_for(
        &mut self,
        connection: &mut Connection,
        limit: &Deadline<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<(), Error> {
        let limit = limit.watching(deadline.client());
        match self.receive_some(connection, Limit::Unknown, &limit) {
            Ok(()) => Ok(()),
            Err(HopFailure::Protocol(cause)) => Err(self.failed(cause)),
            Err(HopFailure::Wait(WaitError::TimedOut)) => {
                self.negotiation.timed_out().map_err(|cause| self.failed(cause))
            }
            Err(HopFailure::Wait(WaitError::Io(_))) => {
                self.negotiation.closed().map_err(|cause| self.failed(cause))
            }
            Err(HopFailure::Wait(error)) => Err(self.wait(&limit).error(error)),
        }
    }

    /// Passes the bytes that follow the negotiation to it without consuming them, because they may
    /// belong to the tunnel. If no more than `seen` bytes arrive before the deadline, tells the
    /// negotiation to decide without more.
    fn peek(
        &mut self,
        connection: &mut Connection,
        seen: usize,
        deadline: &Deadline<'_>,
    ) -> Result<(), Error> {
        let result = loop {
            match connection.receive(Limit::Unknown, &self.wait(deadline)) {
                Ok(received) if received.bytes().len() > seen => {
                    break self.negotiation.receive(received.bytes()).map(drop);
                }
                // The bytes that were seen before keep the connection readable.
                Ok(received) if !received.bytes().is_empty() => thread::sleep(PEEK_INTERVAL),
                // The relay will see EOF or the error again.
                Ok(_) | Err(_) => break self.negotiation.closed(),
            }
        };
        result.map_err(|cause| self.failed(cause))
    }

    fn receive_some(
        &mut self,
        connection: &mut Connection,
        limit: Limit,
        deadline: &Deadline<'_>,
    ) -> Result<(), HopFailure> {
        let mut received = connection.receive(limit, &self.wait(deadline))?;
        if received.bytes().is_empty() {
            return Ok(self.negotiation.closed()?);
        }
        let consumed = self.negotiation.receive(received.bytes());
        let shown = *consumed.as_ref().unwrap_or(&received.bytes().len());
        if self.negotiation.logs_bytes() {
            self.log.add(&received.bytes()[..shown]);
        }
        Ok(connection.consume(&mut received, consumed?, &self.wait(deadline))?)
    }

    /// If `error` says that the proxy rejected the login, records that in the listener's
    /// [`LoginGate`](super::login_gate::LoginGate).
    pub(super) fn report_rejection(&mut self, error: &Error) {
        if error.is_auth_rejected()
            && let Some(login) = self.login.take()
        {
            login.rejected(self.hop);
        }
    }

    fn failed(&self, cause: proto::Error) -> Error {
        Error::Negotiation { peer: self.peer.clone(), cause }
    }

    /// While the returned guard exists, a signal that ends the program first reports that it was
    /// waiting for the password. Returns `None` if the password is configured, or if the deadline
    /// requests no reports.
    fn password_report(&self, deadline: &Deadline<'_>) -> Option<SignalReport> {
        deadline
            .report_from()
            .filter(|_| self.hop.protocol.login().is_some_and(|it| it.password.is_none()))?;
        let what = in_charset(escaped(&format!("the password for {}", self.peer)));
        SignalReport::start(what, Instant::now(), GIVEN_UP)
    }

    /// Returns a [`Wait`] for the proxy's next message.
    fn wait<'a>(&'a self, deadline: &Deadline<'a>) -> Wait<'a> {
        Wait::new(&self.peer, self.negotiation.waiting_for().as_str(), deadline)
    }
}

/// The reason why a step of the negotiation with a hop failed.
enum HopFailure {
    /// The connection failed or the deadline passed.
    Wait(WaitError),
    /// The proxy refused, or violated its protocol.
    Protocol(proto::Error),
}

impl From<WaitError> for HopFailure {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

impl From<proto::Error> for HopFailure {
    fn from(cause: proto::Error) -> Self {
        Self::Protocol(cause)
    }
}

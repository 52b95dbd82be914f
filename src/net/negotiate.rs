//! The one driver that carries out what a protocol machine asks for.

use std::time::{Duration, Instant};

use super::Leg;
use super::connection::{Connection, Stop};
use super::deadline::Deadline;
use super::login::credentials;
use super::waiting::Wait;
use crate::error::Error;
use crate::plan::Limits;
use crate::proto::{self, Limit, Step, Wire};
use crate::secret::AskPassword;
use crate::trace::{self, trace};

/// The words of a refusal, all of them, are waited for so long: they are welcome, and not worth more.
const REFUSAL_TEXT_TIMEOUT: Duration = Duration::from_millis(500);

/// How a negotiation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What follows on the connection is the tunnel.
    Established,
    /// It is to be tried again on a new connection.
    Reconnect,
}

/// Tells the hops as much as can be said before the first of them answers, in one write.
pub(super) fn ask_ahead(
    connection: &mut Connection,
    legs: &mut [Leg<'_>],
    reach: &Deadline,
) -> Result<(), Error> {
    let mut ahead: Option<Wire> = None;
    for leg in legs.iter_mut() {
        // Any other step is taken in its turn.
        let Step::Send(wire) = leg.negotiation.step().map_err(|cause| leg.refused(cause))? else { break };
        trace::sent(&wire, leg.negotiation.is_text());
        ahead = Some(match ahead {
            Some(before) => before.concat(&wire),
            None => wire,
        });
        if !leg.negotiation.is_fully_sent() {
            break;
        }
    }
    let (Some(wire), Some(first)) = (ahead, legs.first()) else { return Ok(()) };
    let until = first.wait(&reach.or_start(Limits::HANDSHAKE_TIMEOUT));
    match connection.send(wire.bytes(), &until) {
        Ok(()) | Err(Stop::Io(_)) => Ok(()),
        Err(Stop::TimedOut) => Err(until.timed_out()),
    }
}

/// Negotiates with one hop until the tunnel through it stands.
pub(super) fn negotiate(
    connection: &mut Connection,
    leg: &mut Leg<'_>,
    ask: &dyn AskPassword,
    reach: &mut Deadline,
) -> Result<Outcome, Error> {
    let mut deadline = reach.or_start(Limits::HANDSHAKE_TIMEOUT);
    let mut words_end = None;
    loop {
        let step = leg.negotiation.step().map_err(|cause| leg.refused(cause))?;
        match step {
            Step::Send(wire) => {
                trace::sent(&wire, leg.negotiation.is_text());
                let until = leg.wait(&deadline);
                match connection.send(wire.bytes(), &until) {
                    // It may have said why before it closed: that is read next.
                    Ok(()) | Err(Stop::Io(_)) => {}
                    Err(Stop::TimedOut) => return Err(until.timed_out()),
                }
            }
            Step::Receive(limit) => leg.receive(connection, limit, &deadline)?,
            Step::ReceiveRest => {
                let patience =
                    deadline.left().map_or(REFUSAL_TEXT_TIMEOUT, |left| left.min(REFUSAL_TEXT_TIMEOUT));
                let words_end = words_end.get_or_insert_with(|| Deadline::start(Some(patience)));
                leg.receive_rest(connection, words_end)?;
            }
            Step::Credentials => {
                let asked = Instant::now();
                let credentials = credentials(leg.hop, &leg.peer, ask)?;
                // A human took this time, not the proxy.
                deadline.extend(asked.elapsed());
                reach.extend(asked.elapsed());
                leg.negotiation.credentials(credentials).map_err(|cause| leg.refused(cause))?;
            }
            Step::Reconnect => return Ok(Outcome::Reconnect),
            Step::Done => return Ok(Outcome::Established),
        }
    }
}

impl Leg<'_> {
    fn receive(
        &mut self,
        connection: &mut Connection,
        limit: Limit,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        match self.receive_some(connection, limit, deadline) {
            Ok(()) => Ok(()),
            Err(Trouble::Refused(cause)) => Err(self.refused(cause)),
            Err(Trouble::Stop(Stop::TimedOut)) => Err(self.wait(deadline).timed_out()),
            // A reset is a way to close, where closing is expected.
            Err(Trouble::Stop(Stop::Io(cause))) => {
                let waiting_for = self.negotiation.waiting_for();
                let peer = self.peer.clone();
                self.negotiation.closed().map_err(|_| Error::Lost { peer, waiting_for, cause })
            }
        }
    }

    /// The verdict is known: what goes wrong from here on changes nothing.
    fn receive_rest(&mut self, connection: &mut Connection, deadline: &Deadline) -> Result<(), Error> {
        let result = match self.receive_some(connection, Limit::Unknown, deadline) {
            Err(Trouble::Stop(_)) => self.negotiation.closed(),
            Err(Trouble::Refused(cause)) => Err(cause),
            Ok(()) => Ok(()),
        };
        result.map_err(|cause| self.refused(cause))
    }

    fn receive_some(
        &mut self,
        connection: &mut Connection,
        limit: Limit,
        deadline: &Deadline,
    ) -> Result<(), Trouble> {
        let mut received = connection.receive(limit, &self.wait(deadline))?;
        if received.bytes().is_empty() {
            return Ok(self.negotiation.closed()?);
        }
        let taken = self.negotiation.receive(received.bytes());
        let shown = *taken.as_ref().unwrap_or(&received.bytes().len());
        if trace::is_on() {
            trace::received(&self.negotiation.redact(&received.bytes()[..shown]), self.negotiation.is_text());
        }
        if let Some(remark) = self.negotiation.take_log_note() {
            trace!("{remark}");
        }
        Ok(connection.take(&mut received, taken?)?)
    }

    fn refused(&self, cause: proto::Error) -> Error {
        Error::Negotiation { peer: self.peer.clone(), cause }
    }

    /// For what the proxy is to send next.
    fn wait(&self, deadline: &Deadline) -> Wait<'_> {
        Wait::new(&self.peer, self.negotiation.waiting_for(), deadline)
    }
}

/// Why some bytes were not received.
enum Trouble {
    Stop(Stop),
    Refused(proto::Error),
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<proto::Error> for Trouble {
    fn from(cause: proto::Error) -> Self {
        Self::Refused(cause)
    }
}

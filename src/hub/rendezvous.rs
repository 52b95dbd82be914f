//! The sessions of a hub: which origin offers them, which clients wait, and which offers are open.
//!
//! A state machine without sockets and clocks. Connections are numbers, and the time is a
//! parameter.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::proto::hub::{FromHub, Id, Label, Mode, Refusal, ToHub, UNKNOWN_OFFER};

/// Time for which a client waits for an origin to register.
const ABSENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which an offer is open.
const OFFER_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum number of clients of a session that wait.
const MAX_WAITING: usize = 64;
/// Maximum number of pairs of a session.
const MAX_PAIRS: usize = 1024;

/// The number of a connection.
pub(super) type ConnectionId = usize;

/// A client that asks for a connection to an origin.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) session: String,
    pub(super) from: IpAddr,
    pub(super) subject: String,
    pub(super) mode: Mode,
    pub(super) resume: Option<Id>,
}

/// An action for the loop.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Send a control message to an origin.
    Send(ConnectionId, FromHub),
    /// Refuse a client that waits.
    Refuse(ConnectionId, Refusal),
    /// Close the control connection of an origin that another one has replaced.
    Replace(ConnectionId),
}

/// The sessions and the clients that wait.
#[derive(Debug, Default)]
pub(super) struct Rendezvous {
    sessions: BTreeMap<String, Session>,
    /// The clients that wait, in the order of their arrival.
    waiting: BTreeMap<ConnectionId, Waiting>,
    /// The client of each open offer.
    offers: BTreeMap<Id, ConnectionId>,
    /// The number of sessions with an origin.
    offered: usize,
    acts: Vec<Act>,
    is_draining: bool,
}

#[derive(Debug, Default)]
struct Session {
    origin: Option<Origin>,
    waiting: usize,
    pairs: usize,
}

#[derive(Debug)]
struct Origin {
    connection: ConnectionId,
    identity: String,
}

#[derive(Debug)]
struct Waiting {
    client: Client,
    /// The identity of the origin that may accept, and the offer; `None` without an origin.
    offer: Option<(Id, String)>,
    until: Duration,
}

impl Rendezvous {
    /// Returns the actions since the last call.
    pub(super) fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// Returns the number of sessions with an origin.
    pub(super) fn session_count(&self) -> usize {
        self.offered
    }

    /// Returns `true` if no client waits for an answer.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Registers an origin. It replaces an earlier one of the same identity.
    ///
    /// # Errors
    /// Another identity offers the session, or the hub shuts down.
    pub(super) fn register(
        &mut self,
        connection: ConnectionId,
        name: &str,
        identity: &str,
        now: Duration,
        random: impl FnMut() -> Option<Id>,
    ) -> Result<(), Refusal> {
        if self.is_draining {
            return Err(Refusal::draining());
        }
        let session = self.sessions.entry(name.to_owned()).or_default();
        if session.origin.as_ref().is_some_and(|origin| origin.identity != identity) {
            let why = format!("session '{name}' belongs to another identity");
            return Err(Refusal::new(409, Label::Taken, why));
        }
        let new = Origin { connection, identity: identity.to_owned() };
        match session.origin.replace(new) {
            Some(old) => self.acts.push(Act::Replace(old.connection)),
            None => self.offered += 1,
        }
        self.acts.push(Act::Send(connection, FromHub::Ready));
        self.offer_waiting(name, now, random);
        Ok(())
    }

    /// Adds a client, which waits for an answer.
    ///
    /// # Errors
    /// A limit is reached, or the hub shuts down.
    pub(super) fn add_client(
        &mut self,
        connection: ConnectionId,
        client: Client,
        now: Duration,
        random: impl FnMut() -> Option<Id>,
    ) -> Result<(), Refusal> {
        if self.is_draining {
            return Err(Refusal::draining());
        }
        let name = client.session.clone();
        let session = self.sessions.entry(name.clone()).or_default();
        let limit = |what: &str| Refusal::new(429, Label::Limit, format!("too many {what} of '{name}'"));
        if session.waiting >= MAX_WAITING {
            return Err(limit("waiting clients"));
        }
        if session.pairs >= MAX_PAIRS {
            return Err(limit("connections"));
        }
        session.waiting += 1;
        self.waiting.insert(connection, Waiting { client, offer: None, until: now + ABSENT_TIMEOUT });
        self.offer_waiting(&name, now, random);
        Ok(())
    }

    /// Offers the clients that wait for an origin of this session.
    fn offer_waiting(&mut self, name: &str, now: Duration, mut random: impl FnMut() -> Option<Id>) {
        let Some(origin) = self.sessions.get(name).and_then(|session| session.origin.as_ref()) else {
            return;
        };
        let without_offer =
            |waiting: &&mut Waiting| waiting.offer.is_none() && waiting.client.session == name;
        let waiting = self.waiting.iter_mut().map(|(id, waiting)| (*id, waiting));
        for (connection, waiting) in waiting.filter(|(_, waiting)| without_offer(waiting)) {
            // Without random numbers, the client is refused when its time is up.
            let Some(id) = random() else { continue };
            self.offers.insert(id, connection);
            waiting.offer = Some((id, origin.identity.clone()));
            waiting.until = now + OFFER_TIMEOUT;
            let Client { from, subject, mode, resume, .. } = waiting.client.clone();
            self.acts.push(Act::Send(origin.connection, FromHub::Offer { id, from, subject, mode, resume }));
        }
    }

    /// Accepts an offer. Returns the client's connection, which is now part of a pair.
    ///
    /// # Errors
    /// The offer is unknown, or was made to another origin.
    pub(super) fn accept(&mut self, name: &str, offer: Id, identity: &str) -> Result<ConnectionId, Refusal> {
        let unknown = || Refusal::new(404, Label::Absent, UNKNOWN_OFFER);
        let connection = *self.offers.get(&offer).ok_or_else(unknown)?;
        let waiting = self.waiting.get(&connection).filter(|waiting| {
            waiting.client.session == name
                && waiting.offer.as_ref().is_some_and(|(_, expected)| expected == identity)
        });
        waiting.ok_or_else(unknown)?;
        self.remove_waiting(connection);
        self.sessions.entry(name.to_owned()).or_default().pairs += 1;
        Ok(connection)
    }

    /// Handles a message of an origin.
    pub(super) fn refuse(&mut self, origin: ConnectionId, message: &ToHub) {
        let Some(&connection) = self.offers.get(&message.id) else { return };
        let is_from_origin = self.waiting.get(&connection).is_some_and(|waiting| {
            let session = self.sessions.get(&waiting.client.session);
            session.and_then(|it| it.origin.as_ref()).is_some_and(|it| it.connection == origin)
        });
        if !is_from_origin {
            return;
        }
        self.remove_waiting(connection);
        let label = match message.status {
            410 => Label::Unknown,
            502 => Label::Target,
            _ => Label::Origin,
        };
        let why = crate::text::printable(message.why.as_bytes());
        self.acts.push(Act::Refuse(connection, Refusal::new(message.status, label, why)));
    }

    /// Removes a client that has left.
    pub(super) fn client_left(&mut self, connection: ConnectionId) {
        let Some(waiting) = self.remove_waiting(connection) else { return };
        if let Some((offer, _)) = waiting.offer {
            self.withdraw(&waiting.client.session, offer);
        }
    }

    /// Removes an origin whose control connection has ended.
    pub(super) fn origin_left(&mut self, connection: ConnectionId, name: &str) {
        let Some(session) = self.sessions.get_mut(name) else { return };
        if session.origin.take_if(|origin| origin.connection == connection).is_some() {
            self.offered -= 1;
        }
        self.tidy(name);
    }

    /// Removes a pair that has ended.
    pub(super) fn pair_ended(&mut self, name: &str) {
        if let Some(session) = self.sessions.get_mut(name) {
            session.pairs = session.pairs.saturating_sub(1);
        }
        self.tidy(name);
    }

    /// Refuses the clients whose time is up.
    pub(super) fn tick(&mut self, now: Duration) {
        let late = self.waiting.iter().filter(|(_, waiting)| waiting.until <= now);
        for connection in late.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            let Some(Waiting { client, offer, .. }) = self.remove_waiting(connection) else { continue };
            let name = &client.session;
            let refusal = match offer {
                Some((offer, _)) => {
                    self.withdraw(name, offer);
                    Refusal::new(504, Label::Timeout, format!("the origin of '{name}' did not answer"))
                }
                None => Refusal::new(404, Label::Absent, format!("no origin offers '{name}'")),
            };
            self.acts.push(Act::Refuse(connection, refusal));
        }
    }

    /// Refuses new sessions from now on, and tells all origins.
    pub(super) fn drain(&mut self, seconds: u64) {
        self.is_draining = true;
        let origins = self.sessions.values().filter_map(|session| session.origin.as_ref());
        self.acts.extend(origins.map(|origin| Act::Send(origin.connection, FromHub::Drain(seconds))));
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        for connection in waiting {
            if self.waiting.get(&connection).is_some_and(|waiting| waiting.offer.is_none()) {
                self.remove_waiting(connection);
                self.acts.push(Act::Refuse(connection, Refusal::draining()));
            }
        }
    }

    fn withdraw(&mut self, name: &str, offer: Id) {
        if let Some(origin) = self.sessions.get(name).and_then(|session| session.origin.as_ref()) {
            self.acts.push(Act::Send(origin.connection, FromHub::Withdrawn(offer)));
        }
    }

    fn remove_waiting(&mut self, connection: ConnectionId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&connection)?;
        if let Some((offer, _)) = &waiting.offer {
            self.offers.remove(offer);
        }
        let name = waiting.client.session.clone();
        if let Some(session) = self.sessions.get_mut(&name) {
            session.waiting -= 1;
        }
        self.tidy(&name);
        Some(waiting)
    }

    /// Forgets a session without connections.
    fn tidy(&mut self, name: &str) {
        let is_over = |it: &Session| it.origin.is_none() && it.waiting == 0 && it.pairs == 0;
        if self.sessions.get(name).is_some_and(is_over) {
            self.sessions.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;

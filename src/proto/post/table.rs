//! All tunnels of a server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zeroize::Zeroizing;

use super::message::{Request, Reset, ResetCode, Sid};
use super::received::Refusal;
use super::session::{Change, ClientId, Reply, Session};

/// The maximum number of tunnels of a server, finished ones included.
pub const MAX_SESSIONS: usize = 10_000;

/// An action that the table requests from its driver.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Send this answer.
    Reply(Reply),
    /// Check the token, and connect to the target. Then call [`Table::connected`],
    /// [`Table::failed`] or [`Table::rejected`].
    Open {
        /// The new tunnel.
        sid: Sid,
        /// The token; empty for none.
        token: Zeroizing<Vec<u8>>,
    },
    /// Check the new token of a tunnel, whose target is connected. Then call [`Table::connected`]
    /// or [`Table::not_renewed`].
    Renew {
        /// The tunnel.
        sid: Sid,
        /// The request with the token.
        client: ClientId,
        /// The token; empty for none.
        token: Zeroizing<Vec<u8>>,
    },
    /// Move bytes between the tunnel and its target again: there may be new bytes for the target,
    /// or room for bytes from it. A tunnel that waits for a new token only passes on the bytes that
    /// it has accepted.
    Wake(Sid),
    /// Reset the connection to the target.
    Reset(Sid),
    /// Close the connection to the target.
    Close(Sid),
}

/// All tunnels of a server, shared by all connections.
///
/// Time is the time since an arbitrary start.
#[derive(Debug)]
pub struct Table {
    sessions: BTreeMap<Sid, Session>,
    /// The time at which a tunnel needs attention. A tunnel whose deadline has been postponed
    /// keeps its old entry until then.
    alarms: BTreeSet<(Duration, Sid)>,
    events: Vec<Event>,
    replies: Vec<Reply>,
    max_wait: Duration,
    max_sessions: usize,
}

impl Table {
    /// Creates an empty table. `max_wait` is the longest hold of a request.
    #[must_use]
    pub fn new(max_wait: Duration, max_sessions: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            alarms: BTreeSet::new(),
            events: Vec::new(),
            replies: Vec::new(),
            max_wait,
            max_sessions,
        }
    }

    /// Takes the actions that the driver must carry out, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Returns the number of tunnels, finished ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Returns `true` if there is no tunnel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Handles the body of a request. `client` must be different for each request until it is
    /// answered.
    pub fn request(&mut self, client: ClientId, sid: Sid, body: &[u8], now: Duration) {
        let mut refuse =
            |status, why: &str| self.events.push(Event::Reply(Reply { client, status, body: why.into() }));
        let Some((request, data)) = Request::decode(body) else { return refuse(400, "malformed message") };
        if let Some(session) = self.sessions.get_mut(&sid) {
            if session.key != request.key {
                return refuse(404, "unknown tunnel");
            }
            let change = session.request(client, &request, data, now, &mut self.replies);
            if session.is_open() {
                self.events.push(Event::Wake(sid));
            }
            if let (Some(Change::Renew(client)), Some(opening)) = (change, &request.opening) {
                let token = Zeroizing::new(opening.token.to_vec());
                self.events.push(Event::Renew { sid, client, token });
            }
            self.finish(sid, change);
            return;
        }
        let Some(opening) = &request.opening else { return refuse(404, "unknown tunnel") };
        if request.is_reset || request.up != 0 || request.down != 0 {
            return refuse(400, "the first message of a tunnel is invalid");
        }
        let token = Zeroizing::new(opening.token.to_vec());
        let mut session = Session::new(request.key.clone(), client, self.max_wait, now);
        if self.sessions.len() >= self.max_sessions {
            session.failed(Reset::new(ResetCode::TooMany), now, &mut self.replies);
            self.events.extend(self.replies.drain(..).map(Event::Reply));
            return;
        }
        self.sessions.insert(sid, session);
        self.events.push(Event::Open { sid, token });
        self.finish(sid, None);
    }

    /// Checks the start of a long body, so that a client without the key of a tunnel cannot make
    /// the server hold the rest. Returns the reason to refuse the request. OPEN needs no long body.
    #[must_use]
    pub fn refusal(&self, sid: Sid, start: &[u8]) -> Option<Refusal> {
        let refusal = |status, why| Some(Refusal { status, why });
        let Some((request, _)) = Request::decode(start) else { return refusal(400, "malformed message") };
        match self.sessions.get(&sid) {
            Some(session) if session.key == request.key => None,
            None if request.opening.is_some() => refusal(413, "first message too long"),
            Some(_) | None => refusal(404, "unknown tunnel"),
        }
    }

    /// Forgets a request whose connection is closed.
    pub fn client_gone(&mut self, sid: Sid, client: ClientId) {
        if let Some(session) = self.sessions.get_mut(&sid) {
            session.client_gone(client);
        }
    }

    /// Reports that the target of a tunnel is connected, or that its new token is valid.
    pub fn connected(&mut self, sid: Sid, now: Duration) {
        if self.is_suspended(sid) {
            self.events.push(Event::Wake(sid));
        }
        self.update(sid, |session, replies| {
            session.connected(now, replies);
            None
        });
    }

    /// Reports that a tunnel's target cannot be connected, or that the connection to it failed.
    pub fn failed(&mut self, sid: Sid, reset: Reset, now: Duration) {
        self.update(sid, |session, replies| {
            session.failed(reset, now, replies);
            None
        });
    }

    /// Reports that the token does not permit the tunnel, or no longer does. All requests are
    /// answered with `status`, which is 401, 403 or 429, and the reason `text`. After 401, a new
    /// token may continue an open tunnel.
    ///
    /// A tunnel that was never open is forgotten at once, because clients without a token could
    /// fill the table otherwise.
    pub fn rejected(&mut self, sid: Sid, status: u16, text: &str, now: Duration) {
        let had_target = self.sessions.get(&sid).is_some_and(Session::has_target);
        self.update(sid, |session, replies| session.reject(status, text, now, replies));
        if !had_target && let Some(session) = self.sessions.remove(&sid) {
            session.alarm.inspect(|alarm| {
                self.alarms.remove(&(*alarm, sid));
            });
        }
        if self.is_suspended(sid) {
            self.events.push(Event::Wake(sid));
        }
    }

    /// Reports that the new token in a request is not accepted. The request is answered with
    /// `status` and the reason `text`.
    pub fn not_renewed(&mut self, sid: Sid, client: ClientId, status: u16, text: &str, now: Duration) {
        self.update(sid, |session, replies| {
            if session.is_suspended() && status == 403 {
                return session.reject(status, text, now, replies);
            }
            session.refuse_renewal(client, status, text, replies);
            None
        });
    }

    /// Returns `true` if the tunnel holds this request, which has its key.
    #[must_use]
    pub fn holds(&self, sid: Sid, client: ClientId) -> bool {
        self.sessions.get(&sid).is_some_and(|session| session.holds(client))
    }

    fn is_suspended(&self, sid: Sid) -> bool {
        self.sessions.get(&sid).is_some_and(Session::is_suspended)
    }

    /// Returns `true` if there is a tunnel with this identifier.
    #[must_use]
    pub fn knows(&self, sid: Sid) -> bool {
        self.sessions.contains_key(&sid)
    }

    /// Returns `true` if bytes may move in both directions between the tunnel and its target.
    #[must_use]
    pub fn is_open(&self, sid: Sid) -> bool {
        self.sessions.get(&sid).is_some_and(Session::is_open)
    }

    /// Returns the next bytes for the target.
    #[must_use]
    pub fn pending(&self, sid: Sid) -> &[u8] {
        self.sessions.get(&sid).map(Session::pending).unwrap_or_default()
    }

    /// Reports that the target has accepted some of the [`pending`](Self::pending) bytes.
    pub fn written(&mut self, sid: Sid, count: usize, now: Duration) {
        self.update(sid, |session, replies| session.written(count, now, replies));
    }

    /// Reports that the target accepts no more bytes.
    pub fn write_failed(&mut self, sid: Sid, now: Duration) {
        self.update(sid, |session, replies| {
            session.write_failed(now, replies);
            None
        });
    }

    /// Returns `true` once, when the connection to the target is to be shut down for writing.
    pub fn must_shut_down(&mut self, sid: Sid) -> bool {
        let session = self.sessions.get_mut(&sid).filter(|session| session.must_shut_down());
        session.map(Session::shut_down).is_some()
    }

    /// Returns the number of bytes to read from the target; 0 after EOF.
    #[must_use]
    pub fn room(&self, sid: Sid) -> usize {
        self.sessions.get(&sid).filter(|session| session.is_open()).map(Session::room).unwrap_or_default()
    }

    /// Reports bytes from the target.
    pub fn received(&mut self, sid: Sid, bytes: &[u8], now: Duration) {
        self.update(sid, |session, replies| {
            session.received(bytes, now, replies);
            None
        });
    }

    /// Reports EOF from the target.
    pub fn target_ended(&mut self, sid: Sid, now: Duration) {
        self.update(sid, |session, replies| {
            session.target_ended(now, replies);
            None
        });
    }

    /// Returns the time at which [`time_out`](Self::time_out) must be called; `None` if there is no
    /// tunnel.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Handles the tunnels whose deadline has passed.
    pub fn time_out(&mut self, now: Duration) {
        while let Some(&(at, sid)) = self.alarms.first().filter(|(at, _)| *at <= now) {
            self.alarms.remove(&(at, sid));
            let Some(session) = self.sessions.get_mut(&sid) else { continue };
            session.alarm = None;
            if session.deadline() <= now && session.time_out(now, &mut self.replies) {
                let has_target = session.has_target();
                self.sessions.remove(&sid);
                self.finish(sid, has_target.then_some(Change::Reset));
            } else {
                self.finish(sid, None);
            }
        }
    }

    fn update(&mut self, sid: Sid, act: impl FnOnce(&mut Session, &mut Vec<Reply>) -> Option<Change>) {
        if let Some(session) = self.sessions.get_mut(&sid) {
            let change = act(session, &mut self.replies);
            self.finish(sid, change);
        }
    }

    /// Passes the results of a change on, and sets the alarm.
    fn finish(&mut self, sid: Sid, change: Option<Change>) {
        self.events.extend(self.replies.drain(..).map(Event::Reply));
        self.events.extend(change.and_then(|change| match change {
            Change::Reset => Some(Event::Reset(sid)),
            Change::Close => Some(Event::Close(sid)),
            // The request's handler has added the event with the token.
            Change::Renew(_) => None,
        }));
        if let Some(session) = self.sessions.get_mut(&sid) {
            let deadline = session.deadline();
            let alarm = session.alarm.filter(|alarm| *alarm <= deadline);
            if alarm.is_none() {
                if let Some(later) = session.alarm.replace(deadline) {
                    self.alarms.remove(&(later, sid));
                }
                self.alarms.insert((deadline, sid));
            }
        }
    }
}

#[cfg(test)]
mod tests;

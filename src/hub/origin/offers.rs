//! The offers of the hub: the check of the client, and the connections to the target and the hub.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::links::{Links, Unserved};
use super::shared::{Shared, spawn};
use crate::bypass::Prefix;
use crate::codecs::websocket::ClosingCode;
use crate::error::Error;
use crate::hops::hub::Purpose;
use crate::listen::{Openers, client_result, report_end};
use crate::net::Tunnel;
use crate::plan::OriginSettings;
use crate::proto::hub::{Id, Mode, ToHub};
use crate::proto::link::LinkId;
use crate::text::printable;
use crate::trace::{self, trace};
use crate::tunnels::link::Pipe;

/// An offer that is being accepted.
struct Offer {
    id: Id,
    /// The client's name, for messages.
    name: String,
    kind: Kind,
}

/// The kind of a connection.
enum Kind {
    /// The bytes of one stream.
    Raw,
    /// A new link of this identity.
    Link(String),
    /// A pipe that continues a link.
    Resumed(LinkId),
}

/// The offers of an origin, and the limits for them.
pub(super) struct Offers {
    allow_from: Vec<Prefix>,
    max_at_once: Option<usize>,
    max_total: Option<usize>,
    state: Arc<Mutex<State>>,
    openers: Openers<Offer>,
    links: Arc<Links>,
    /// Only links are accepted, because raw clients cannot have the key.
    needs_link: bool,
}

#[derive(Debug, Default)]
struct State {
    /// The offers for which a connection is being opened. One that is withdrawn is removed.
    pending: BTreeSet<Id>,
    /// The number of connections, including those that are being opened.
    open: usize,
    /// The number of all connections so far.
    total: usize,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Offers {
    pub(super) fn new(settings: &OriginSettings, shared: Arc<Shared>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let opening = Arc::clone(&state);
        let links = Arc::new(Links::new(Arc::clone(&shared)));
        let opened_links = Arc::clone(&links);
        Self {
            links,
            needs_link: settings.key.is_some(),
            allow_from: settings.allow_from.clone(),
            max_at_once: settings.max_at_once,
            max_total: settings.max_total,
            state,
            openers: Openers::new(move |offer| open(offer, &shared, &opening, &opened_links)),
        }
    }

    /// Starts to accept an offer.
    ///
    /// # Errors
    /// The status and the text with which to refuse it.
    pub(super) fn accept(
        &self,
        id: Id,
        from: IpAddr,
        subject: &str,
        mode: Mode,
        resume: Option<Id>,
    ) -> Result<(), (u16, String)> {
        let resumed = resume.map(|id| LinkId(id.0));
        if resumed.is_some_and(|link| !self.links.may_resume(link, subject)) {
            return Err((410, "unknown link".into()));
        }
        if !self.allow_from.is_empty() && !self.allow_from.iter().any(|network| network.contains(from)) {
            return Err((403, "address not allowed".into()));
        }
        if self.needs_link && mode == Mode::Raw {
            return Err((403, "the origin requires end-to-end encryption".into()));
        }
        let kind = match (mode, resumed) {
            (_, Some(link)) => Kind::Resumed(link),
            (Mode::Mux, None) => Kind::Link(subject.to_owned()),
            (Mode::Raw, None) => Kind::Raw,
        };
        if resumed.is_none() {
            self.reserve(id)?;
        }
        let subject =
            if subject.is_empty() { String::new() } else { format!(" ({})", printable(subject.as_bytes())) };
        let offer = Offer { id, name: format!("{from}{subject}"), kind };
        if self.openers.wait_for_room(Duration::ZERO) && self.openers.run(offer).is_ok() {
            return Ok(());
        }
        if resumed.is_none() {
            release(&self.state, id, true);
        }
        Err((429, "too many connections are being opened".into()))
    }

    /// Counts a connection, unless a limit is reached.
    fn reserve(&self, id: Id) -> Result<(), (u16, String)> {
        let mut state = lock(&self.state);
        let limit =
            |count: usize| format!("limit of {count} connection{}", if count == 1 { "" } else { "s" });
        if let Some(max) = self.max_total.filter(|max| state.total >= *max) {
            return Err((403, format!("{} in all", limit(max))));
        }
        if let Some(max) = self.max_at_once.filter(|max| state.open >= *max) {
            return Err((429, format!("{} at a time", limit(max))));
        }
        state.open += 1;
        state.total += 1;
        state.pending.insert(id);
        Ok(())
    }

    /// Gives up an offer whose client has left.
    pub(super) fn withdraw(&self, id: Id) {
        lock(&self.state).pending.remove(&id);
    }
}

/// Ends the count of a connection. One that was not established does not count at all.
fn release(state: &Mutex<State>, id: Id, has_failed: bool) {
    let mut state = lock(state);
    state.pending.remove(&id);
    state.open -= 1;
    if has_failed {
        state.total -= 1;
    }
}

/// Opens the connections for an offer, and passes them to a reactor or to the thread of a link.
fn open(offer: Offer, shared: &Arc<Shared>, state: &Arc<Mutex<State>>, links: &Arc<Links>) {
    let Offer { id, name, kind } = offer;
    match kind {
        Kind::Resumed(link) => resume(link, id, &name, shared, links),
        Kind::Link(subject) => {
            if let Err(error) = open_link(subject, id, &name, shared, state, links) {
                release(state, id, true);
                report_end(&name, Err(error));
            }
        }
        Kind::Raw => {
            let opened =
                connect_target(id, shared, state).and_then(|target| Ok((target, accept_raw(id, shared)?)));
            match opened {
                Ok((target, client)) => relay(client, target, id, name, shared, Arc::clone(state)),
                Err(error) => {
                    release(state, id, true);
                    report_end(&name, Err(error));
                }
            }
        }
    }
}

/// Connects to the target, and refuses the offer if that fails.
fn connect_target(id: Id, shared: &Shared, state: &Mutex<State>) -> Result<Tunnel, Error> {
    let target = shared.connect_target().inspect_err(|error| {
        let target = &shared.connector.plan().target;
        let why = format!("cannot reach {target}: {}", error.refusal().text());
        shared.refuse(ToHub { id, status: 502, why });
    })?;
    expect_offered(id, state)?;
    Ok(target)
}

/// Fails if the client of the offer has left.
fn expect_offered(id: Id, state: &Mutex<State>) -> Result<(), Error> {
    if lock(state).pending.remove(&id) { Ok(()) } else { Err(Error::ClientGone) }
}

fn accept_raw(id: Id, shared: &Shared) -> Result<Tunnel, Error> {
    shared.connect(Purpose::Accept(id, ClosingCode::default()))
}

fn accept_pipe(id: Id, shared: &Shared) -> Result<Pipe, Error> {
    let closing_code = ClosingCode::default();
    let tunnel = shared.connect(Purpose::Accept(id, closing_code.clone()))?;
    Ok(Pipe::new(tunnel.stream, closing_code))
}

fn resume(link: LinkId, id: Id, name: &str, shared: &Shared, links: &Links) {
    match accept_pipe(id, shared) {
        Ok(pipe) => {
            if let Err(why) = links.resume(link, pipe) {
                trace!("client {name}: cannot resume the link: {why:?}");
            }
        }
        Err(error) => report_end(name, Err(error)),
    }
}

/// Accepts a new link, and starts its thread. With a key, the target is connected once the client
/// has proved that it has the key.
fn open_link(
    subject: String,
    id: Id,
    name: &str,
    shared: &Arc<Shared>,
    state: &Arc<Mutex<State>>,
    links: &Arc<Links>,
) -> Result<(), Error> {
    let target = if shared.settings.key.is_some() {
        expect_offered(id, state)?;
        None
    } else {
        Some(connect_target(id, shared, state)?.stream)
    };
    let pipe = accept_pipe(id, shared)?;
    let (links, opened, name) = (Arc::clone(links), Arc::clone(state), name.to_owned());
    spawn("link", move || {
        let served = links.serve(pipe, target, subject);
        release(&opened, id, served.is_err());
        match served {
            Ok(()) => trace!("client {name}: the link has ended"),
            Err(Unserved::Key) => {
                trace::message(&format!("client {name}: the client does not have the same key"));
            }
            Err(Unserved::Pipe(why)) => trace!("client {name}: {why}"),
        }
    })
}

fn relay(client: Tunnel, target: Tunnel, id: Id, name: String, shared: &Shared, state: Arc<Mutex<State>>) {
    trace!("start relaying.");
    let (Tunnel { mut stream, peers }, mut client) = (target, client.stream);
    stream.set_reset_on_exit(true);
    client.set_reset_on_exit(true);
    let (settings, first) = (shared.connector.plan().relay, peers.remote.clone());
    let report = move |result| {
        release(&state, id, false);
        let result = client_result(result, &name, &peers);
        report_end(&name, result.map(|warning| warning.filter(|_| settings.warns)));
    };
    shared.reactors.relay(client, stream, first, settings, Box::new(report));
}

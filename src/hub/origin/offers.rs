//! The offers of the hub: the check of the client, and the connections to the target and the hub.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::shared::Shared;
use crate::bypass::Prefix;
use crate::error::Error;
use crate::hops::hub::Purpose;
use crate::listen::{Openers, client_result, report_end};
use crate::net::Tunnel;
use crate::plan::OriginSettings;
use crate::proto::hub::{Id, Mode, ToHub};
use crate::text::printable;
use crate::trace::trace;

/// An offer that is being accepted.
struct Offer {
    id: Id,
    /// The client's name, for messages.
    name: String,
}

/// The offers of an origin, and the limits for them.
pub(super) struct Offers {
    allow_from: Vec<Prefix>,
    max_at_once: Option<usize>,
    max_total: Option<usize>,
    state: Arc<Mutex<State>>,
    openers: Openers<Offer>,
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
        Self {
            allow_from: settings.allow_from.clone(),
            max_at_once: settings.max_at_once,
            max_total: settings.max_total,
            state,
            openers: Openers::new(move |offer| open(offer, &shared, &opening)),
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
        if mode == Mode::Mux {
            let status = if resume.is_some() { 410 } else { 403 };
            return Err((status, "this origin accepts no links, only plain WebSocket clients".into()));
        }
        if !self.allow_from.is_empty() && !self.allow_from.iter().any(|network| network.contains(from)) {
            return Err((403, "address not allowed".into()));
        }
        self.reserve(id)?;
        let subject =
            if subject.is_empty() { String::new() } else { format!(" ({})", printable(subject.as_bytes())) };
        let offer = Offer { id, name: format!("{from}{subject}") };
        if self.openers.wait_for_room(Duration::ZERO) && self.openers.run(offer).is_ok() {
            return Ok(());
        }
        release(&self.state, id, true);
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

/// Connects the target, accepts the offer, and passes both connections to a reactor.
fn open(offer: Offer, shared: &Arc<Shared>, state: &Arc<Mutex<State>>) {
    let Offer { id, name } = offer;
    let target = match shared.connect_target() {
        Ok(target) => target,
        Err(error) => {
            let target = &shared.connector.plan().target;
            let why = format!("cannot reach {target}: {}", error.refusal().text());
            shared.refuse(ToHub { id, status: 502, why });
            release(state, id, true);
            return report_end(&name, Err(error));
        }
    };
    let is_withdrawn = !lock(state).pending.remove(&id);
    if is_withdrawn {
        release(state, id, true);
        return report_end(&name, Err(Error::ClientGone));
    }
    match shared.connect(Purpose::Accept(id)) {
        Ok(client) => relay(client, target, id, name, shared, Arc::clone(state)),
        Err(error) => {
            release(state, id, true);
            report_end(&name, Err(error));
        }
    }
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

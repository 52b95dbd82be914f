//! Turns a plan into a connected stream: resolves names, dials, negotiates with each hop, and
//! starts TLS with the target if requested.

use crate::addr::Endpoint;
use crate::error::{Error, Peer};
use crate::plan::{Bypass, Limits, Plan, Route, Target};
use crate::trace::trace;
use binding::Binding;
use deadline::Deadline;
use hop::{HopState, prepare_hops};
use negotiate::{Outcome, negotiate, send_ahead};
use resolve::Resolver;

mod binding;
mod connection;
mod deadline;
mod dial;
#[cfg(feature = "dns")]
mod dns;
mod hop;
mod login;
mod login_gate;
mod memory;
mod negotiate;
mod own_listeners;
mod progress;
mod received_log;
mod resolve;
mod resolve_error;
mod target;
#[cfg(test)]
mod tests;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;
mod waiting;

pub use hop::{ClientEnd, Context};
pub use login_gate::LoginGate;
pub use own_listeners::OwnListeners;
pub use progress::{Progress, Stage};
pub use target::{Peers, Tunnel};
pub use tls::{ServerTls, TlsCache};

/// Connects to the plan's target over the first route that works.
///
/// Nothing beyond the handshakes is read, so the caller receives every byte of the session. Gives
/// up if `context.client` disconnects.
///
/// # Errors
/// Returns [`Error::NoRoute`] if several routes failed, or the route's own error if only one was
/// tried. An error that another route could not avoid ([`Error::is_final`]) is returned at once.
pub fn connect(plan: &Plan, context: Context<'_>) -> Result<Tunnel, Error> {
    let mut deadline = Deadline::for_plan(plan.limits).watching(context.client.map(|client| client.channel));
    // Without a client of a local port, the program that started us waits for the connection.
    if context.client.is_none() {
        deadline = deadline.reporting_signals();
    }
    if plan.shows_status {
        deadline = deadline.with_status();
    }
    let target = match &plan.target {
        Target::Tcp(target) => target,
        Target::Unix(path) => {
            let peer = Peer::target(&plan.target);
            let channel = dial::dial_unix(path, &peer, &deadline, context.progress)?;
            let peers = Peers { remote: peer, granted_by: None, target: plan.target.clone() };
            let tunnel = Tunnel { stream: Box::new(channel), peers };
            return target::finish(tunnel, plan, None, &deadline, context);
        }
    };
    let binding = Binding::find(&plan.sockets)?;
    let target_tls = target::tls_client(plan, context)?;
    let redactor = context.progress.redactor();
    for password in plan.hops().filter_map(|hop| hop.protocol.login()?.password.as_ref()) {
        redactor.add(password);
    }
    let (mut failed, mut tried_directly) = (Vec::new(), false);
    for (index, route) in plan.routes.iter().enumerate() {
        let attempts = attempts(&plan.routes[index..], target, tried_directly);
        let mut share = deadline.share(attempts, Limits::ROUTE_TIMEOUT);
        context.progress.reached(&Stage::Route(index));
        let result = match prepare_hops(route, target, plan, &binding, &share, &redactor, context) {
            // An earlier route already dialled the target directly, and this one would do the same.
            Ok(hops) if hops.is_empty() && std::mem::replace(&mut tried_directly, true) => continue,
            Ok(mut hops) => connect_hops(&mut hops, route, plan, &binding, &mut share, context)
                .and_then(|tunnel| target::finish(tunnel, plan, target_tls.as_ref(), &share, context)),
            Err(error) => Err(error),
        };
        deadline.extend(share.extended());
        match result {
            Err(error) if !error.is_final() => {
                context.progress.reached(&Stage::Failed(&error));
                if plan.routes.len() > 1 {
                    trace!("route {} of {} failed: {error}", index + 1, plan.routes.len());
                }
                failed.push((index + 1, error));
            }
            result => return result,
        }
    }
    match failed.pop() {
        Some((_, error)) if failed.is_empty() => Err(error),
        last => {
            failed.extend(last);
            Err(Error::NoRoute { target: target.to_string(), failed })
        }
    }
}

/// Returns how many of these routes will be tried. The target is dialled directly at most once, so
/// all direct routes together count as one attempt, or as none if `tried_directly` is set.
fn attempts(routes: &[Route], target: &Endpoint, tried_directly: bool) -> usize {
    let direct = routes.iter().filter(|route| is_direct(route, target)).count();
    routes.len() - direct + usize::from(direct > 0 && !tried_directly)
}

/// Returns `true` if the route certainly uses no proxy. Other routes may still bypass their proxies
/// once the target's name is resolved.
fn is_direct(route: &Route, target: &Endpoint) -> bool {
    let Bypass { list, no_proxy, .. } = &route.bypass;
    // The bypass list takes precedence over `no_proxy`, but some of its entries cannot match until
    // the target's address is known. Until then, `no_proxy` is decisive only if the list is empty.
    let decisive = if list.is_empty() { no_proxy } else { list };
    route.hops.is_empty() || decisive.matches(target) == Some(true)
}

/// Dials the first hop, or the target if there is none, and negotiates with each hop in turn.
fn connect_hops<'a>(
    hops: &mut [HopState<'a>],
    route: &Route,
    plan: &Plan,
    binding: &Binding,
    deadline: &mut Deadline<'_>,
    context: Context<'a>,
) -> Result<Tunnel, Error> {
    // `-R ADDRESS` applies only to the target's name; the system resolves the proxies' names.
    let (first, server) = match hops.first() {
        Some(hop) => (hop.peer.clone(), None),
        None => (Peer::target(&plan.target), route.name_server),
    };
    let resolver = Resolver { server, family: binding.family.as_ref(), binding };
    // The hop that requested the current connection; `None` for the first connection.
    let mut requested_by: Option<usize> = None;
    // The loop ends because each negotiation requests only a limited number of new connections.
    'connection: loop {
        let until = requested_by.map_or(*deadline, |index| hops[index].deadline(deadline));
        let mut connection =
            dial::dial(&first, resolver, &plan.sockets, &until, context.own, context.progress)?;
        if let Some(index) = requested_by {
            hops[index].spent = until.elapsed();
        }
        for index in 0..hops.len() {
            let mut until = hops[index].deadline(deadline);
            if let HopState { tls: Some(tls), peer, .. } = &hops[index] {
                connection = tls.secure(connection, peer, &until, context.progress)?;
            }
            // Requests can be sent ahead only up to the next TLS handshake.
            if plan.eager && (index == 0 || hops[index].tls.is_some()) {
                let next = hops[index + 1..].iter().position(|hop| hop.tls.is_some());
                let end = next.map_or(hops.len(), |next| index + 1 + next);
                send_ahead(&mut connection, &mut hops[index..end], &until)?;
            }
            let hop = &mut hops[index];
            let negotiated = negotiate(&mut connection, hop, context, &mut until, deadline);
            hop.spent = until.elapsed();
            match negotiated.inspect_err(|error| hop.report_rejection(error))? {
                Outcome::Established => {
                    if let Some(login) = hop.login.take() {
                        login.accepted();
                    }
                    context.progress.reached(&Stage::Negotiated(&hop.peer));
                }
                Outcome::Reconnect => {
                    trace!("connecting again");
                    for hop in hops.iter_mut() {
                        hop.negotiation.restart();
                    }
                    requested_by = Some(index);
                    continue 'connection;
                }
            }
        }
        let granted_by = hops.last().map(|hop| hop.peer.clone());
        let peers = Peers { remote: first, granted_by, target: plan.target.clone() };
        return Ok(Tunnel { stream: connection.into_stream(), peers });
    }
}

//! Turns a plan into a connected stream: resolves names, dials, negotiates with each hop, and
//! starts TLS with the target if requested.

use crate::addr::Endpoint;
use crate::error::{Error, Peer};
use crate::plan::{Bypass, Hop, Limits, Local, Plan, Route, Target, placeholder};
use crate::trace::trace;
use binding::Binding;
use deadline::Deadline;
use hop::{Setup, prepare_hops};
use path::connect_hops;
use share::Share;

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
mod path;
mod progress;
mod received_log;
mod resolve;
mod resolve_error;
mod share;
mod shared;
mod target;
#[cfg(test)]
mod tests;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;
mod tunnel_pool;
mod waiting;

pub use hop::{ClientEnd, Context};
pub use own_listeners::OwnListeners;
pub use progress::{Progress, Stage};
pub use shared::Shared;
pub use target::{Peers, Tunnel};
pub use tls::ServerTls;

/// Connects to the plan's target over the first route that works.
///
/// Nothing beyond the handshakes is read, so the caller receives every byte of the session. Gives
/// up if `context.client` disconnects.
///
/// # Errors
/// Returns [`Error::NoRoute`] if several routes failed, or the route's own error if only one was
/// tried. An error that another route could not avoid ([`Error::is_final`]) is returned at once.
pub fn connect(plan: &Plan, context: Context<'_>) -> Result<Tunnel, Error> {
    let channel = context.client.and_then(|client| client.channel);
    let mut deadline = Deadline::for_plan(plan.limits).watching(channel);
    // Without a client of a local port, the program that started us waits for the connection,
    // except that an origin connects for the clients of its hub.
    if context.client.is_none() && !matches!(plan.local, Local::Origin(_)) {
        deadline = deadline.reporting_signals();
    }
    if plan.shows_status {
        deadline = deadline.with_status();
    }
    let target = match &plan.target {
        Target::Tcp(target) => target,
        Target::AtServer(host) => {
            &placeholder(host.clone()).map_err(|error| Error::Config(error.to_string()))?
        }
        Target::Unix(_) | Target::Queue(_) if plan.hops().next().is_some() => {
            &placeholder(None).map_err(|error| Error::Config(error.to_string()))?
        }
        Target::Queue(_) => return Err(Error::Config(format!("no server has {}", plan.target))),
        Target::Unix(path) => {
            let peer = Peer::target(&plan.target);
            let channel = dial::dial_unix(path, &peer, &deadline, context.progress)?;
            let peers = Peers {
                remote: peer,
                granted_by: None,
                target: plan.target.clone(),
                reports_ends: false,
                is_forwarding: false,
            };
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
    let Plan { sockets, eager, limits, shows_status, .. } = plan;
    let setup = Setup {
        sockets,
        eager: *eager,
        limits: *limits,
        shows_status: *shows_status,
        binding: &binding,
        redactor: &redactor,
        context,
        shares_tunnels: context.shared.tunnels.is_some(),
    };
    let (mut failed, mut tried_directly) = (Vec::new(), false);
    for (index, route) in plan.routes.iter().enumerate() {
        let attempts = attempts(&plan.routes[index..], target, tried_directly);
        let mut share = deadline.share(attempts, Limits::ROUTE_TIMEOUT);
        context.progress.reached(&Stage::Route(index));
        // Without its address, the target bypasses nothing.
        let bypass = Some(&route.bypass).filter(|_| matches!(plan.target, Target::Tcp(_)));
        let hops = match &plan.local {
            Local::Remote(_) => hop::hops_to_server(&route.hops, &route.bypass, &setup, &share),
            _ => Ok(&route.hops[..]),
        };
        let prepared = hops.and_then(|hops| {
            let destination = hop::destination(hops, target, bypass, &setup, &share)?;
            Ok(destination.map(|destination| (hops, destination)))
        });
        let result = match prepared {
            // An earlier route already dialled the target directly, and this one would do the same.
            Ok(None) if std::mem::replace(&mut tried_directly, true) => continue,
            Ok(prepared) => connect_route(route, prepared, plan, &setup, &mut share)
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
            Err(Error::NoRoute { target: plan.target.to_string(), failed })
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

/// Connects to the target through these hops, the last of which connects to the destination, or
/// directly without hops.
fn connect_route<'a>(
    route: &Route,
    prepared: Option<(&'a [Hop], Endpoint)>,
    plan: &Plan,
    setup: &Setup<'a>,
    deadline: &mut Deadline<'_>,
) -> Result<Tunnel, Error> {
    let (hops, destination) = prepared.map_or((&[][..], None), |(hops, to)| (hops, Some(to)));
    let peer = |index: usize| hops.get(index).map(|hop| Peer::proxy(hop, index, hops.len()));
    let granted_by = peer(hops.len().wrapping_sub(1));
    // `-R ADDRESS` applies only to the target's name; the system resolves the proxies' names.
    let (remote, server) = match peer(0) {
        Some(first) => (first, None),
        None => (Peer::target(&plan.target), route.name_server),
    };
    let entry = match (&setup.context.shared.tunnels, hops.last(), &granted_by) {
        (Some(pool), Some(last), Some(peer)) if last.protocol.multiplexes() => {
            Some((pool, share::enter(pool, hops, peer, &plan.target, deadline)?))
        }
        _ => None,
    };
    let (stream, is_forwarding) = match entry {
        Some((_, Share::Stream(stream))) => (stream, false),
        entry => {
            let prepared = destination.map_or_else(
                || Ok(Vec::new()),
                |destination| {
                    let socket = Some(&plan.target).filter(|target| target.is_socket());
                    prepare_hops(hops, hops.len(), (destination, socket), setup, deadline)
                },
            );
            let mut states = prepared?;
            let is_forwarding = states.last().is_some_and(|hop| hop.forwards);
            let stream = connect_hops(&mut states, &remote, server, setup, deadline)?.into_stream();
            let tunnel = states.last_mut().and_then(|last| last.tunnel.take());
            let stream = match (entry, tunnel, &granted_by) {
                (Some((pool, Share::Connect(opening))), Some(tunnel), Some(peer)) => {
                    share::publish(pool, opening, hops, peer, (tunnel, &plan.target), deadline)?
                }
                _ => stream,
            };
            (stream, is_forwarding)
        }
    };
    let reports_ends = route.hops.last().is_some_and(|hop| hop.protocol.reports_ends());
    let peers = Peers { remote, granted_by, target: plan.target.clone(), reports_ends, is_forwarding };
    Ok(Tunnel { stream, peers })
}

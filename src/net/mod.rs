//! From a plan to a connected stream: resolve, dial, negotiate with each hop.

use std::net::IpAddr;

use crate::addr::{Endpoint, Host};
use crate::error::{Error, Peer};
use crate::plan::{Bypass, Hop, Limits, PasswordPrompt, Plan, Protocol, Resolve, Route, Target};
use crate::proto::{HttpConnect, Negotiation, Socks4, Socks5, Socks5Method, Telnet};
use crate::secret::AskPassword;
use crate::sys::{self, Channel};
use crate::trace::trace;
use deadline::Deadline;
use login::{credentials, user};
use negotiate::{Outcome, ask_ahead, negotiate};

mod connection;
mod deadline;
mod dial;
#[cfg(feature = "dns")]
mod dns;
mod login;
mod negotiate;
mod progress;
mod resolve;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;
mod waiting;

pub use progress::{Progress, Stage};

/// Who is asked for passwords, and who is told how far it has come.
type User<'a> = (&'a dyn AskPassword, &'a dyn Progress);

/// One hop on the way, and what is left to be said to it.
struct Leg<'a> {
    hop: &'a Hop,
    peer: Peer,
    /// For a handshake before it.
    tls: Option<tls::Client>,
    negotiation: Box<dyn Negotiation>,
}

/// A connection on which every byte belongs to the session.
#[derive(Debug)]
pub struct Tunnel {
    /// The connection.
    pub channel: Channel,
    /// Whom it is to: the first hop, or the target.
    pub peer: Peer,
}

/// Makes the tunnel that the plan asks for, by the first of its routes that leads to the target.
///
/// Not one byte that belongs to the tunnel has been read from the channel.
///
/// # Errors
/// A stage of each route failed, or the limit has passed.
pub fn connect(plan: &Plan, ask: &dyn AskPassword, progress: &dyn Progress) -> Result<Tunnel, Error> {
    let mut deadline = Deadline::start(plan.limits.reach);
    if plan.shows_status {
        deadline = deadline.telling();
    }
    let target = match &plan.target {
        Target::Tcp(target) => target,
        Target::Unix(path) => {
            let peer = Peer::target(&plan.target);
            return dial::dial_unix(path, &peer, &deadline).map(|channel| Tunnel { channel, peer });
        }
    };
    let (mut failed, mut tried_directly) = (Vec::new(), false);
    for (index, route) in plan.routes.iter().enumerate() {
        let mut share = deadline.share(plan.routes.len() - index, Limits::ROUTE_TIMEOUT);
        progress.reached(&Stage::Route(index));
        let reached = match legs(route, target, plan.eager, &share, (ask, progress)) {
            // What is reached without these proxies is reached without others in the same way.
            Ok(legs) if legs.is_empty() && std::mem::replace(&mut tried_directly, true) => continue,
            Ok(mut legs) => follow(&mut legs, route, plan, &mut share, (ask, progress)),
            Err(error) => Err(error),
        };
        deadline.extend(share.extended());
        match reached {
            Err(error) if !error.is_final() => {
                progress.reached(&Stage::Failed(&error));
                if plan.routes.len() > 1 {
                    trace!("route {} of {} failed: {error}", index + 1, plan.routes.len());
                }
                failed.push(error);
            }
            end => return end,
        }
    }
    match failed.pop() {
        Some(error) if failed.is_empty() => Err(error),
        last => {
            failed.extend(last);
            Err(Error::NoRoute { target: target.to_string(), failed })
        }
    }
}

/// What is to be said to each hop; nothing where the target is reached without them.
fn legs<'a>(
    route: &'a Route,
    target: &Endpoint,
    eager: bool,
    deadline: &Deadline,
    (ask, progress): User<'_>,
) -> Result<Vec<Leg<'a>>, Error> {
    let Some((last, before)) = route.hops.split_last() else { return Ok(Vec::new()) };
    let last = told(last, target, deadline, progress)?;
    if bypasses(&route.bypass, target, &last)? {
        progress.reached(&Stage::Bypassed);
        return Ok(Vec::new());
    }
    let nexts =
        before.iter().zip(&route.hops[1..]).map(|(hop, next)| told(hop, &next.proxy, deadline, progress));
    let leg = |(index, (hop, told)): (usize, (&'a Hop, Result<Endpoint, Error>))| {
        let peer = Peer::proxy(hop, index, route.hops.len());
        let negotiation = negotiation(hop, &peer, told?, eager, ask)?;
        negotiation.check().map_err(|cause| Error::Negotiation { peer: peer.clone(), cause })?;
        Ok(Leg { hop, tls: tls::Client::of(hop, &peer)?, peer, negotiation })
    };
    route.hops.iter().zip(nexts.chain([Ok(last)])).enumerate().map(leg).collect()
}

/// Dials the first hop, or the target if there is none, and negotiates with each of them.
fn follow(
    legs: &mut [Leg<'_>],
    route: &Route,
    plan: &Plan,
    deadline: &mut Deadline,
    (ask, progress): User<'_>,
) -> Result<Tunnel, Error> {
    // A proxy's own name is the system's to resolve.
    let (first, name_server) = match legs.first() {
        Some(leg) => (leg.peer.clone(), None),
        None => (Peer::target(&plan.target), route.name_server),
    };
    // Each negotiation asks for a new connection once or twice at the most.
    'connection: loop {
        let mut connection = dial::dial(&first, name_server, deadline, progress)?;
        for index in 0..legs.len() {
            if let Leg { tls: Some(tls), peer, .. } = &legs[index] {
                connection = tls.secure(connection, peer, deadline, progress)?;
            }
            // Nothing can be said into a TLS connection before there is one.
            if plan.eager && (index == 0 || legs[index].tls.is_some()) {
                let next = legs[index + 1..].iter().position(|leg| leg.tls.is_some());
                let end = next.map_or(legs.len(), |next| index + 1 + next);
                ask_ahead(&mut connection, &mut legs[index..end], deadline)?;
            }
            let leg = &mut legs[index];
            match negotiate(&mut connection, leg, ask, deadline)? {
                Outcome::Established => progress.reached(&Stage::Negotiated(&leg.peer)),
                Outcome::Reconnect => {
                    trace!("connecting again");
                    for leg in legs.iter_mut() {
                        leg.negotiation.restart();
                    }
                    continue 'connection;
                }
            }
        }
        return Ok(Tunnel { channel: connection.into_channel(), peer: first });
    }
}

/// Whether the target is reached without the proxies: by its name as typed, or by the address that a proxy would
/// be told.
fn bypasses(bypass: &Bypass, target: &Endpoint, told: &Endpoint) -> Result<bool, Error> {
    if *bypass == Bypass::default() {
        return Ok(false);
    }
    trace!("checking {} is for direct?", target.host);
    let mut direct = bypass.list.matches(target).or_else(|| bypass.list.matches(told));
    direct = direct.or_else(|| bypass.no_proxy.matches(target));
    if let (None, true, Host::Ip(ip)) = (direct, bypass.own_networks, &told.host) {
        let networks = sys::own_networks()
            .map_err(|cause| Error::System { what: "find the networks of this machine (-D)", cause })?;
        direct = Some(networks.iter().any(|network| network.contains(*ip)));
    }
    let direct = direct.unwrap_or(false);
    trace!("{} is for {}direct.", target.host, if direct { "" } else { "not " });
    Ok(direct)
}

/// The machine that asks `hop` for a tunnel to the next stage, which it is told in this form.
fn negotiation(
    hop: &Hop,
    peer: &Peer,
    told: Endpoint,
    eager: bool,
    ask: &dyn AskPassword,
) -> Result<Box<dyn Negotiation>, Error> {
    Ok(match &hop.protocol {
        Protocol::Socks4 { .. } => Box::new(Socks4::new(told, user(hop, peer)?)),
        Protocol::Socks5 { methods, login, .. } => {
            let has_password = login.password.is_some();
            let methods = methods.clone().unwrap_or_else(|| {
                // A server may insist on a password as soon as one is offered, so only who has one offers it.
                let has_one =
                    has_password || login.ask != PasswordPrompt::User || !eager && ask.can_be_asked();
                match (has_one, eager) {
                    (false, _) => vec![Socks5Method::None],
                    // Where there is a choice the answer has to be waited for.
                    (true, true) => vec![Socks5Method::UserPass],
                    (true, false) => vec![Socks5Method::None, Socks5Method::UserPass],
                }
            });
            let known =
                if eager && has_password { Some(credentials(hop, peer, ask)?) } else { login.known() };
            Box::new(Socks5::new(told, methods).with_credentials(known).eager(eager))
        }
        Protocol::Telnet { command, .. } => Box::new(Telnet::new(told, command.clone())),
        Protocol::Http { login, settings } => {
            let known = login.password.is_some().then(|| credentials(hop, peer, ask)).transpose()?;
            Box::new(HttpConnect::new(told, settings.clone(), sys::random).with_credentials(known))
        }
    })
}

/// The next stage in the form in which a proxy is told of it: a SOCKS proxy may be told an address for a name.
fn told(hop: &Hop, next: &Endpoint, deadline: &Deadline, progress: &dyn Progress) -> Result<Endpoint, Error> {
    let Some(how) = hop.protocol.resolve() else { return Ok(next.clone()) };
    let ipv4_only = matches!(hop.protocol, Protocol::Socks4 { .. });
    let name = match &next.host {
        Host::Name(name) if how != Resolve::Remote => name,
        _ => return Ok(next.clone()),
    };
    let peer = Peer::target(&Target::Tcp(next.clone()));
    let found = resolve::lookup(name, &peer, how.server(), deadline).and_then(|addresses| {
        let fits = |address: &&IpAddr| !ipv4_only || address.is_ipv4();
        let found = addresses.iter().find(fits).copied();
        found.ok_or_else(|| resolve::Failure::unknown("it has no IPv4 address, and SOCKS4 knows no other"))
    });
    match found {
        Ok(address) => {
            trace!("resolved: {} ({address})", name.as_str());
            progress.reached(&Stage::Resolved { name, addresses: &[address] });
            Ok(Endpoint { host: Host::Ip(address), port: next.port })
        }
        Err(failure) if matches!(how, Resolve::Local | Resolve::Server(_)) => {
            Err(failure.into_error(peer, deadline, true))
        }
        Err(failure) => {
            trace!("failed to resolve locally: {}", failure.cause());
            Ok(next.clone())
        }
    }
}

//! Prepares a route: decides whether the target bypasses its proxies, resolves the names that a
//! proxy must receive as addresses, and creates the negotiation for each hop.

use std::net::IpAddr;
use std::time::Duration;

use super::deadline::Deadline;
use super::login::{credentials, user};
use super::progress::{Progress, Stage};
use super::resolve;
use super::resolve_error::ResolveError;
use super::tls;
use crate::addr::{Endpoint, Host};
use crate::error::{Error, Peer};
use crate::plan::{Bypass, Hop, Limits, PasswordPrompt, Protocol, Resolve, Route, Target};
use crate::proto::{HttpConnect, Negotiation, Socks4, Socks5, Socks5Method, Telnet};
use crate::secret::AskPassword;
use crate::sys;
use crate::trace::trace;

/// The callbacks and the cache used while connecting.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Supplies passwords that the plan does not contain.
    pub(super) prompt: &'a dyn AskPassword,
    /// Keeps certificates and keys for the next session.
    pub(super) tls: &'a tls::TlsCache,
    /// Receives each stage as it is reached.
    pub(super) progress: &'a dyn Progress,
}

/// A proxy on the route and the state of the negotiation with it.
pub(super) struct HopState<'a> {
    pub(super) hop: &'a Hop,
    pub(super) peer: Peer,
    /// The TLS handshake that precedes the negotiation; `None` for a proxy without TLS.
    pub(super) tls: Option<tls::Client>,
    pub(super) negotiation: Box<dyn Negotiation>,
    /// How much of [`Limits::HANDSHAKE_TIMEOUT`] the handshakes with this proxy have used, over all
    /// connections. Includes the time to dial again if the proxy requires a new connection.
    pub(super) spent: Duration,
}

impl HopState<'_> {
    /// Returns the deadline for the rest of the handshakes with this proxy: `reach`, or what is
    /// left of the proxy's own limit if `reach` never passes.
    pub(super) fn deadline(&self, reach: &Deadline) -> Deadline {
        reach.or_resume(Limits::HANDSHAKE_TIMEOUT, self.spent)
    }
}

/// Creates the negotiation for each hop of the route. Returns an empty list if the target bypasses
/// the proxies.
pub(super) fn prepare_hops<'a>(
    route: &'a Route,
    target: &Endpoint,
    eager: bool,
    deadline: &Deadline,
    context: Context<'_>,
) -> Result<Vec<HopState<'a>>, Error> {
    let Some((last, before)) = route.hops.split_last() else { return Ok(Vec::new()) };
    let last = resolve_for_hop(last, target, deadline, context.progress)?;
    if is_bypassed(&route.bypass, target, &last)? {
        context.progress.reached(&Stage::Bypassed);
        return Ok(Vec::new());
    }
    let destinations = before
        .iter()
        .zip(&route.hops[1..])
        .map(|(hop, next)| resolve_for_hop(hop, &next.proxy, deadline, context.progress))
        .chain([Ok(last)]);
    let prepare = |(index, (hop, destination)): (usize, (&'a Hop, Result<Endpoint, Error>))| {
        let peer = Peer::proxy(hop, index, route.hops.len());
        let negotiation = negotiation(hop, &peer, destination?, eager, context.prompt)?;
        negotiation.check().map_err(|cause| Error::Negotiation { peer: peer.clone(), cause })?;
        Ok(HopState {
            hop,
            tls: tls::Client::for_hop(hop, &peer, context.tls)?,
            peer,
            negotiation,
            spent: Duration::ZERO,
        })
    };
    route.hops.iter().zip(destinations).enumerate().map(prepare).collect()
}

/// Returns `true` if the target bypasses the proxies. Checks the target as typed, and the
/// destination for the last proxy, which may be the resolved address.
fn is_bypassed(bypass: &Bypass, target: &Endpoint, destination: &Endpoint) -> Result<bool, Error> {
    if *bypass == Bypass::default() {
        return Ok(false);
    }
    trace!("checking {} is for direct?", target.host);
    let mut direct = bypass.list.matches(target).or_else(|| bypass.list.matches(destination));
    direct = direct.or_else(|| bypass.no_proxy.matches(target));
    if let (None, true, Host::Ip(ip)) = (direct, bypass.own_networks, &destination.host) {
        let networks = sys::own_networks()
            .map_err(|cause| Error::System { what: "list this machine's networks (-D)", cause })?;
        direct = Some(networks.iter().any(|network| network.contains(*ip)));
    }
    let direct = direct.unwrap_or(false);
    trace!("{} is for {}direct.", target.host, if direct { "" } else { "not " });
    Ok(direct)
}

/// Creates the state machine that asks `hop` for a tunnel to `destination`.
fn negotiation(
    hop: &Hop,
    peer: &Peer,
    destination: Endpoint,
    eager: bool,
    prompt: &dyn AskPassword,
) -> Result<Box<dyn Negotiation>, Error> {
    Ok(match &hop.protocol {
        Protocol::Socks4 { .. } => Box::new(Socks4::new(destination, user(hop, peer)?)),
        Protocol::Socks5 { methods, login, .. } => {
            let has_password = login.password.is_some();
            let methods = methods.clone().unwrap_or_else(|| {
                // Some servers insist on a password once it is offered, so offer it only if we can
                // supply one.
                let can_supply =
                    has_password || login.ask != PasswordPrompt::User || !eager && prompt.can_be_asked();
                match (can_supply, eager) {
                    (false, _) => vec![Socks5Method::None],
                    // Pipelining needs a single method: with two, the proxy's choice decides what
                    // to send next.
                    (true, true) => vec![Socks5Method::UserPass],
                    (true, false) => vec![Socks5Method::None, Socks5Method::UserPass],
                }
            });
            let known =
                if eager && has_password { Some(credentials(hop, peer, prompt)?) } else { login.known() };
            Box::new(Socks5::new(destination, methods).with_credentials(known).eager(eager))
        }
        Protocol::Telnet { command, .. } => Box::new(Telnet::new(destination, command.clone())),
        Protocol::Http { login, settings } => {
            let known = login.password.is_some().then(|| credentials(hop, peer, prompt)).transpose()?;
            Box::new(HttpConnect::new(destination, settings.clone(), sys::random).with_credentials(known))
        }
    })
}

/// Returns the destination to send to `hop`: resolved here if the hop's `-R` mode says so,
/// otherwise `next` unchanged.
fn resolve_for_hop(
    hop: &Hop,
    next: &Endpoint,
    deadline: &Deadline,
    progress: &dyn Progress,
) -> Result<Endpoint, Error> {
    let Some(mode) = hop.protocol.resolve() else { return Ok(next.clone()) };
    let ipv4_only = matches!(hop.protocol, Protocol::Socks4 { .. });
    let name = match &next.host {
        Host::Name(name) if mode != Resolve::Remote => name,
        _ => return Ok(next.clone()),
    };
    let peer = Peer::target(&Target::Tcp(next.clone()));
    let found = resolve::lookup(name, &peer, mode.server(), deadline).and_then(|addresses| {
        let is_usable = |address: &&IpAddr| !ipv4_only || address.is_ipv4();
        let found = addresses.iter().find(is_usable).copied();
        found.ok_or_else(|| ResolveError::failed("it has no IPv4 address, which SOCKS4 requires"))
    });
    match found {
        Ok(address) => {
            trace!("resolved: {} ({address})", name.as_str());
            progress.reached(&Stage::Resolved { name, addresses: &[address] });
            Ok(Endpoint { host: Host::Ip(address), port: next.port })
        }
        Err(error) if matches!(mode, Resolve::Local | Resolve::Server(_)) => {
            Err(error.into_error(peer, deadline, true))
        }
        Err(error) => {
            trace!("failed to resolve locally: {}", error.cause());
            Ok(next.clone())
        }
    }
}

//! Prepares a route: decides whether the target bypasses its proxies, resolves the names that a
//! proxy must receive as addresses, and creates the negotiation for each hop.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::binding::Binding;
use super::deadline::Deadline;
use super::login::{credentials, last_credentials, user};
use super::login_gate;
use super::memory::Memory;
use super::progress::{Progress, Stage};
use super::received_log::ReceivedLog;
use super::resolve::{self, Resolver};
use super::resolve_error::ResolveError;
use super::shared::Shared;
use super::tls;
use super::waiting::Wait;
use crate::addr::{Endpoint, Host, SpecialUse};
use crate::error::{Error, Peer, os_message};
use crate::plan::{
    Bypass, Hop, HopRequest, KnownCredentials, Limits, Login, Multiplexer, Resolve, SocketSettings, Target,
    Token,
};
use crate::proto::{self, Credentials, ForwardRequest, Learned, Negotiation, Redactor, Unencodable};
use crate::secret::{self, AskPassword, Secret};
use crate::sys::{self, Channel, Client};
use crate::trace::trace;

/// A client of a local port.
#[derive(Clone, Copy, Debug)]
pub struct ClientEnd<'a> {
    /// The client's socket; `None` if the client has no connection of its own, as with a POST
    /// tunnel.
    pub channel: Option<&'a Channel>,
    /// Our address and the client's; `None` for a client of a UNIX-domain socket. The client's port
    /// is 0 if a web server has named the client.
    pub addrs: Option<(SocketAddr, SocketAddr)>,
}

impl<'a> From<&'a Client> for ClientEnd<'a> {
    fn from(client: &'a Client) -> Self {
        Self { channel: Some(&client.channel), addrs: client.addrs }
    }
}

/// Everything that connecting needs besides the plan.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The client of a local port that the connection is for. Its disconnect ends all waits.
    pub client: Option<ClientEnd<'a>>,
    /// The resources that all sessions of the run share.
    pub shared: &'a Arc<Shared>,
    /// The client's HTTP request. The last proxy forwards it if it can.
    pub forward: Option<&'a Arc<ForwardRequest>>,
    /// Receives each stage as it is reached.
    pub progress: &'a dyn Progress,
}

/// The settings for connecting through hops.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) sockets: &'a SocketSettings,
    pub(super) eager: bool,
    pub(super) limits: Limits,
    /// The run shows status lines on the terminal.
    pub(super) shows_status: bool,
    pub(super) binding: &'a Binding,
    /// Masks the secrets of all hops in what a proxy sends.
    pub(super) redactor: &'a Redactor,
    pub(super) context: Context<'a>,
    /// Other sessions may use the tunnel of the last hop, if it carries many streams.
    pub(super) shares_tunnels: bool,
}

/// A proxy on the route and the state of the negotiation with it.
pub(super) struct HopState<'a> {
    pub(super) hop: &'a Hop,
    pub(super) peer: Peer,
    /// The TLS handshake that precedes the negotiation; `None` for a proxy without TLS.
    pub(super) tls: Option<tls::Client>,
    pub(super) negotiation: Box<dyn Negotiation>,
    /// The hops of the route up to and including this proxy.
    pub(super) path: &'a [Hop],
    /// The proxy's entry in the listener's memory when this session last read or wrote it.
    remembered: Option<Learned>,
    /// Masks the secrets of all hops in what the proxy sends.
    pub(super) redactor: Redactor,
    pub(super) log: ReceivedLog,
    /// The part of [`Limits::HANDSHAKE_TIMEOUT`] that the handshakes with this proxy have used,
    /// over all connections. Includes the time to dial again if the proxy requires a new
    /// connection.
    pub(super) spent: Duration,
    /// The login that the negotiation uses, if the listener's [`LoginGate`](login_gate::LoginGate)
    /// controls it.
    pub(super) login: Option<login_gate::Attempt<'a>>,
    /// The negotiation sends the client's request, instead of requesting a tunnel.
    pub(super) forwards: bool,
    /// The tunnel for further sessions, once it is established.
    pub(super) tunnel: Option<Arc<dyn Multiplexer>>,
}

impl<'a> Setup<'a> {
    /// Returns the resolver for names that a proxy must receive as addresses.
    fn resolver(&self) -> Resolver<'a> {
        Resolver { server: None, family: self.sockets.family.as_ref(), binding: self.binding }
    }
}

impl HopState<'_> {
    /// Returns the deadline for the rest of the handshakes with this proxy: `reach`, or what is
    /// left of the proxy's own limit if `reach` never passes.
    pub(super) fn deadline<'d>(&self, reach: &Deadline<'d>) -> Deadline<'d> {
        reach.or_resume(Limits::HANDSHAKE_TIMEOUT, self.spent)
    }

    /// Stores the login method that the proxy has accepted, for later sessions of a listener.
    /// Removes the stored one if the proxy has rejected it.
    pub(super) fn update_memory(&mut self, memory: Option<&Memory>) {
        let Some(memory) = memory else { return };
        let learned = self.negotiation.learned();
        if learned != self.remembered {
            memory.update(self.path, self.remembered.as_ref(), learned.clone());
            self.remembered = learned;
        }
    }
}

/// Returns the hops of a route to the server of `--ssh`, its last hop: only that one if the server
/// bypasses the proxies before it.
pub(super) fn hops_to_server<'a>(
    path: &'a [Hop],
    bypass: &Bypass,
    setup: &Setup<'_>,
    deadline: &Deadline<'_>,
) -> Result<&'a [Hop], Error> {
    let [.., proxy, Hop { proxy: Target::Tcp(server), .. }] = path else { return Ok(path) };
    let Setup { sockets, binding, context, .. } = setup;
    let resolver = Resolver { server: None, family: sockets.family.as_ref(), binding };
    let destination = resolve_for_hop(proxy, server, resolver, deadline, context.progress)?;
    if !is_bypassed(bypass, server, &destination)? {
        return Ok(path);
    }
    context.progress.reached(&Stage::Bypassed);
    Ok(&path[path.len() - 1..])
}

/// Returns the destination to send to the last hop of `path`, which is `target` or its address.
/// Returns `None` without hops, and if the target bypasses the proxies.
pub(super) fn destination(
    path: &[Hop],
    target: &Endpoint,
    bypass: Option<&Bypass>,
    setup: &Setup<'_>,
    deadline: &Deadline<'_>,
) -> Result<Option<Endpoint>, Error> {
    let Some(last) = path.last() else { return Ok(None) };
    let &Setup { context, .. } = setup;
    let destination = resolve_for_hop(last, target, setup.resolver(), deadline, context.progress)?;
    if bypass.map(|bypass| is_bypassed(bypass, target, &destination)).transpose()?.unwrap_or(false) {
        context.progress.reached(&Stage::Bypassed);
        return Ok(None);
    }
    Ok(Some(destination))
}

/// Creates the negotiation for each hop of `path`, the first hops of a route of `count` hops. The
/// last one is to connect to `destination`, or to a socket or queue at the server.
pub(super) fn prepare_hops<'a>(
    path: &'a [Hop],
    count: usize,
    (destination, socket): (Endpoint, Option<&Target>),
    setup: &Setup<'a>,
    deadline: &Deadline<'_>,
) -> Result<Vec<HopState<'a>>, Error> {
    let before = &path[..path.len().saturating_sub(1)];
    let &Setup { eager, redactor, context, .. } = setup;
    let Shared { prompt, tls, memory, .. } = &**context.shared;
    let resolver = setup.resolver();
    let destinations = before
        .iter()
        .zip(path.iter().skip(1))
        .map(|(hop, next)| match &next.proxy {
            Target::Tcp(next) => resolve_for_hop(hop, next, resolver, deadline, context.progress),
            // `config` rejects such a chain, too.
            Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => {
                Err(Error::Config(format!("no proxy can reach {}", next.proxy)))
            }
        })
        .chain([Ok(destination)]);
    let prepare = |(index, (hop, destination)): (usize, (&'a Hop, Result<Endpoint, Error>))| {
        let peer = Peer::proxy(hop, index, count);
        let destination = destination?;
        if destination.host.zone().is_some() {
            let cause = proto::Error::NotEncodable(Unencodable::Zone);
            return Err(Error::Negotiation { peer, cause });
        }
        let is_last = index + 1 == path.len();
        let path = &path[..=index];
        let remembered = || memory.as_ref().and_then(|memory| memory.get(path));
        let known = known_credentials(hop, &peer, eager, &**prompt)?;
        let needs_prompted = known.is_none() && remembered().is_some_and(|it| it.needs_credentials());
        let prompted = needs_prompted.then(|| last_credentials(hop, &peer, &**prompt)).flatten();
        let login = login_gate::Login::new(hop, known.as_ref().or(prompted.as_ref()));
        for credentials in known.iter().chain(&prompted) {
            redactor.add_credentials(credentials);
        }
        let forward = context.forward.filter(|_| index + 1 == count && hop.protocol.forwards_requests());
        let mut negotiation = hop.protocol.negotiation(HopRequest {
            destination,
            socket: socket.filter(|_| is_last),
            is_shared: setup.shares_tunnels && index + 1 == count && hop.protocol.multiplexes(),
            user: hop.protocol.needs_user().then(|| user(hop, &peer)).transpose()?,
            known,
            token: hop.protocol.token().map(|token| current_token(token, redactor)),
            eager,
            prompt: &**prompt,
            redactor: redactor.clone(),
            forward: forward.cloned(),
            server: &peer,
            is_check: context.progress.is_check(),
        });
        negotiation.check().map_err(|cause| Error::Negotiation { peer: peer.clone(), cause })?;
        let login = enter_login(login, &peer, deadline, context)?;
        // Read the memory only now: the session that we waited for may have learned a login method.
        let remembered = remembered();
        if let Some(learned) = &remembered
            && negotiation.recall(learned, prompted)
        {
            trace!("using the authentication that worked before: {learned}");
        }
        let client = |settings| tls::Client::new(settings, &peer, tls);
        Ok(HopState {
            hop,
            tls: hop.tls.as_ref().map(client).transpose()?,
            peer,
            log: ReceivedLog::new(redactor.clone(), negotiation.is_text()),
            path,
            remembered,
            redactor: redactor.clone(),
            negotiation,
            login,
            spent: Duration::ZERO,
            forwards: forward.is_some(),
            tunnel: None,
        })
    };
    path.iter().zip(destinations).enumerate().map(prepare).collect()
}

/// Reads the token again, because its holder may have renewed it. If that fails, returns the token
/// that was read when the plan was made.
pub(super) fn current_token(token: &Token, redactor: &Redactor) -> Secret {
    let Token { value, file } = token;
    let read = |path: &PathBuf| File::open(path).map_err(Into::into).and_then(secret::read_first_line);
    let current = match file.as_ref().map(read) {
        Some(Ok(current)) => current,
        Some(Err(error)) => {
            trace!("cannot read the token again: {}", os_message(&error.into()));
            value.clone()
        }
        None => value.clone(),
    };
    redactor.add(&current);
    current
}

/// Returns `true` if the target bypasses the proxies. Checks the target as typed, and the
/// destination sent to the last proxy, which may be the resolved address.
fn is_bypassed(bypass: &Bypass, target: &Endpoint, destination: &Endpoint) -> Result<bool, Error> {
    if *bypass == Bypass::default() {
        return Ok(false);
    }
    trace!("checking {} is for direct?", target.host);
    let mut direct = bypass.list.matches(target).or_else(|| bypass.list.matches(destination));
    direct = direct.or_else(|| bypass.no_proxy.matches(target));
    if let (None, true, Some(ip)) = (direct, bypass.own_networks, destination.host.ip()) {
        let networks = sys::own_networks()
            .map_err(|cause| Error::System { what: "list this machine's networks (-D)", cause })?;
        // The system's list of networks lacks the link-local ones.
        let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        direct = Some(is_link_local || networks.iter().any(|network| network.contains(ip)));
    }
    let direct = direct.unwrap_or(false);
    trace!("{} is for {}direct.", target.host, if direct { "" } else { "not " });
    Ok(direct)
}

/// Waits until the listener's [`LoginGate`](login_gate::LoginGate) lets this login through.
/// Returns `None` if there is no gate or no login.
pub(super) fn enter_login<'a>(
    login: Option<login_gate::Login>,
    peer: &Peer,
    deadline: &Deadline<'_>,
    context: Context<'a>,
) -> Result<Option<login_gate::Attempt<'a>>, Error> {
    let (Some(gate), Some(login)) = (&context.shared.gate, login) else { return Ok(None) };
    let deadline = deadline.or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
    gate.enter(login, &Wait::new(peer, "the result of another client's login", &deadline)).map(Some)
}

/// Returns the credentials that the negotiation may send before the proxy requests them; `None` if
/// they are not configured, or should be sent only on request.
fn known_credentials(
    hop: &Hop,
    peer: &Peer,
    eager: bool,
    prompt: &dyn AskPassword,
) -> Result<Option<Credentials>, Error> {
    let login = hop.protocol.login();
    match hop.protocol.known_credentials(eager) {
        KnownCredentials::None => Ok(None),
        KnownCredentials::Complete => Ok(login.and_then(Login::known)),
        KnownCredentials::WithPassword => {
            let has_password = login.is_some_and(|login| login.password.is_some());
            has_password.then(|| credentials(hop, peer, prompt)).transpose()
        }
    }
}

/// Returns the destination to send to `hop`: an address of `next` if the hop's `-R` mode asks for
/// local resolution and it succeeds, otherwise `next` itself. A name in `.onion` is always sent as
/// it is, because only a proxy can resolve it.
fn resolve_for_hop(
    hop: &Hop,
    next: &Endpoint,
    resolver: Resolver<'_>,
    deadline: &Deadline<'_>,
    progress: &dyn Progress,
) -> Result<Endpoint, Error> {
    let Some(mode) = hop.protocol.resolve() else { return Ok(next.clone()) };
    let ipv4_only = hop.protocol.requires_ipv4();
    let name = match &next.host {
        Host::Name(name) if name.special_use() == Some(SpecialUse::Onion) => {
            trace!("sending the name to the proxy: {}", name.as_str());
            return Ok(next.clone());
        }
        // Without its zone, the address would mean another machine.
        host if host.zone().is_some() => return Ok(next.clone()),
        Host::Name(name) if mode != Resolve::Remote => name,
        _ => return Ok(next.clone()),
    };
    let peer = Peer::target(&Target::Tcp(next.clone()));
    // SOCKS4 has no use for IPv6 addresses, even with `--ipv6`.
    let family = resolver.family.filter(|_| !ipv4_only);
    let resolver = Resolver { server: mode.server(), family, ..resolver };
    let found = resolve::lookup(name, &peer, resolver, deadline).and_then(|addresses| {
        let is_usable = |address: &&IpAddr| !ipv4_only || address.is_ipv4();
        let found = addresses.iter().find(is_usable).copied();
        found.ok_or_else(|| ResolveError::failed("it has no IPv4 address, which SOCKS4 requires"))
    });
    match found {
        Ok(address) => {
            trace!("resolved: {} ({address})", name.as_str());
            progress.reached(&Stage::Resolved { name, addresses: &[address], ignored: 0 });
            Ok(Endpoint { host: Host::Ip(address), port: next.port })
        }
        Err(error)
            if matches!(mode, Resolve::Local | Resolve::Server(_))
                || matches!(error, ResolveError::ClientGone) =>
        {
            Err(error.into_error(peer, deadline, true))
        }
        Err(error) => {
            trace!("failed to resolve locally: {}", error.cause());
            Ok(next.clone())
        }
    }
}

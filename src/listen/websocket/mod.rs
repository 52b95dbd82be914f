//! Serves WebSocket clients: the check of the request and its token, the connection to the target,
//! and the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::acceptor::Acceptor;
use super::gate::{Gate, Lease, session_of};
use super::handshake::{Handshake, Next};
use super::handshakes::{Handlers, Handshakes, Ready, Visit};
use super::report::{Report, client_text};
use super::unauthenticated::Unauthenticated;
use super::{accept_clients, client_result, report_end, start_reactors};
use crate::bypass::Prefix;
use crate::codecs::websocket::{Revocation, Role, WebSocket};
use crate::connector::Connector;
use crate::error::Error;
use crate::net::{ClientEnd, ServerTls, Tunnel};
use crate::plan::{WebSocketListener, WebSocketServer};
use crate::proto::server::{Rejection, Server as _, client_address};
use crate::proto::websocket::{CloseCode, HalfClose, ServerHandshake, Site};
use crate::relay::Reactors;
use crate::stream::{Layered, Stream};
use crate::sys::{self, Client};
use crate::token::{Refusal, Refused, Role as TokenRole, Usage};
use crate::trace::trace;

/// Limit for the handshake with a client, TLS included, until its request is complete, and for
/// sending the answer.
const WEB_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings that all clients share.
struct Web {
    listeners: Vec<Listener>,
    tls: Option<ServerTls>,
    gate: Gate,
    /// The networks of the web servers that name the client.
    forwarders: Vec<Prefix>,
    allow_from: Vec<Prefix>,
    keep_alive: Option<Duration>,
    report: Mutex<Report>,
}

struct Listener {
    site: Arc<Site>,
    tls: bool,
    /// The session that tokens must name; `None` without a check of tokens.
    session: Option<String>,
}

/// Both ends of a session, and the permission of its client.
type Session = (Box<dyn Stream>, Tunnel, Lease);

/// Runs `--listen ws://…`: connects each client to the target, until a termination signal arrives.
///
/// # Errors
/// A listener could not be opened, a file could not be read, or a thread could not be started.
pub fn serve_websocket(connector: Connector, server: &WebSocketServer) -> Result<(), Error> {
    sys::reload_on_hangup().map_err(|cause| Error::System { what: "watch for signals", cause })?;
    let web = Arc::new(Web::new(server)?);
    let reactors = start_reactors()?;
    let at: Vec<_> = server.listeners.iter().map(|listener| listener.at.clone()).collect();
    let acceptor = Acceptor::open(&at, &connector.plan().sockets)?;
    let (serving, failing) = (Arc::clone(&web), Arc::clone(&web));
    let handlers = Handlers {
        serve: Box::new(move |ready| open_session(ready, &connector, &serving, &reactors)),
        failed: Box::new(move |client: &WebClient, machine: &ServerHandshake, error| {
            let (name, _) = failing.identify(client, machine);
            failing.report(&failing.described(client.index, &name, ""), error);
        }),
    };
    let handshakes = Handshakes::start(Unauthenticated::default(), handlers)?;
    let serve = |index, client: Client| {
        let name = client.name.clone();
        match web.begin(index, client) {
            Ok(visit) => handshakes.add(visit),
            Err(error) => web.report(&web.described(index, &name, ""), error),
        }
        Ok(())
    };
    accept_clients(&acceptor, |timeout| handshakes.wait_for_room(timeout), serve)
}

/// A client that was accepted.
struct WebClient {
    /// The index of its listener.
    index: usize,
    /// The name for messages.
    name: String,
    /// Our address and the client's.
    addrs: (SocketAddr, SocketAddr),
}

/// Connects a client to the target, and passes the session to a reactor.
fn open_session(
    ready: Ready<ServerHandshake, WebClient>,
    connector: &Connector,
    web: &Web,
    reactors: &Reactors,
) {
    let mut name = ready.2.name.clone();
    match web.connect(ready, connector, &mut name) {
        Ok((client, Tunnel { stream, peers }, lease)) => {
            trace!("start relaying.");
            let (settings, first) = (connector.plan().relay, peers.remote.clone());
            let revocation = lease.claims().map(|_| Revocation::default());
            let client = web.framed(client, revocation.clone());
            let lease = Arc::new(lease);
            let kept = Arc::clone(&lease);
            let report = move |result| {
                let result = client_result(result, &name, &peers);
                // The connection stays open while the permission exists.
                drop(kept);
                report_end(&name, result.map(|warning| warning.filter(|_| settings.warns)));
            };
            let session = reactors.relay(client, stream, first, settings, Box::new(report));
            if let Some((session, revocation)) = session.zip(revocation) {
                lease.on_end(move |refusal: Refusal| {
                    revocation.revoke(CloseCode(refusal.close_code()), refusal.to_string());
                    session.revoke();
                });
            }
        }
        Err(error) => web.report(&name, error),
    }
}

impl Web {
    fn new(server: &WebSocketServer) -> Result<Self, Error> {
        let WebSocketServer { listeners, identity, access, allow_from, keep_alive } = server;
        let listener = |WebSocketListener { tls, path, .. }: &WebSocketListener| {
            let site = Site { path: path.clone(), origins: access.origins.clone() };
            Listener { site: Arc::new(site), tls: *tls, session: session_of(&access.check, path) }
        };
        Ok(Self {
            listeners: listeners.iter().map(listener).collect(),
            tls: identity.as_ref().map(ServerTls::load).transpose()?,
            gate: Gate::new(&access.check)?,
            forwarders: access.forwarders.clone(),
            allow_from: allow_from.clone(),
            keep_alive: *keep_alive,
            report: Mutex::default(),
        })
    }

    /// Returns the name of a client for messages, and its address: those of the connection, unless
    /// a web server in front has named another one.
    fn identify(&self, client: &WebClient, machine: &ServerHandshake) -> (String, IpAddr) {
        let theirs = client.addrs.1.ip();
        let header = if self.forwarders.is_empty() { None } else { machine.forwarded_for() };
        let from = client_address(theirs, header.as_deref(), &self.forwarders);
        let name = if from == theirs { client.name.clone() } else { from.to_string() };
        (name, from)
    }

    /// Describes a client of the listener with this index, for messages.
    fn described(&self, index: usize, name: &str, identity: &str) -> String {
        let session = self.listeners.get(index).and_then(|listener| listener.session.as_deref());
        client_text(name, session, identity)
    }

    /// Reports a client that was not served.
    fn report(&self, name: &str, error: Error) {
        let report = || self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Error::ClientRejected(Rejection::Web { status, why }) => report().refused(name, status, &why),
            Error::ClientRejected(_) | Error::ClientNotAllowed => {
                report().failed(name, &error.user_message());
            }
            error => report_end(name, Err(error)),
        }
    }

    /// Begins the handshake with a client.
    ///
    /// # Errors
    /// The client is not allowed.
    fn begin(&self, index: usize, client: Client) -> Result<Visit<ServerHandshake, WebClient>, Error> {
        let Client { channel, name, addrs } = client;
        let (Some(listener), Some((ours, theirs))) = (self.listeners.get(index), addrs) else {
            return Err(Error::ClientGone);
        };
        if !self.allow_from.is_empty() && !self.allow_from.iter().any(|network| network.contains(theirs.ip()))
        {
            return Err(Error::ClientNotAllowed);
        }
        let stream: Box<dyn Stream> = Box::new(channel);
        let stream = match self.tls.as_ref().filter(|_| listener.tls) {
            Some(tls) => tls.accept(stream)?,
            None => stream,
        };
        let machine = Box::new(ServerHandshake::new(Arc::clone(&listener.site)));
        let handshake = Handshake::new(stream, machine, Instant::now() + WEB_HANDSHAKE_TIMEOUT);
        let client = WebClient { index, name, addrs: (ours, theirs) };
        Ok(Visit { handshake, client, address: Some(theirs.ip()) })
    }

    /// Checks the token of a client whose request is complete, and connects to the target. `name`
    /// becomes the description of the client for messages.
    ///
    /// # Errors
    /// The request was refused, or the target could not be reached. The client has received the
    /// reason.
    fn connect(
        &self,
        (mut handshake, next, client): Ready<ServerHandshake, WebClient>,
        connector: &Connector,
        name: &mut String,
    ) -> Result<Session, Error> {
        let (Next::Open, Some(listener)) = (next, self.listeners.get(client.index)) else {
            return Err(Error::ClientGone);
        };
        let (ours, theirs) = client.addrs;
        let (address, from) = self.identify(&client, &handshake.machine);
        let admitted = self.admit(listener, handshake.machine.token(), from);
        let identity = admitted.as_ref().map_or_else(|refused| &*refused.identity, Lease::identity);
        *name = self.described(client.index, &address, identity);
        let lease = admitted.map_err(|refused| reject(&mut handshake, refused.why))?;
        trace!("client {name} opens a WebSocket");
        let channel = handshake.stream.socket().ok_or(Error::ClientGone)?;
        let theirs = if from == theirs.ip() { theirs } else { SocketAddr::new(from, 0) };
        let client = ClientEnd { channel: Some(channel), addrs: Some((ours, theirs)) };
        let connected = connector.connect_for(client);
        handshake.until = Instant::now() + WEB_HANDSHAKE_TIMEOUT;
        let mut tunnel = connected.map_err(|error| handshake.refuse(error))?;
        tunnel.stream.set_reset_on_exit(true);
        handshake.machine.connected(None, false);
        let Next::Relay = handshake.advance()? else { return Err(Error::ClientGone) };
        Ok((handshake.stream, tunnel, lease))
    }

    /// Checks the token of a client at this address.
    fn admit(&self, listener: &Listener, token: Option<&[u8]>, from: IpAddr) -> Result<Lease, Refused> {
        self.gate.admit(token, Usage { role: TokenRole::Dest, session: listener.session.as_deref() }, from)
    }

    /// Returns the stream of the bytes in the frames, which `revocation` can end with an error.
    fn framed(&self, stream: Box<dyn Stream>, revocation: Option<Revocation>) -> Box<dyn Stream> {
        let mut codec = WebSocket::new(Role::Server, HalfClose::Both);
        if let Some(revocation) = revocation {
            codec = codec.with_revocation(revocation);
        }
        let mut layered = Layered::new(stream, codec).with_keep_alive(self.keep_alive);
        layered.set_reset_on_exit(true);
        Box::new(layered)
    }
}

/// Answers a request whose token was refused. Returns the error.
fn reject(handshake: &mut Handshake<ServerHandshake>, why: Refusal) -> Error {
    handshake.machine.reject(why.status(), why.to_string());
    handshake.advance().err().unwrap_or(Error::ClientGone)
}

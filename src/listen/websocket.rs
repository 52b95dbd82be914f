//! Serves WebSocket clients: the check of the request and its token, the connection to the target,
//! and the answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::acceptor::Acceptor;
use super::gate::{Gate, Lease};
use super::handshake::{Handshake, Next};
use super::{accept_clients, client_result, report_end, start_reactors};
use crate::bypass::Prefix;
use crate::codecs::websocket::{Revocation, Role, WebSocket};
use crate::connector::Connector;
use crate::error::Error;
use crate::net::{ClientEnd, ServerTls, Tunnel};
use crate::plan::{WebSocketListener, WebSocketServer};
use crate::proto::server::{Server as _, client_address};
use crate::proto::websocket::{CloseCode, HalfClose, ServerHandshake, Site};
use crate::relay::Reactors;
use crate::stream::{Layered, Stream};
use crate::sys::{self, Client};
use crate::token::{Refusal, Role as TokenRole, Usage};
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
}

struct Listener {
    site: Arc<Site>,
    tls: bool,
}

/// Both ends of a session, and the permission of its client.
type Session = (Box<dyn Stream>, Tunnel, Lease);

/// Runs `--listen ws://…`: connects each client to the target, until a termination signal arrives.
///
/// # Errors
/// A listener could not be opened, a file could not be read, or a thread could not be started.
pub fn serve_websocket(connector: Connector, server: &WebSocketServer) -> Result<(), Error> {
    sys::reload_on_hangup().map_err(|cause| Error::System { what: "watch for signals", cause })?;
    let web = Web::new(server)?;
    let reactors = start_reactors()?;
    let at: Vec<_> = server.listeners.iter().map(|listener| listener.at.clone()).collect();
    let acceptor = Acceptor::open(&at, &connector.plan().sockets)?;
    accept_clients(&acceptor, move |index, client| open_session(index, client, &connector, &web, &reactors))
}

/// Connects a client to the target, and passes the session to a reactor.
fn open_session(index: usize, client: Client, connector: &Connector, web: &Web, reactors: &Reactors) {
    let name = client.name.clone();
    match web.connect(index, client, connector) {
        Ok((client, Tunnel { stream, peers }, lease)) => {
            trace!("start relaying.");
            let (settings, first) = (connector.plan().relay, peers.remote.clone());
            let report = move |result| {
                let result = client_result(result, &name, &peers);
                // The connection stays open while the permission exists.
                drop(lease);
                report_end(&name, result.map(|warning| warning.filter(|_| settings.warns)));
            };
            reactors.relay(client, stream, first, settings, Box::new(report));
        }
        Err(error) => report_end(&name, Err(error)),
    }
}

impl Web {
    fn new(server: &WebSocketServer) -> Result<Self, Error> {
        let WebSocketServer { listeners, identity, access, allow_from, keep_alive } = server;
        let listener = |WebSocketListener { tls, path, .. }: &WebSocketListener| {
            let site = Site { path: path.clone(), origins: access.origins.clone() };
            Listener { site: Arc::new(site), tls: *tls }
        };
        Ok(Self {
            listeners: listeners.iter().map(listener).collect(),
            tls: identity.as_ref().map(ServerTls::load).transpose()?,
            gate: Gate::new(&access.check)?,
            forwarders: access.forwarders.clone(),
            allow_from: allow_from.clone(),
            keep_alive: *keep_alive,
        })
    }

    /// Performs the handshake with a client, and connects to the target.
    ///
    /// # Errors
    /// The client or its request was refused, or the target could not be reached. The client has
    /// received the reason.
    fn connect(&self, index: usize, client: Client, connector: &Connector) -> Result<Session, Error> {
        let Client { channel, name, addrs } = client;
        let (Some(listener), Some((_, theirs))) = (self.listeners.get(index), addrs) else {
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
        let until = Instant::now() + WEB_HANDSHAKE_TIMEOUT;
        let mut handshake = Handshake { stream, machine, until };
        let Next::Open = handshake.advance()? else { return Err(Error::ClientGone) };
        let lease = self.admit(listener, &mut handshake, theirs.ip())?;
        trace!("client {name} ({}) opens a WebSocket", lease.identity());
        let channel = handshake.stream.socket().ok_or(Error::ClientGone)?;
        let connected = connector.connect_for(ClientEnd { channel, addrs });
        handshake.until = Instant::now() + WEB_HANDSHAKE_TIMEOUT;
        let mut tunnel = connected.map_err(|error| handshake.refuse(error))?;
        tunnel.stream.set_reset_on_exit(true);
        handshake.machine.connected(None, false);
        let Next::Relay = handshake.advance()? else { return Err(Error::ClientGone) };
        Ok((self.framed(handshake.stream, &lease)?, tunnel, lease))
    }

    /// Checks the client's token. If it is refused, answers the request.
    fn admit(
        &self,
        listener: &Listener,
        handshake: &mut Handshake<ServerHandshake>,
        from: IpAddr,
    ) -> Result<Lease, Error> {
        let session = listener.site.path.rsplit_once('/').map(|(_, last)| last);
        let usage = Usage { role: TokenRole::Dest, session };
        let machine = &handshake.machine;
        let from = client_address(from, machine.forwarded_for(), &self.forwarders);
        match self.gate.admit(machine.token(), usage, from) {
            Ok(lease) => Ok(lease),
            Err(refusal) => {
                handshake.machine.reject(refusal.status(), refusal.to_string());
                Err(handshake.advance().err().unwrap_or(Error::ClientGone))
            }
        }
    }

    /// Returns the stream of the bytes in the frames. It ends with an error when the client's token
    /// becomes invalid.
    fn framed(&self, stream: Box<dyn Stream>, lease: &Lease) -> Result<Box<dyn Stream>, Error> {
        let mut codec = WebSocket::new(Role::Server, HalfClose::Both);
        if lease.claims().is_some() {
            let revocation = Revocation::default();
            codec = codec.with_revocation(revocation.clone());
            let channel = stream.socket().ok_or(Error::ClientGone)?;
            let interrupt =
                channel.interrupter().map_err(|cause| Error::System { what: "serve a client", cause })?;
            lease.on_end(move |refusal: Refusal| {
                revocation.revoke(CloseCode(refusal.close_code()), refusal.to_string());
                interrupt();
            });
        }
        let mut layered = Layered::new(stream, codec).with_keep_alive(self.keep_alive);
        layered.set_reset_on_exit(true);
        Ok(Box::new(layered))
    }
}

//! Serves clients that name their targets: the handshake, the connection to the target, and the
//! reply.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::handshake::{Handshake, Next};
use super::handshakes::{Ready, Visit};
use crate::addr::Endpoint;
use crate::connector::Connector;
use crate::error::Error;
use crate::net::{ClientEnd, OwnListeners, ServerTls, Tunnel};
use crate::plan::{AllowedTarget, ProxyServer, RelaySettings};
use crate::proto::server::{Kind, Server};
use crate::stream::{Filtered, Stream};
use crate::sys::{self, Client};
use crate::trace::trace;

/// Limit for the handshake with a client, TLS included, until its request is complete, and for
/// sending the reply.
const CLIENT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings for clients that name their targets.
#[derive(Debug)]
pub(super) struct Proxy {
    server: ProxyServer,
    tls: Option<ServerTls>,
    /// The addresses of the listeners, and the protocol that each speaks.
    bound: Vec<(SocketAddr, &'static Kind)>,
}

/// Both ends of a session, and the settings for the relay.
pub(super) type Session = (Box<dyn Stream>, Tunnel, RelaySettings);

/// A client, and the protocol of its listener.
#[derive(Clone)]
pub(super) struct ProxyClient {
    /// The name for messages.
    pub(super) name: String,
    /// Our address and the client's.
    addrs: (SocketAddr, SocketAddr),
    kind: &'static Kind,
}

impl Proxy {
    /// Reads the certificate for the clients, if there is one.
    pub(super) fn new(server: ProxyServer) -> Result<Self, Error> {
        let tls = server.identity.as_ref().map(ServerTls::load).transpose()?;
        Ok(Self { server, tls, bound: Vec::new() })
    }

    /// Sets the addresses of the listeners, each with its index in the plan.
    pub(super) fn bound_to(&mut self, bound: impl Iterator<Item = (usize, SocketAddr)>) -> OwnListeners {
        let listeners = &self.server.listeners;
        self.bound = bound.filter_map(|(index, at)| Some((at, listeners.get(index)?.1))).collect();
        OwnListeners::new(self.bound.iter().map(|(at, _)| *at).collect())
    }

    /// Returns the protocol of the listener that accepted a client at this address.
    fn kind(&self, at: SocketAddr) -> Option<&'static Kind> {
        let (ip, port) = (at.ip().to_canonical(), at.port());
        let of_port = self.bound.iter().filter(|(bound, _)| bound.port() == port);
        let exact = of_port.clone().find(|(bound, _)| bound.ip().to_canonical() == ip);
        let any = || of_port.clone().find(|(bound, _)| bound.ip().is_unspecified());
        exact.or_else(any).map(|(_, kind)| *kind)
    }

    /// Begins the handshake with a client.
    ///
    /// # Errors
    /// The client is not allowed.
    pub(super) fn begin(&self, client: Client) -> Result<Visit<dyn Server, ProxyClient>, Error> {
        let Client { channel, name, addrs } = client;
        let Some((ours, theirs)) = addrs else { return Err(Error::ClientGone) };
        let allowed = &self.server.allow_from;
        if !allowed.is_empty() && !allowed.iter().any(|network| network.contains(theirs.ip())) {
            return Err(Error::ClientNotAllowed);
        }
        let kind = self.kind(ours).ok_or(Error::ClientGone)?;
        let stream: Box<dyn Stream> = Box::new(channel);
        let stream = match self.tls.as_ref().filter(|_| kind.tls) {
            Some(tls) => tls.accept(stream)?,
            None => stream,
        };
        let machine = (kind.make)(self.server.logins.clone());
        let handshake = Handshake::new(stream, machine, Instant::now() + CLIENT_HANDSHAKE_TIMEOUT);
        let client = ProxyClient { name, addrs: (ours, theirs), kind };
        Ok(Visit { handshake, client, address: Some(theirs.ip()) })
    }

    /// Connects to the target that a client has named, and replies.
    ///
    /// # Errors
    /// The target is not allowed, or could not be reached. The client has received the reason, if
    /// its protocol has one.
    pub(super) fn connect(
        &self,
        (mut handshake, next, client): Ready<dyn Server, ProxyClient>,
        connector: &Connector,
    ) -> Result<Session, Error> {
        let ProxyClient { name, addrs, kind } = client;
        let Next::Connect(target) = next else { return Err(Error::ClientGone) };
        trace!("client {name} requests {target} by {}", kind.name);
        let connected = self.open(target, &handshake, Some(addrs), connector);
        handshake.until = Instant::now() + CLIENT_HANDSHAKE_TIMEOUT;
        let (mut tunnel, settings) = match connected {
            Ok(connected) => connected,
            Err(error) => return Err(handshake.refuse(error)),
        };
        tunnel.stream.set_reset_on_exit(true);
        let bound = tunnel.stream.socket().filter(|_| tunnel.peers.remote.protocol.is_none());
        let bound = bound.and_then(sys::socket_addrs).map(|(ours, _)| ours);
        handshake.machine.connected(bound, tunnel.peers.is_forwarding);
        let next = handshake.advance()?;
        let client = handshake.stream;
        match next {
            Next::Connect(_) | Next::Open => Err(Error::ClientGone),
            Next::Relay => Ok((client, tunnel, settings)),
            Next::Forward(filters) => {
                let client = Filtered::new(client, filters.request, filters.head.bytes());
                let stream = Filtered::new(tunnel.stream, filters.response, &[]);
                // Do not half-close after the request: servers take that for a client that is gone.
                let settings = RelaySettings { half_close: false, ..settings };
                Ok((Box::new(client), Tunnel { stream: Box::new(stream), ..tunnel }, settings))
            }
        }
    }

    fn open(
        &self,
        target: Endpoint,
        handshake: &Handshake,
        addrs: Option<(SocketAddr, SocketAddr)>,
        connector: &Connector,
    ) -> Result<(Tunnel, RelaySettings), Error> {
        let allowed = &self.server.allow_to;
        if !allowed.is_empty() && !allowed.iter().any(|allowed| includes(allowed, &target)) {
            return Err(Error::TargetNotAllowed { target });
        }
        let channel = handshake.stream.socket().ok_or(Error::ClientGone)?;
        connector.connect_to(
            target,
            ClientEnd { channel: Some(channel), addrs },
            handshake.machine.forward_request(),
        )
    }
}

fn includes(allowed: &AllowedTarget, target: &Endpoint) -> bool {
    allowed.port.is_none_or(|port| port == target.port) && allowed.host.matches(&target.host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::addr::{Host, Port, parse_port};
    use crate::bypass::{Pattern, Prefix};
    use crate::proto::server;

    #[test]
    fn the_listener_with_the_exact_address_serves_a_client() {
        let (socks, http) = (server::find("socks5").unwrap(), server::find("http").unwrap());
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let server = ProxyServer {
            listeners: Vec::new(),
            identity: None,
            logins: None,
            allow_to: Vec::new(),
            allow_from: Vec::new(),
        };
        let bound = vec![(at("[::]:1"), socks), (at("127.0.0.1:1"), http), (at("127.0.0.1:2"), socks)];
        let proxy = Proxy { server, tls: None, bound };
        assert_eq!(proxy.kind(at("127.0.0.1:1")), Some(http));
        assert_eq!(proxy.kind(at("[::ffff:127.0.0.1]:1")), Some(http));
        assert_eq!(proxy.kind(at("192.0.2.1:1")), Some(socks));
        assert_eq!(proxy.kind(at("127.0.0.1:2")), Some(socks));
        assert_eq!(proxy.kind(at("127.0.0.1:3")), None);
    }

    #[test]
    fn a_target_is_allowed_by_name_domain_or_network() {
        let allowed = |host, port: Option<u16>| AllowedTarget { host, port: port.and_then(Port::new) };
        let name = || Pattern::Name("host.example".into());
        let domain = || Pattern::Domain("corp.example".into());
        let network = || Pattern::Network(Prefix::new([10, 0, 0, 0].into(), 8).unwrap());
        for (allowed, host, port, expected) in [
            (allowed(Pattern::Everything, None), "anything", "1", true),
            (allowed(Pattern::Everything, Some(443)), "192.0.2.1", "443", true),
            (allowed(Pattern::Everything, Some(443)), "192.0.2.1", "22", false),
            (allowed(name(), None), "HOST.example.", "22", true),
            (allowed(name(), Some(22)), "host.example", "22", true),
            (allowed(name(), Some(22)), "host.example", "23", false),
            (allowed(name(), None), "www.host.example", "22", false),
            (allowed(name(), None), "192.0.2.1", "22", false),
            (allowed(domain(), None), "corp.example", "22", true),
            (allowed(domain(), None), "a.b.Corp.example.", "22", true),
            (allowed(domain(), None), "notcorp.example", "22", false),
            (allowed(network(), None), "10.1.2.3", "22", true),
            (allowed(network(), None), "::ffff:10.1.2.3", "22", true),
            (allowed(network(), None), "11.1.2.3", "22", false),
            (allowed(network(), None), "10.1.2.3.example", "22", false),
        ] {
            let target = Endpoint { host: Host::parse(host).unwrap(), port: parse_port(port).unwrap() };
            assert_eq!(includes(&allowed, &target), expected, "{allowed:?} {target}");
        }
    }
}

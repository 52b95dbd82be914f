//! Serves clients that name their targets: the handshake, the connection to the target, and the
//! reply.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::addr::Endpoint;
use crate::connector::Connector;
use crate::error::Error;
use crate::net::{ClientEnd, OwnListeners, ServerTls, Tunnel};
use crate::plan::{AllowedTarget, ProxyServer, RelaySettings};
use crate::proto::Limit;
use crate::proto::server::{Kind, Rejection, Server, Step};
use crate::stream::{Filtered, Interest, PollSet, Stream};
use crate::sys::{self, Client};
use crate::trace::trace;

/// Limit for the handshake with a client, TLS included, until its request is complete, and for
/// sending the reply.
const CLIENT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit for the client to close the connection after a refusal. If we closed the connection
/// first, unread bytes would cause a reset, which could destroy the refusal.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes to receive or peek at in one call.
const PEEK_SIZE: usize = 4096;

/// The settings for clients that name their targets.
#[derive(Debug)]
pub(super) struct Proxy {
    server: ProxyServer,
    tls: Option<ServerTls>,
    /// The addresses of the listeners, and the protocol that each speaks.
    bound: Vec<(SocketAddr, &'static Kind)>,
}

/// Both ends of a session, and the settings for the relay.
type Session = (Box<dyn Stream>, Tunnel, RelaySettings);

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

    /// Performs the handshake with a client, connects to the target that it names, and replies.
    ///
    /// # Errors
    /// The client or its request was rejected, or the target could not be reached. The client has
    /// received the reason, if its protocol has one.
    pub(super) fn connect(&self, client: Client, connector: &Connector) -> Result<Session, Error> {
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
        let mut handshake = Handshake { stream, machine, until: Instant::now() + CLIENT_HANDSHAKE_TIMEOUT };
        let Next::Connect(target) = handshake.advance()? else { return Err(Error::ClientGone) };
        trace!("client {name} requests {target} by {}", kind.name);
        let connected = self.open(target, &handshake, addrs, connector);
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
            Next::Connect(_) => Err(Error::ClientGone),
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
        connector.connect_to(target, ClientEnd { channel, addrs }, handshake.machine.forward_request())
    }
}

fn includes(allowed: &AllowedTarget, target: &Endpoint) -> bool {
    allowed.port.is_none_or(|port| port == target.port) && allowed.host.matches(&target.host)
}

/// The next task after the steps of a handshake.
enum Next {
    Connect(Endpoint),
    Relay,
    Forward(crate::proto::server::Filters),
}

/// The handshake with one client.
struct Handshake {
    stream: Box<dyn Stream>,
    machine: Box<dyn Server>,
    until: Instant,
}

impl Handshake {
    /// Performs the steps until the target is to be connected, or the session begins.
    fn advance(&mut self) -> Result<Next, Error> {
        let mut has_replied = false;
        loop {
            match self.machine.step() {
                Step::Send(message) => {
                    has_replied = true;
                    self.send(message.bytes()).map_err(|_| Error::ClientGone)?;
                }
                Step::Receive(limit) => self.receive(limit)?,
                Step::Connect(target) => return Ok(Next::Connect(target)),
                Step::Relay => return Ok(Next::Relay),
                Step::Forward(filters) => return Ok(Next::Forward(filters)),
                Step::Close(why) => {
                    if has_replied {
                        self.linger();
                    }
                    return Err(why.map_or(Error::ClientGone, Error::ClientRejected));
                }
            }
        }
    }

    /// Tells the client why the target was not connected. Returns the error.
    fn refuse(&mut self, error: Error) -> Error {
        if !matches!(error, Error::ClientGone) {
            self.machine.refused(error.refusal());
            // The client may be gone by now. The error of the target is more important.
            let _ = self.advance();
        }
        error
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let result =
                if bytes.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(bytes) };
            match result {
                Ok(_) if bytes.is_empty() => return Ok(()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(Interest::WRITE)? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes received bytes to the machine.
    fn receive(&mut self, limit: Limit) -> Result<(), Error> {
        let mut buffer = zeroize::Zeroizing::new([0; PEEK_SIZE]);
        let size = match limit {
            Limit::Bytes(count) => count.min(PEEK_SIZE),
            Limit::Unknown => PEEK_SIZE,
        };
        let buffer = &mut buffer[..size];
        loop {
            let ready = self.wait(Interest::READ);
            let result = match (ready, limit) {
                (Ok(false), _) => {
                    self.machine.timed_out();
                    return Ok(());
                }
                (Err(error), _) => Err(error),
                (Ok(true), Limit::Bytes(_)) => self.stream.read(buffer),
                (Ok(true), Limit::Unknown) => self.stream.peek(buffer),
            };
            match result {
                Ok(0) => self.machine.closed(),
                Ok(count) => {
                    let consumed = self.machine.receive(&buffer[..count]);
                    if limit == Limit::Unknown {
                        self.consume(&mut buffer[..consumed])?;
                    }
                }
                Err(error) if sys::is_transient(&error) => continue,
                // An error without an OS error number comes from the TLS layer.
                Err(error) if error.raw_os_error().is_none() => {
                    return Err(Error::ClientRejected(Rejection::Tls(error.to_string())));
                }
                Err(_) => self.machine.closed(),
            }
            return Ok(());
        }
    }

    /// Removes bytes that were peeked at.
    fn consume(&mut self, mut rest: &mut [u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            match self.stream.read(rest) {
                Ok(count) if count > 0 => rest = &mut rest[count..],
                // The kernel may return EAGAIN even though a peek has just seen the bytes.
                Err(error) if sys::is_transient(&error) && self.wait(Interest::READ).unwrap_or(false) => {}
                Ok(_) | Err(_) => return Err(Error::ClientGone),
            }
        }
        Ok(())
    }

    /// Waits until the stream is ready. Returns `false` if the time is up.
    fn wait(&self, want: Interest) -> io::Result<bool> {
        let left = self.until.saturating_duration_since(Instant::now());
        // Check the time first, or a client that keeps sending would never time out.
        if left.is_zero() {
            return Ok(false);
        }
        let mut polls = PollSet::with_capacity(1);
        self.stream.register(want, &mut polls);
        Ok(polls.wait(Some(left))?.is_some())
    }

    /// Closes our direction, and waits until the client has closed its own.
    fn linger(&mut self) {
        self.stream.set_reset_on_exit(false);
        self.until = Instant::now() + LINGER_TIMEOUT;
        if self.stream.shut_down_writing().is_err() {
            return;
        }
        while self.wait(Interest::READ).unwrap_or(false) {
            match self.stream.read(&mut [0; PEEK_SIZE]) {
                Ok(1..) => {}
                Err(error) if sys::is_transient(&error) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::addr::{Host, Port, parse_port};
    use crate::bypass::{Pattern, Prefix};
    use crate::proto::server;
    use crate::sys::Channel;

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

    /// A client that sends a byte now and then must not postpone the end.
    #[test]
    fn a_slow_client_is_cut_off_at_the_limit() {
        for (scheme, sent, answer) in
            [("http", &b"GET http://host.example/"[..], "HTTP/1.1 408 "), ("socks5", b"\x05\xff", "")]
        {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, _) = listener.accept().unwrap();
            ours.set_nonblocking(true).unwrap();
            let mut handshake = Handshake {
                stream: Box::new(Channel::socket(ours)),
                machine: (server::find(scheme).unwrap().make)(None),
                until: Instant::now() + Duration::from_millis(100),
            };
            let slow = thread::spawn(move || {
                client.write_all(sent).unwrap();
                for _ in 0..30 {
                    thread::sleep(Duration::from_millis(10));
                    // Without an answer, the connection is already closed.
                    let _ = client.write_all(b"x");
                }
                let mut received = String::new();
                let _ = client.read_to_string(&mut received);
                received
            });
            let started = Instant::now();
            let result = handshake.advance();
            assert!(matches!(result, Err(Error::ClientRejected(Rejection::TimedOut))), "{scheme}");
            assert!(started.elapsed() < Duration::from_secs(10));
            drop(handshake);
            assert!(slow.join().unwrap().starts_with(answer), "{scheme}");
        }
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

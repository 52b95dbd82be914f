//! The local end of a session: where it listens, and which clients it serves.

use std::sync::Arc;
use std::time::Duration;

use super::access::WebAccess;
use super::hop::Hop;
use super::listen_address::ListenAddress;
use super::remote::Remote;
use super::tls::ServerIdentity;
use crate::addr::Port;
use crate::bypass::{Pattern, Prefix};
use crate::proto::hub::RoleLimit;
use crate::proto::server::{Kind, Logins};
use crate::secret::SharedKey;

/// The local end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Standard input and output.
    Stdio,
    /// `-F`: no local end; the connection's file descriptor is passed over standard output.
    FdPass,
    /// `-p` and `-P`: the clients of a local port, one at a time.
    Port {
        /// The address or socket to listen on.
        at: ListenAddress,
        /// `-P`: keep the session with the target open between clients.
        keep: bool,
    },
    /// `--listen`: any number of clients, each with its own session.
    Listen(Vec<ListenAddress>),
    /// `--listen` with a scheme: any number of clients, which name the targets.
    Proxy(ProxyServer),
    /// `--listen` with `post+http`, `post+https` or `scgi`: any number of tunnels to the target.
    Post(PostServer),
    /// `--listen` with `ws` or `wss`: any number of WebSocket connections to the target.
    WebSocket(WebSocketServer),
    /// `--relay`: a hub.
    Hub(HubServer),
    /// `--origin`: the clients of a hub, each with its own session.
    Origin(Box<OriginSettings>),
    /// `--ssh`: work at the SSH server that is the last hop of each route.
    Remote(Box<Remote>),
}

/// The listeners for WebSocket clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketServer {
    /// The address to listen on.
    pub listeners: Vec<WebSocketListener>,
    /// The certificates, for the listeners that use TLS.
    pub identity: Option<ServerIdentity>,
    /// The clients that may connect.
    pub access: WebAccess,
    /// `--allow-from`: the only networks that clients may connect from; empty for all.
    pub allow_from: Vec<Prefix>,
    /// `--keepalive`: the time without input before a Ping; `None` for no Pings.
    pub keep_alive: Option<Duration>,
}

/// A listener for WebSocket clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketListener {
    /// The address.
    pub at: ListenAddress,
    /// `true` for `wss`.
    pub tls: bool,
    /// The path of the requests.
    pub path: String,
}

/// The listeners for POST tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostServer {
    /// The address to listen on.
    pub listeners: Vec<PostListener>,
    /// The certificates, for the listeners that use TLS.
    pub identity: Option<ServerIdentity>,
    /// The clients that may open tunnels.
    pub access: WebAccess,
    /// `--allow-from`: the only networks that clients may connect from; empty for all.
    pub allow_from: Vec<Prefix>,
    /// `--max-wait`: the longest hold of a request.
    pub max_wait: Duration,
}

/// A listener for POST tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostListener {
    /// The address.
    pub at: ListenAddress,
    /// The protocol.
    pub transport: PostTransport,
    /// The path of the requests, to which clients add a session identifier.
    pub path: String,
}

/// The protocol that carries the requests of a POST tunnel to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostTransport {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SCGI, from a web server.
    Scgi,
}

/// The listeners for clients that name the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyServer {
    /// The addresses to listen on, each with the protocol to speak.
    pub listeners: Vec<(ListenAddress, &'static Kind)>,
    /// The certificates, for the listeners that use TLS.
    pub identity: Option<ServerIdentity>,
    /// `--listen-password-file`: the logins of the clients; `None` if they need not log in.
    pub logins: Option<Arc<Logins>>,
    /// `--allow-to`: the only targets that clients may name; empty for all.
    pub allow_to: Vec<AllowedTarget>,
    /// `--allow-from`: the only networks that clients may connect from; empty for all.
    pub allow_from: Vec<Prefix>,
}

/// A relay hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubServer {
    /// The address to listen on.
    pub listeners: Vec<HubListener>,
    /// The certificates, for the listeners that use TLS.
    pub identity: Option<ServerIdentity>,
    /// The origins and clients that may use the hub.
    pub access: WebAccess,
    /// `--keepalive`: the time without input before a Ping; `None` for no Pings.
    pub keep_alive: Option<Duration>,
    /// `--drain`: the time from a termination signal to the end of the last pair.
    pub drain: Duration,
}

/// A listener of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubListener {
    /// The address.
    pub at: ListenAddress,
    /// The clients use TLS.
    pub tls: bool,
    /// The path before those of the hub, without a slash at the end.
    pub prefix: String,
    /// `role=`: the only role that the address serves; `None` for both.
    pub role: Option<RoleLimit>,
}

/// An origin: it offers the target of the plan at a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginSettings {
    /// The proxies on the way to the hub, and the hub as the last hop: a WebSocket server.
    pub hops: Vec<Hop>,
    /// The path before those of the hub, without a slash at the end.
    pub prefix: String,
    /// The name of the session; `None` to choose a random one.
    pub session: Option<String>,
    /// `--allow-from`: the only networks that clients may connect from; empty for all.
    pub allow_from: Vec<Prefix>,
    /// `--max-at-once`: the limit of simultaneous connections; `None` for no limit.
    pub max_at_once: Option<usize>,
    /// `--max-total`: the limit of all connections; `None` for no limit.
    pub max_total: Option<usize>,
    /// `--spare`: the number of connections to the target to open in advance.
    pub spare: usize,
    /// `--background`: continue in the background once registered.
    pub background: bool,
    /// `--keepalive`: the time without input before a Ping; `None` for no Pings.
    pub keep_alive: Option<Duration>,
    /// `--resume`: the time for which a link survives without a connection.
    pub resume: Duration,
    /// `--window`: the maximum of a stream's window, and of unacknowledged bytes.
    pub window: u32,
    /// The key for the end-to-end encryption; `None` for none. With a key, the origin serves
    /// encrypted links only.
    pub key: Option<SharedKey>,
}

/// Targets that clients may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedTarget {
    /// The hosts.
    pub host: Pattern,
    /// The port; `None` for any.
    pub port: Option<Port>,
}

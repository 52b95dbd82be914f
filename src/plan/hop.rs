//! A hop, and the behavior that each kind of hop implements.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::dial::{Dial, Multiplexer};
use super::login::Login;
use super::target::Target;
use super::tls::Tls;
use super::token::Token;
use crate::addr::Endpoint;
use crate::proto::{Credentials, ForwardRequest, Negotiation, Redactor};
use crate::secret::{AskPassword, Secret, UserName};
use crate::stream::Stream;

/// A proxy, and the protocol for requesting a tunnel to the next hop or the target.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The proxy's address. Only the first proxy of a route may be at a UNIX-domain socket.
    pub proxy: Target,
    /// The proxy protocol.
    pub protocol: Arc<dyn Protocol>,
    /// TLS settings; `None` for plain TCP.
    pub tls: Option<Tls>,
}

/// A proxy protocol with its settings. Each kind of hop implements it in a file of its own, in
/// `hops`.
pub trait Protocol: Comparable + Send + Sync {
    /// Returns the protocol's name for messages.
    fn name(&self) -> &'static str;

    /// Returns the protocol's name in the C program's debug output.
    fn relay_method(&self) -> &'static str;

    /// Returns the configured credentials; `None` if the protocol has no passwords.
    fn login(&self) -> Option<&Login> {
        None
    }

    /// Returns the same settings without the password; `None` if there is none.
    fn without_password(&self) -> Option<Arc<dyn Protocol>> {
        None
    }

    /// Returns the configured user name; `None` for the login name.
    fn user(&self) -> Option<&UserName> {
        self.login()?.user.as_ref()
    }

    /// Returns `true` if the request always contains the user name.
    fn needs_user(&self) -> bool {
        false
    }

    /// Returns what a password prompt calls the password, and the variable that can hold it.
    fn prompt_names(&self) -> (&'static str, &'static str) {
        ("proxy", "CONNECT_PASSWORD")
    }

    /// Returns which credentials to send before the proxy requests them.
    fn known_credentials(&self, eager: bool) -> KnownCredentials {
        let _ = eager;
        KnownCredentials::None
    }

    /// Returns the token to send to the server; `None` if there is none.
    fn token(&self) -> Option<&Token> {
        None
    }

    /// Returns `true` if a setting contains a login besides [`login`](Self::login), such as a
    /// header of the user's own.
    fn sends_own_login(&self) -> bool {
        false
    }

    /// Returns where names are resolved; `None` if the protocol always sends names to the proxy.
    fn resolve(&self) -> Option<Resolve> {
        None
    }

    /// Returns `true` if addresses must be IPv4.
    fn requires_ipv4(&self) -> bool {
        false
    }

    /// Returns the parameters that can hold the bypass list, in order of precedence.
    fn bypass_parameters(&self) -> &'static [&'static str];

    /// Returns the settings for `--check`, as pairs of name and description.
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// Returns further settings for `-d`, as pairs of name and value.
    fn trace_facts(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Returns the parts of the target that a request contains.
    fn target_use(&self) -> TargetUse {
        TargetUse { host: true, port: true }
    }

    /// Creates the state machine that requests a tunnel.
    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation>;

    /// Returns the tunnel, once `negotiation` has reached [`Step::Done`](crate::proto::Step::Done)
    /// on `connection`. By default, that is the connection.
    ///
    /// A protocol with messages of its own around the tunnel's bytes adds a layer. A protocol that
    /// [opens connections](Self::opens_connections) gets the means from `dial`. Both find in
    /// `negotiation` the machine that [`negotiation`](Self::negotiation) returned.
    fn establish(
        &self,
        _negotiation: &mut dyn Negotiation,
        connection: Box<dyn Stream>,
        _dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> Box<dyn Stream> {
        connection
    }

    /// Returns a tunnel for any number of streams, in place of the one for a single stream that
    /// [`establish`](Self::establish) returns. Only for protocols that
    /// [have such tunnels](Self::multiplexes).
    ///
    /// # Errors
    /// This machine is short of memory, threads or descriptors.
    fn establish_multiplexer(
        &self,
        _negotiation: &mut dyn Negotiation,
        _connection: Box<dyn Stream>,
        _dial: &dyn Fn() -> Arc<dyn Dial>,
    ) -> io::Result<Arc<dyn Multiplexer>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns `true` if a tunnel of this protocol carries any number of streams.
    fn multiplexes(&self) -> bool {
        false
    }

    /// Returns `true` if a setting contains a key for end-to-end encryption.
    fn has_key(&self) -> bool {
        false
    }

    /// Returns `true` if the tunnel's bytes are those of the connection, so that another program
    /// can use it instead of us (`-F`).
    fn leaves_bytes_alone(&self) -> bool {
        true
    }

    /// Returns `true` if the proxy reports whether a tunnel has ended normally, so that the end of
    /// one without data from the target is no failure.
    fn reports_ends(&self) -> bool {
        false
    }

    /// Returns `true` if the server can connect to UNIX-domain sockets and named queues.
    fn reaches_sockets(&self) -> bool {
        false
    }

    /// Returns `true` if the proxy can forward an HTTP request itself, without a tunnel.
    fn forwards_requests(&self) -> bool {
        false
    }

    /// Returns `true` if the protocol opens further connections during the session.
    fn opens_connections(&self) -> bool {
        false
    }
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn Protocol + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The parts of the target that a hop needs. The server of a hop that does not need all of them
/// selects the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetUse {
    /// The host.
    pub host: bool,
    /// The port.
    pub port: bool,
}

/// A request for a tunnel through a hop, and what the hop may use to get it.
pub struct HopRequest<'a> {
    /// The end of the tunnel: the next hop or the target.
    pub destination: Endpoint,
    /// A target without host and port, in place of `destination`. Only for protocols that
    /// [reach](Protocol::reaches_sockets) such targets.
    pub socket: Option<&'a Target>,
    /// The tunnel will be [multiplexed](Protocol::multiplexes): its users name their targets.
    pub is_shared: bool,
    /// The user name, if the protocol [needs](Protocol::needs_user) it.
    pub user: Option<UserName>,
    /// The credentials to send before the proxy requests them.
    pub known: Option<Credentials>,
    /// The [token](Protocol::token), which may have been renewed since the plan was made.
    pub token: Option<Secret>,
    /// Send as much as possible without waiting for replies.
    pub eager: bool,
    /// Tells whether a user can be prompted for a password.
    pub prompt: &'a dyn AskPassword,
    /// Masks secrets in what the proxy sends.
    pub redactor: Redactor,
    /// The client's request that the proxy is to forward; `None` for a tunnel. Only for protocols
    /// that [forward requests](Protocol::forwards_requests).
    pub forward: Option<Arc<ForwardRequest>>,
    /// The name of the hop for messages.
    pub server: &'a dyn fmt::Display,
    /// Change no file: the user only checks the settings.
    pub is_check: bool,
}

/// The credentials to send before the proxy requests them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownCredentials {
    /// None.
    None,
    /// Those in the plan, if it has both user name and password.
    Complete,
    /// The password in the plan, if it has one, with the user name in the plan or the login name.
    WithPassword,
}

/// Compares values whose types are not known, for `==` of plans.
pub trait Comparable {
    /// Returns the value with its type.
    fn as_any(&self) -> &dyn Any;

    /// Returns `true` if `other` has the same type and is equal.
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + 'static> Comparable for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref().is_some_and(|other| self == other)
    }
}

impl PartialEq for Hop {
    fn eq(&self, other: &Self) -> bool {
        let Self { proxy, protocol, tls } = self;
        *proxy == other.proxy && *tls == other.tls && protocol.equals(other.protocol.as_any())
    }
}

impl Eq for Hop {}

/// The place that resolves the name of the next hop or the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// On this machine. An unknown name is an error.
    Local,
    /// On this machine, using this name server. An unknown name is an error.
    Server(SocketAddr),
    /// On this machine, or at the proxy if that fails. The default for SOCKS4.
    LocalFirst,
    /// At the proxy.
    Remote,
    /// On this machine, or at the proxy if that fails: `-R both`, and the default for SOCKS5.
    Both,
}

impl Resolve {
    /// Returns the name in the C program's debug output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Local | Self::Server(_) | Self::LocalFirst => "LOCAL (1)",
            Self::Remote => "REMOTE (2)",
            Self::Both => "BOTH (3)",
        }
    }

    /// Returns the name server to query; `None` for the system's resolver or the proxy.
    #[must_use]
    pub fn server(self) -> Option<SocketAddr> {
        match self {
            Self::Server(server) => Some(server),
            Self::Local | Self::LocalFirst | Self::Remote | Self::Both => None,
        }
    }
}

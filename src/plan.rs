//! The plan of a run: plain data that `config` makes from the arguments, the environment and
//! parameter files.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::addr::{Endpoint, Family, Host, Port};
use crate::bypass::{BypassList, Prefix};
use crate::proto::server::{Kind, Logins};
use crate::proto::{Credentials, Negotiation, ProxyProtocol, Redactor};
use crate::secret::{AskPassword, Secret, UserName, masked};

/// One run of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The local end of the session.
    pub local: Local,
    /// The remote end of the session. With [`Local::Proxy`], the plan of a session has the target
    /// that the client has named, and the plan of the run has a placeholder.
    pub target: Target,
    /// The routes to the target, tried in turn until one works.
    pub routes: Vec<Route>,
    /// The askpass program that prompts for passwords; `None` to prompt on the terminal.
    pub askpass: Option<PathBuf>,
    /// Time limits.
    pub limits: Limits,
    /// Show a status line on the terminal during long waits.
    pub shows_status: bool,
    /// `--eager`: pipeline requests to proxies instead of waiting for each reply.
    pub eager: bool,
    /// `--proxy-protocol`: the version of the header that precedes the session's data; `None` for
    /// no header.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `--tls-target`: the settings for TLS with the target; `None` for no TLS.
    pub target_tls: Option<Tls>,
    /// Settings for TCP sockets.
    pub sockets: SocketSettings,
    /// Relay settings.
    pub relay: RelaySettings,
}

/// A chain of proxies to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The proxies, in connection order; empty to connect directly.
    pub hops: Vec<Hop>,
    /// The targets that bypass the proxies.
    pub bypass: Bypass,
    /// The name server for the target's name on a direct connection; `None` for the system's
    /// resolver.
    pub name_server: Option<SocketAddr>,
}

/// Settings for TCP sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSettings {
    /// `--tcp-keepalive`: how long a peer may send nothing before TCP probes it; `None` to disable
    /// keep-alive. Applies to the clients of a local port, too.
    pub keep_alive: Option<Duration>,
    /// `--ipv4` and `--ipv6`: the only address family for lookups and connections; `None` for both.
    pub family: Option<FamilyLimit>,
    /// `--bind`: where connections and DNS queries come from; `None` to let the system choose.
    pub bind: Option<Bind>,
}

/// The local end of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address or interface.
    pub to: BindTo,
    /// The option or parameter that names it, for messages.
    pub setting: String,
}

/// An address or an interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindTo {
    /// An IP address, possibly with a zone.
    Address(Host),
    /// The name of an interface.
    Interface(String),
}

/// The only address family to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyLimit {
    /// The family.
    pub family: Family,
    /// The option or parameter that requires it, for messages.
    pub setting: String,
}

impl SocketSettings {
    /// The default for [`SocketSettings::keep_alive`]. A peer that has vanished is noticed after a
    /// bit more than twice this time.
    pub const KEEP_ALIVE_TIME: Duration = Duration::from_secs(60);
}

impl Default for SocketSettings {
    fn default() -> Self {
        Self { keep_alive: Some(Self::KEEP_ALIVE_TIME), family: None, bind: None }
    }
}

impl SocketSettings {
    /// Returns the only address family to which connections are possible: the one of `family`, or
    /// else that of the address in `bind`. `None` if both are.
    #[must_use]
    pub fn dialled_family(&self) -> Option<FamilyLimit> {
        let by_address = || {
            let bind = self.bind.as_ref()?;
            let BindTo::Address(host) = &bind.to else { return None };
            let family = if host.ip()?.is_ipv4() { Family::V4 } else { Family::V6 };
            Some(FamilyLimit { family, setting: bind.setting.clone() })
        };
        self.family.clone().or_else(by_address)
    }
}

/// Relay settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// How the relay moves bytes.
    pub mode: RelayMode,
    /// `--idle-timeout`: end a session that moves no data for this long; `None` for no limit.
    pub idle: Option<Duration>,
    /// Half-close the connection to the remote when the local input ends. `--no-shutdown` clears
    /// this.
    pub half_close: bool,
    /// Print a warning if a proxy's tunnel carried no data from the target. `-q` clears this.
    pub warns: bool,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { mode: RelayMode::default(), idle: None, half_close: true, warns: true }
    }
}

/// How bytes move between two channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayMode {
    /// With splice(2), if the system and the file descriptors allow it.
    #[default]
    Splice,
    /// With read(2) and write(2).
    Copy,
}

/// The local end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Standard input and output.
    Stdio,
    /// `-F`: no local end; the connection's file descriptor is passed over standard output.
    FdPass,
    /// `-p` and `-P`: the clients of a local port, one at a time.
    Port {
        /// Where to listen.
        at: ListenAddress,
        /// `-P`: keep the session with the target open between clients.
        keep: bool,
    },
    /// `--listen`: any number of clients, each with its own session.
    Listen(Vec<ListenAddress>),
    /// `--listen` with a scheme: any number of clients, which name the targets.
    Proxy(ProxyServer),
}

/// The listeners for clients that name the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyServer {
    /// Where to listen, and the protocol to speak.
    pub listeners: Vec<(ListenAddress, &'static Kind)>,
    /// `--serve-cert` and `--serve-key`, for the listeners that use TLS.
    pub identity: Option<Identity>,
    /// `--listen-password-file`: the logins of the clients; `None` if they need not log in.
    pub logins: Option<Arc<Logins>>,
    /// `--allow-to`: the only targets that clients may name; empty for all.
    pub allow_to: Vec<AllowedTarget>,
    /// `--allow-from`: the only networks that clients may connect from; empty for all.
    pub allow_from: Vec<Prefix>,
}

/// Targets that clients may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedTarget {
    /// The host.
    pub host: AllowedHost,
    /// The port; `None` for any.
    pub port: Option<Port>,
}

/// Hosts that clients may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// Any host.
    Any,
    /// The addresses of a network. A name does not match, whatever its addresses are.
    Network(Prefix),
    /// This name, in lower case and without a final dot.
    Name(String),
    /// The names below this domain, and the domain itself.
    Domain(String),
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port; for port 0, the system chooses a free one.
    Tcp {
        /// The address to bind. The name `localhost`, the default, is both loopback addresses.
        host: Host,
        /// The port.
        port: u16,
    },
    /// A UNIX-domain socket.
    Unix(PathBuf),
    /// The file descriptor of a socket passed by systemd.
    SystemdSocket(i32),
}

/// The remote end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host and a port.
    Tcp(Endpoint),
    /// A UNIX-domain socket on this machine; proxies cannot reach it.
    Unix(PathBuf),
}

/// The targets that bypass a route's proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bypass {
    /// The bypass list from parameters such as `SOCKS_DIRECT`.
    pub list: BypassList,
    /// The entries of `no_proxy`, matched against the target as the user wrote it; names are not
    /// resolved.
    pub no_proxy: BypassList,
    /// `-D`: also bypass the proxies for addresses on this machine's own networks.
    pub own_networks: bool,
}

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

/// TLS settings for a proxy or the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file of trusted authorities; `None` to trust the system's.
    pub authorities: Option<PathBuf>,
    /// The client certificate; `None` to send none.
    pub identity: Option<Identity>,
    /// SHA-256 hashes of the accepted public keys; empty to accept any.
    pub pins: Vec<[u8; 32]>,
    /// The name for SNI and certificate verification; `None` to use the peer's host.
    pub server_name: Option<Host>,
    /// Verify only the pins, not the certificate.
    pub insecure: bool,
    /// `true` if hints must refer to the proxy's URL, because the TLS options on the command line
    /// are for the target.
    pub only_in_url: bool,
}

/// A certificate with its key, to present to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The PEM file with the certificate and its intermediates.
    pub certificate: PathBuf,
    /// The PEM file with the private key, which may be the same file as `certificate`.
    pub key: PathBuf,
}

/// A proxy protocol with its settings. Each kind of hop implements it in a file of its own, in
/// `hops`.
pub trait Protocol: Comparable + fmt::Debug + Send + Sync {
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

    /// Creates the state machine that requests a tunnel.
    fn negotiation(&self, request: HopRequest<'_>) -> Box<dyn Negotiation>;
}

/// A request for a tunnel through a hop, and what the hop may use to get it.
pub struct HopRequest<'a> {
    /// Where the tunnel leads: the next hop or the target.
    pub destination: Endpoint,
    /// The user name, if the protocol [needs](Protocol::needs_user) it.
    pub user: Option<UserName>,
    /// The credentials to send before the proxy requests them.
    pub known: Option<Credentials>,
    /// Send as much as possible without waiting for replies.
    pub eager: bool,
    /// Tells whether a user can be prompted for a password.
    pub prompt: &'a dyn AskPassword,
    /// Masks secrets in what the proxy sends.
    pub redactor: Redactor,
}

/// Which credentials to send before the proxy requests them.
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

/// The configured credentials for a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The user name; `None` for the login name, which is looked up only when it is needed.
    pub user: Option<UserName>,
    /// The password; if it is `None` and the proxy requests one, `ask` says where to get it.
    pub password: Option<Secret>,
    /// Where to get the password if `password` is `None`.
    pub ask: PasswordPrompt,
}

/// Where to get the password if none is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordPrompt {
    /// The user, through the terminal or askpass.
    #[default]
    User,
    /// A shell command; `%h`, `%p` and `%u` expand to the proxy's host, its port and the user name.
    Command {
        /// The command.
        line: String,
        /// The option or parameter that set it, for messages.
        source: String,
    },
}

impl Login {
    /// Returns the credentials if the user name and password are both configured; `None` if either
    /// must be looked up or prompted for.
    #[must_use]
    pub fn known(&self) -> Option<Credentials> {
        Some(Credentials { user: self.user.clone()?, password: self.password.clone()? })
    }
}

/// Where the name of the next hop or the target is resolved.
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

/// Time limits for reaching the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Limits {
    /// No `-w`: the system's limits apply to name lookups and dialling,
    /// [`Limits::HANDSHAKE_TIMEOUT`] to the handshake with each proxy, and
    /// [`Limits::ROUTE_TIMEOUT`] to every route but the last.
    #[default]
    PerStep,
    /// `-w SECONDS`: the limit on the time from the first name lookup until the tunnel is
    /// established.
    Total(Duration),
    /// `-w 0`: only the system's limits apply.
    Unlimited,
}

impl Limits {
    /// Limit for all handshakes with one proxy if `-w` is not given: TLS and negotiation, over all
    /// connections that the proxy requires.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
    /// Limit for connecting to a UNIX-domain socket if `-w` is not given. connect(2) blocks while
    /// the listener's backlog is full.
    pub const UNIX_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
    /// Limit for every route but the last, if `-w` is not given.
    pub const ROUTE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Returns the limit of a step: the total limit if there is one, `default` without `-w`, and
    /// `None` with `-w 0`.
    #[must_use]
    pub fn for_step(self, default: Duration) -> Option<Duration> {
        match self {
            Self::PerStep => Some(default),
            Self::Total(limit) => Some(limit),
            Self::Unlimited => None,
        }
    }
}

impl Plan {
    /// Returns the hops of all routes.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.routes.iter().flat_map(|route| &route.hops)
    }
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

impl Target {
    /// Returns the host, or `unix:` and the path of a UNIX-domain socket.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(endpoint) => endpoint.host.to_string(),
            Self::Unix(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(endpoint) => endpoint.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Masks a password, because a misplaced proxy looks like the name of an interface.
impl fmt::Display for BindTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(host) => host.fmt(f),
            Self::Interface(name) => f.write_str(&masked(name)),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.to_string().contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::SystemdSocket(number) => write!(f, "descriptor {number}"),
        }
    }
}

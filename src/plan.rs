//! What a run is to do: plain data, made by `config` from what was typed and from the environment.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::addr::{Endpoint, Host};
use crate::bypass::BypassList;
use crate::proto::{Credentials, HttpSettings, ProxyProtocol, Socks5Method};
use crate::secret::Secret;

/// One run of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is joined to the target.
    pub local: Local,
    /// Where to get to.
    pub target: Target,
    /// The ways to get there, tried in turn until one does.
    pub routes: Vec<Route>,
    /// The program that asks for passwords, in the place of the terminal.
    pub askpass: Option<PathBuf>,
    /// How long it may take.
    pub limits: Limits,
    /// Whoever sits at the terminal is told what is waited for, where that takes long.
    pub shows_status: bool,
    /// `--eager`: proxies are told as much as can be said without their answers.
    pub eager: bool,
    /// `--proxy-protocol`: the target is told first whom the session is for.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How bytes are relayed.
    pub relay: RelaySettings,
}

/// A way to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The proxies on it, first one first; none to go directly.
    pub hops: Vec<Hop>,
    /// Which targets are reached without them.
    pub bypass: Bypass,
    /// The name server that is asked for the target's name where the target is reached directly; `None` is the system.
    pub name_server: Option<SocketAddr>,
}

/// How bytes are relayed, once the target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// What carries them.
    pub mode: RelayMode,
    /// `--idle-timeout`: for so long a session may move nothing.
    pub idle: Option<Duration>,
    /// Half-close the connection to the remote when the local input ends. `--no-shutdown` clears it.
    pub half_close: bool,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { mode: RelayMode::default(), idle: None, half_close: true }
    }
}

/// What carries bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayMode {
    /// Inside the kernel, where the system and the descriptors allow it: splice(2).
    #[default]
    Splice,
    /// Through memory, by read and write.
    Copy,
}

/// The near end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Standard input and output.
    Stdio,
    /// `-F`: nothing. The connection is handed over standard output.
    FdPass,
    /// `-p` and `-P`: whoever connects here, one at a time.
    Port {
        /// Where to listen.
        at: ListenAddress,
        /// `-P`: the session with the target outlives its local clients.
        keep: bool,
    },
    /// `--listen`: whoever connects, each with a tunnel of its own.
    Listen(Vec<ListenAddress>),
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port; 0 lets the system choose one.
    Tcp {
        /// The address; it is on the loopback interface unless the user says otherwise.
        host: Host,
        /// The port.
        port: u16,
    },
    /// A UNIX-domain socket.
    Unix(PathBuf),
    /// A socket that systemd has made: the number of its descriptor.
    SystemdSocket(i32),
}

/// The far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host and a port.
    Tcp(Endpoint),
    /// A UNIX-domain socket on this machine, which no proxy can reach.
    Unix(PathBuf),
}

/// Which targets are reached without the proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bypass {
    /// The direct list.
    pub list: BypassList,
    /// What `no_proxy` adds. It is for the target as typed: names are never resolved for it.
    pub no_proxy: BypassList,
    /// `-D`: those in a network of one of this machine's own interfaces.
    pub own_networks: bool,
}

/// A proxy, and how it is asked for the next stage of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where the proxy is.
    pub proxy: Endpoint,
    /// What it speaks.
    pub protocol: Protocol,
    /// What that is spoken in, unless it goes over the wire as it is.
    pub tls: Option<Tls>,
}

/// TLS with a proxy: whom to trust, and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A file with the certificates of those who may vouch for the proxy, in the place of those whom the system trusts.
    pub authorities: Option<PathBuf>,
    /// Ours, if the proxy wants to know.
    pub identity: Option<Identity>,
    /// SHA-256 of the keys of which the proxy must have one; any key if there are none.
    pub pins: Vec<[u8; 32]>,
    /// What to ask for and to find in the certificate in the place of the proxy's name.
    pub server_name: Option<Host>,
    /// Nothing but the pins is checked.
    pub insecure: bool,
}

/// A certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The file with the certificate, and with those between it and an authority.
    pub certificate: PathBuf,
    /// The file with its key, which may be the same.
    pub key: PathBuf,
}

/// A proxy protocol with what it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SOCKS4, or SOCKS4a where a name is sent.
    Socks4 {
        /// Sent as it is, or else the login name; SOCKS4 has no password.
        user: Option<String>,
        /// Who resolves names.
        resolve: Resolve,
    },
    /// SOCKS5 (RFC 1928).
    Socks5 {
        /// Who resolves names.
        resolve: Resolve,
        /// The methods to offer, or `None` to offer what can be carried out.
        methods: Option<Vec<Socks5Method>>,
        /// For user/password (RFC 1929).
        login: Login,
    },
    /// A telnet-style proxy. It gets every name as it was typed.
    Telnet {
        /// The command that it is sent, with `%h` and `%p` for the target.
        command: String,
        /// Shown on `-d`, and not sent.
        user: Option<String>,
    },
    /// HTTP CONNECT (RFC 9110 §9.3.6). The proxy gets every name as it was typed.
    Http {
        /// For Basic (RFC 7617) and Digest (RFC 7616).
        login: Login,
        /// What is said besides, and how.
        settings: HttpSettings,
    },
}

/// What is known from the start about who we are to a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The user name; `None` is the login name, which is looked up only if it is needed.
    pub user: Option<String>,
    /// The password; `None` is to be asked for, if the proxy wants one.
    pub password: Option<Secret>,
    /// Whom to ask.
    pub ask: PasswordPrompt,
}

/// Whom to ask for a password that is not known from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PasswordPrompt {
    /// The user.
    #[default]
    User,
    /// A command for the shell, in which `%h`, `%p` and `%u` stand for the proxy's host and port and for the user.
    Command {
        /// The command.
        line: String,
        /// The parameter, and where it is set.
        source: String,
    },
}

impl Login {
    /// The credentials, if nothing of them has to be looked up or asked for.
    #[must_use]
    pub fn known(&self) -> Option<Credentials> {
        Some(Credentials { user: self.user.clone()?, password: self.password.clone()? })
    }
}

/// Who turns the name of the next stage into an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// This machine; a name it does not know is an error.
    Local,
    /// This machine, which asks this name server; a name that it does not know is an error.
    Server(SocketAddr),
    /// This machine; a name it does not know goes to the proxy. SOCKS4 without `-R`.
    LocalFirst,
    /// The proxy.
    Remote,
    /// This machine if it can, else the proxy, as `-R both` asks.
    Both,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// `-w`: from the start to the tunnel, names and dialling included. Without it the system's limits apply to
    /// those two, and [`Limits::NEGOTIATION`] to each proxy; a route that is not the last has [`Limits::ROUTE`] for all.
    pub reach: Option<Duration>,
}

impl Limits {
    /// For the negotiation with one proxy, unless `-w` says otherwise.
    pub const NEGOTIATION: Duration = Duration::from_secs(30);
    /// For a route behind which there is another one to try, unless `-w` says otherwise.
    pub const ROUTE: Duration = Duration::from_secs(10);
}

impl Plan {
    /// All proxies on all routes.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.routes.iter().flat_map(|route| &route.hops)
    }
}

impl Resolve {
    /// The name server to ask, if one was named.
    #[must_use]
    pub fn server(self) -> Option<SocketAddr> {
        match self {
            Self::Server(server) => Some(server),
            Self::Local | Self::LocalFirst | Self::Remote | Self::Both => None,
        }
    }
}

impl Protocol {
    /// The protocol's name, as users know it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Socks4 { .. } => "SOCKS4",
            Self::Socks5 { .. } => "SOCKS5",
            Self::Telnet { .. } => "telnet",
            Self::Http { .. } => "HTTP",
        }
    }

    /// Who resolves names, where the protocol has a choice.
    #[must_use]
    pub fn resolve(&self) -> Option<Resolve> {
        match self {
            Self::Socks4 { resolve, .. } | Self::Socks5 { resolve, .. } => Some(*resolve),
            Self::Telnet { .. } | Self::Http { .. } => None,
        }
    }

    /// What is known of user and password, where the protocol has both.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        match self {
            Self::Socks5 { login, .. } | Self::Http { login, .. } => Some(login),
            Self::Socks4 { .. } | Self::Telnet { .. } => None,
        }
    }

    /// The user name, where another than the login name was given.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Socks4 { user, .. } | Self::Telnet { user, .. } => user.as_deref(),
            Self::Socks5 { login, .. } | Self::Http { login, .. } => login.user.as_deref(),
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

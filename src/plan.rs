//! The plan of a run: plain data that `config` makes from the arguments, the environment and
//! parameter files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::bypass::BypassList;
use crate::proto::ProxyProtocol;
pub use access::{TokenCheck, WebAccess};
pub use dial::{Dial, DialError, Multiplexer, Opened};
pub use hop::{Comparable, Hop, HopRequest, KnownCredentials, Protocol, Resolve, TargetUse};
pub use listen_address::ListenAddress;
pub use local::{
    AllowedTarget, HubListener, HubServer, Local, OriginSettings, PostListener, PostServer, PostTransport,
    ProxyServer, WebSocketListener, WebSocketServer,
};
pub use login::{Login, PasswordPrompt};
pub use remote::{
    CopyProtocol, Copying, Direction, LocalForward, Remote, RemoteForward, RemoteListener, Task, Tty,
};
pub use sockets::{Bind, BindTo, FamilyLimit, SocketSettings};
#[cfg(feature = "ssh")]
pub use ssh::{IdentityFile, Ssh};
pub use target::Target;
pub(crate) use target::{is_placeholder, placeholder};
pub use tls::{Identity, ServerIdentity, Tls};
pub use token::Token;

mod access;
mod dial;
mod hop;
mod listen_address;
mod local;
mod login;
mod remote;
mod sockets;
#[cfg(feature = "ssh")]
mod ssh;
mod target;
mod tls;
mod token;

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

/// Relay settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// The way in which the relay moves bytes.
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

/// The way in which bytes move between two channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayMode {
    /// With splice(2), if the system and the file descriptors allow it.
    #[default]
    Splice,
    /// With read(2) and write(2).
    Copy,
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
    /// Returns the hops of all routes, and those to the hub.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        let to_hub = match &self.local {
            Local::Origin(settings) => &settings.hops[..],
            _ => &[],
        };
        self.routes.iter().flat_map(|route| &route.hops).chain(to_hub)
    }
}

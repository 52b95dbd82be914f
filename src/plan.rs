//! What a run is to do: plain data, made by `config` from what was typed and from the environment.

use std::time::Duration;

use crate::addr::Endpoint;
use crate::proto::Socks5Method;
use crate::secret::Secret;

/// One run of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where to get to.
    pub target: Endpoint,
    /// The proxies on the way, first one first; none to go directly.
    pub hops: Vec<Hop>,
    /// How long it may take.
    pub limits: Limits,
}

/// A proxy, and how it is asked for the next stage of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where the proxy is.
    pub proxy: Endpoint,
    /// What it speaks.
    pub protocol: Protocol,
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
    /// HTTP CONNECT (RFC 9110 §9.3.6). The proxy gets every name as it was typed.
    Http {
        /// For Basic (RFC 7617).
        login: Login,
    },
}

/// What is known from the start about who we are to a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The user name; `None` is the login name, which is looked up only if it is needed.
    pub user: Option<String>,
    /// The password; `None` is to be asked for, if the proxy wants one.
    pub password: Option<Secret>,
}

/// Who turns the name of the next stage into an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// This machine; a name it does not know is an error.
    Local,
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
    /// those two, and [`Limits::NEGOTIATION`] to each proxy.
    pub reach: Option<Duration>,
}

impl Limits {
    /// For the negotiation with one proxy, unless `-w` says otherwise.
    pub const NEGOTIATION: Duration = Duration::from_secs(30);
}

impl Protocol {
    /// The protocol's name, as users know it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Socks4 { .. } => "SOCKS4",
            Self::Socks5 { .. } => "SOCKS5",
            Self::Http { .. } => "HTTP",
        }
    }

    /// The user name, where another than the login name was given.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Socks4 { user, .. } => user.as_deref(),
            Self::Socks5 { login, .. } | Self::Http { login } => login.user.as_deref(),
        }
    }
}

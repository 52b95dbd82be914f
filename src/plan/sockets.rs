//! Settings for TCP sockets.

use std::fmt;
use std::time::Duration;

use crate::addr::{Family, Host};
use crate::secret::masked;

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

impl Default for SocketSettings {
    fn default() -> Self {
        Self { keep_alive: Some(Self::KEEP_ALIVE_TIME), family: None, bind: None }
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

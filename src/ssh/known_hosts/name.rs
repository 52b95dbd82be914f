//! Names of servers.

/// The port whose host keys are stored under the bare name.
const DEFAULT_PORT: u16 = 22;

/// The name of a server in `known_hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// The host, in lower case.
    host: String,
    /// `[host]:port`, unless the port is the default one.
    with_port: Option<String>,
}

impl HostName {
    /// Returns the name of a server, given the host as the user typed it, without brackets.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        let with_port = (port != DEFAULT_PORT).then(|| format!("[{host}]:{port}"));
        Self { host, with_port }
    }

    /// Returns a name that applies to every port: the `hostkeyalias` of `ssh -G`.
    #[must_use]
    pub fn alias(name: &str) -> Self {
        Self { host: name.to_ascii_lowercase(), with_port: None }
    }

    /// Returns the host in lower case, without the port. Certificates contain this name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the name under which a new key is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.with_port.as_ref().unwrap_or(&self.host)
    }

    /// Returns the name to look up if `[host]:port` has no entry; `None` for the default port.
    pub(super) fn fallback(&self) -> Option<&str> {
        self.with_port.as_ref().map(|_| self.host.as_str())
    }
}

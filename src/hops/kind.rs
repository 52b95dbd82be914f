//! The interface of a kind of hop, and the settings from which it builds a hop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::addr::{Endpoint, Host, Port};
use crate::error::Error;
#[cfg(feature = "ssh")]
use crate::plan::Ssh;
use crate::plan::{Login, PasswordPrompt, Protocol, Resolve, Token};
use crate::proto::{HttpSettings, Socks5Method};
use crate::secret::{SharedKey, UserName, masked};
use crate::token::Claims;

/// A kind of hop, such as SOCKS5.
pub trait HopKind: Sync {
    /// Returns the name for messages.
    fn name(&self) -> &'static str;

    /// Returns the option of the C program that selects this kind, such as `-S`. `None` if only a
    /// URL can.
    fn option(&self) -> Option<&'static str> {
        None
    }

    /// Returns `true` if the hops of this kind send tokens, see [`Settings::token`].
    fn sends_token(&self) -> bool {
        false
    }

    /// Returns `true` if the hops of this kind may have a key for end-to-end encryption, see
    /// [`Settings::key`].
    fn has_key(&self) -> bool {
        false
    }

    /// Returns the schemes that select this kind.
    fn schemes(&self) -> &'static [Scheme];

    /// Builds a hop for a URL with this scheme.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting is invalid.
    fn build(&self, scheme: &Scheme, settings: &mut dyn Settings) -> Result<Arc<dyn Protocol>, Error>;
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn HopKind + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A URL scheme, as in `socks5h://socks.example`.
#[derive(Debug)]
pub struct Scheme {
    /// The name, in lower case.
    pub name: &'static str,
    /// The port of a URL without one.
    pub default_port: Port,
    /// The use of TLS below the protocol.
    pub tls: UseTls,
    /// The default place to resolve names, for protocols with a choice.
    pub resolve: Resolve,
    /// The path and the query of the URL are for the server, so the hop's options follow `#`
    /// instead of `?`. The URL has no user name or password.
    pub has_path: bool,
}

/// The use of TLS by the hops of a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseTls {
    /// Never.
    Never,
    /// With `+tls` after the scheme.
    WithSuffix,
    /// Always.
    Always,
}

impl Scheme {
    /// Creates a scheme without TLS whose names are resolved at the proxy.
    pub(super) const fn new(name: &'static str, default_port: u16) -> Self {
        let default_port = match Port::new(default_port) {
            Some(port) => port,
            None => Port::MIN,
        };
        Self { name, default_port, tls: UseTls::Never, resolve: Resolve::Remote, has_path: false }
    }

    /// Sets the use of TLS.
    pub(super) const fn tls(self, tls: UseTls) -> Self {
        Self { tls, ..self }
    }

    /// Keeps the path and the query for the server.
    pub(super) const fn with_path(self) -> Self {
        Self { has_path: true, ..self }
    }

    /// Sets the default place to resolve names.
    pub(super) const fn resolving(self, resolve: Resolve) -> Self {
        Self { resolve, ..self }
    }
}

/// The parameters that can hold the user name and password for a kind of hop, in order of
/// precedence.
#[derive(Debug)]
pub struct LoginParameters {
    /// Parameters with a user name.
    pub users: &'static [&'static str],
    /// Parameters with a password; empty for a protocol that cannot send one.
    pub passwords: &'static [&'static str],
}

/// The settings for a hop: options in its URL take precedence over the command line, and the
/// command line over parameters.
pub trait Settings {
    /// Takes an option from the URL.
    fn url_option(&mut self, name: &'static str) -> Option<String>;

    /// Returns the address in the URL; `None` for a UNIX-domain socket.
    fn address(&self) -> Option<Endpoint>;

    /// Returns the path and the query of the URL, for a scheme [with them](Scheme::has_path). The
    /// path begins with `/`.
    fn path(&self) -> &str;

    /// Returns the error for a part of the URL that is invalid. `what` must not quote text that may
    /// be secret.
    fn invalid(&self, what: String) -> Error;

    /// Returns the user name and password from the URL, with missing parts filled in.
    ///
    /// # Errors
    /// A password could not be read.
    fn login(&mut self, parameters: &LoginParameters) -> Result<Login, Error>;

    /// Returns where to resolve the next hop's name. `parameter` is the parameter for this kind.
    ///
    /// # Errors
    /// The value is invalid.
    fn resolve(&mut self, parameter: &'static str, default: Resolve) -> Result<Resolve, Error>;

    /// Returns the authentication methods that `-a` and its parameters name; `None` for the
    /// default.
    ///
    /// # Errors
    /// A method is unknown.
    fn socks5_methods(&mut self) -> Result<Option<Vec<Socks5Method>>, Error>;

    /// Returns the settings for HTTP: headers, version and authentication schemes.
    ///
    /// # Errors
    /// A header or scheme is invalid, or could leak to another proxy.
    fn http(&mut self) -> Result<HttpSettings, Error>;

    /// Returns the token for the server: that of `token-file=` in the URL or, if this is the last
    /// hop of the route that [sends](HopKind::sends_token) one, that of the run.
    ///
    /// # Errors
    /// The token cannot be read, or a URL contains it.
    fn token(&mut self) -> Result<Option<Token>, Error>;

    /// Returns the value of `--keepalive`, the time without input before a Ping; `None` for no
    /// Pings.
    ///
    /// # Errors
    /// The value is invalid.
    fn keep_alive(&self) -> Result<Option<Duration>, Error>;

    /// Returns the value of `--resume`, the time for which a tunnel survives without a connection.
    ///
    /// # Errors
    /// The value is invalid.
    fn resume(&self) -> Result<Duration, Error>;

    /// Returns the value of `--window`, the limit of the bytes that may be on their way.
    ///
    /// # Errors
    /// The value is invalid.
    fn window(&self) -> Result<u32, Error>;

    /// Returns the key for the end-to-end encryption: that of `key-file=` in the URL or, if this is
    /// the last hop of the route that [may have](HopKind::has_key) one, that of the run.
    ///
    /// # Errors
    /// The key cannot be read or is invalid, or a URL contains it.
    fn key(&mut self) -> Result<Option<SharedKey>, Error>;

    /// Returns the settings for a login at an SSH server.
    ///
    /// # Errors
    /// A value is invalid.
    #[cfg(feature = "ssh")]
    fn ssh(&mut self) -> Result<Ssh, Error> {
        Err(self.invalid("it has no settings for SSH".into()))
    }

    /// Returns the value of `-c`.
    fn telnet_command(&self) -> Option<String>;
}

/// Returns the value of `Host`, without the default port of the scheme.
pub(super) fn host_field(address: &Endpoint, scheme: &Scheme) -> String {
    if address.port != scheme.default_port {
        return address.to_string();
    }
    match &address.host {
        Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        host => host.to_string(),
    }
}

/// Describes the user name, for `--check`.
pub(super) fn user_fact(user: Option<&UserName>) -> (&'static str, String) {
    let name = user.map_or_else(|| "login name".into(), |user| masked(&user.to_string()).into_owned());
    ("user", name)
}

/// Describes where the password for `peer` comes from, for `--check`.
pub(super) fn password_fact(login: &Login, peer: &str) -> (&'static str, String) {
    let source = match (&login.password, &login.ask) {
        (Some(_), _) => "configured".into(),
        (None, PasswordPrompt::User) => format!("prompted for if the {peer} requests one"),
        (None, PasswordPrompt::Command { source, .. }) => {
            format!("from the command in {source} if the {peer} requests one")
        }
    };
    ("password", source)
}

/// Describes the token, for `--check`.
pub(super) fn token_fact(token: Option<&Token>) -> (&'static str, String) {
    let fact = token.map_or_else(
        || "none".into(),
        |token| {
            Claims::unverified(token.value.expose()).map_or_else(|| "configured".into(), |it| it.to_string())
        },
    );
    ("token", fact)
}

/// Describes the end-to-end encryption, for `--check`.
pub(super) fn key_fact(key: Option<&SharedKey>) -> (&'static str, String) {
    ("end-to-end key", if key.is_some() { "configured" } else { "none" }.into())
}

/// Describes where names are resolved, for `--check`.
pub(super) fn names_fact(resolve: Resolve) -> (&'static str, String) {
    let place = match resolve {
        Resolve::Local => "resolved here".into(),
        Resolve::Server(server) => format!("resolved here by name server {server}"),
        Resolve::LocalFirst | Resolve::Both => "resolved here, or by the proxy if that fails".into(),
        Resolve::Remote => "resolved by the proxy".into(),
    };
    ("names", place)
}

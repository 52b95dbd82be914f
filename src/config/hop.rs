//! Builds a hop from a proxy's URL: protocol, user and password, name resolution and TLS.

use std::net::SocketAddr;
use std::time::Duration;

use super::password;
use super::proxy_url::ProxyUrl;
use super::scheme::{Selection, Syntax};
use super::sources::Sources;
#[cfg(feature = "ssh")]
use super::ssh;
use super::{access, auth, http, key, tls, token};
use crate::addr::{Endpoint, Host, Port, parse_port, split_port};
use crate::cli::{Args, SocksVersion};
use crate::error::Error;
use crate::hops::{LoginParameters, Settings};
use crate::plan::{Hop, Login, PasswordPrompt, Resolve, Target, Token};
use crate::proto::{HttpSettings, Socks5Method};
use crate::secret::{self, SharedKey};

/// The default port of a DNS server.
const DNS_PORT: u16 = 53;

/// The size of the chain that a hop belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainSize {
    pub(super) proxies: usize,
    pub(super) http_proxies: usize,
    /// `true` for the last hop of the route that sends a token: the token of the run is for it.
    pub(super) gets_token: bool,
    /// `true` for the last hop of the route that may have a key: the key of the run is for it.
    pub(super) gets_key: bool,
}

impl ChainSize {
    /// A proxy that is not part of a longer chain.
    pub(super) const SINGLE: Self = Self { proxies: 1, http_proxies: 1, gets_token: true, gets_key: true };
}

/// Builds the hop for a proxy, whether it was given by `-S`, `-H`, `-T`, `-x` or a variable.
///
/// Options in the URL take precedence over the command line, and the command line over parameters.
/// In a chain of several proxies, a proxy gets its user name and password from parameters only if
/// its URL names a user. Otherwise one proxy could receive another's password.
pub(super) fn from_url(
    mut url: ProxyUrl,
    chain: ChainSize,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Hop, Error> {
    let tls = url.selection.has_tls.then(|| tls::for_proxy(&mut url.query, args, sources)).transpose()?;
    let login_sources = (chain.proxies == 1 || url.user.is_some()).then_some(sources);
    let selection = match url.syntax {
        Syntax::Socks => with_version(url.selection, args.socks_version),
        _ => url.selection,
    };
    let ChainSize { http_proxies, gets_token, gets_key, .. } = chain;
    let mut settings = HopSettings { url, http_proxies, gets_token, gets_key, args, sources, login_sources };
    let protocol = selection.kind.build(selection.scheme, &mut settings)?;
    let url = settings.url;
    url.expect_no_more_options()?;
    Ok(Hop { proxy: url.target(), protocol, tls })
}

/// Applies `-4` or `-5`, which override the version in the scheme.
///
/// With `-S`, SOCKS5 resolves names at the proxy regardless of the scheme, as in the C program.
fn with_version(selection: Selection, version: Option<SocksVersion>) -> Selection {
    let is_version_4 = selection.scheme.name.starts_with("socks4");
    match version {
        None | Some(SocksVersion::V4) if is_version_4 => selection,
        Some(SocksVersion::V4) => Selection::of("socks4"),
        _ => Selection::of("socks"),
    }
}

/// The settings for the hop that a URL describes.
struct HopSettings<'a> {
    url: ProxyUrl,
    /// The number of HTTP proxies in the chain.
    http_proxies: usize,
    /// The token of the run is for this hop.
    gets_token: bool,
    /// The key of the run is for this hop.
    gets_key: bool,
    args: &'a Args,
    sources: &'a Sources<'a>,
    /// The sources of missing parts of the login; `None` if the URL must have all of it.
    login_sources: Option<&'a Sources<'a>>,
}

impl Settings for HopSettings<'_> {
    fn url_option(&mut self, name: &'static str) -> Option<String> {
        self.url.query.take(name)
    }

    fn address(&self) -> Option<Endpoint> {
        match self.url.target() {
            Target::Tcp(address) => Some(address),
            Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => None,
        }
    }

    fn path(&self) -> &str {
        &self.url.path
    }

    fn invalid(&self, what: String) -> Error {
        Error::Config(format!("invalid proxy in {}: {what}", self.url.source))
    }

    fn login(&mut self, parameters: &LoginParameters) -> Result<Login, Error> {
        let Self { url, args, .. } = self;
        let ask = PasswordPrompt::User;
        let mut login = Login { user: url.user.take(), password: url.password.take(), ask };
        if let Some(sources) = self.login_sources {
            if login.user.is_none() {
                login.user = sources.user(parameters.users);
            }
            // A protocol without password parameters cannot send a password, so do not look for
            // one.
            if !parameters.passwords.is_empty() {
                password::complete(&mut login, &url.target().host(), parameters.passwords, args, sources)?;
            }
        }
        Ok(login)
    }

    fn resolve(&mut self, parameter: &'static str, default: Resolve) -> Result<Resolve, Error> {
        resolve(&mut self.url, parameter, default, self.args, self.sources)
    }

    fn socks5_methods(&mut self) -> Result<Option<Vec<Socks5Method>>, Error> {
        auth::methods(&mut self.url, self.args, self.sources)
    }

    fn http(&mut self) -> Result<HttpSettings, Error> {
        http::settings(&mut self.url, self.http_proxies, self.args, self.sources)
    }

    fn token(&mut self) -> Result<Option<Token>, Error> {
        let token = token::for_hop(&mut self.url, self.gets_token, self.args, self.sources)?;
        if token.is_some() && !self.url.selection.has_tls && !is_on_this_machine(&self.url.target()) {
            (self.sources.warn())(&format!(
                "warning: the token for {}://{} is sent unencrypted; use a server with TLS",
                self.url.selection.scheme.name,
                self.url.target()
            ));
        }
        Ok(token)
    }

    fn resume(&self) -> Result<Duration, Error> {
        access::resume(self.args, self.sources)
    }

    fn keep_alive(&self) -> Result<Option<Duration>, Error> {
        access::keep_alive(self.args, self.sources)
    }

    #[cfg(feature = "ssh")]
    fn ssh(&mut self) -> Result<crate::plan::Ssh, Error> {
        ssh::for_hop(&mut self.url, self.args, self.sources)
    }

    fn window(&self) -> Result<u32, Error> {
        access::window(self.args, self.sources)
    }

    fn key(&mut self) -> Result<Option<SharedKey>, Error> {
        key::for_hop(&mut self.url, self.gets_key, self.args, self.sources)
    }

    fn telnet_command(&self) -> Option<String> {
        self.args.telnet_command.clone()
    }
}

/// Returns `true` if no network can carry what is sent to this address.
fn is_on_this_machine(target: &Target) -> bool {
    match target {
        Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => true,
        Target::Tcp(Endpoint { host: Host::Ip(ip), .. }) => ip.to_canonical().is_loopback(),
        Target::Tcp(Endpoint { host: Host::Name(name), .. }) => name.is_localhost(),
    }
}

/// Returns where to resolve the next hop's name. Checks `resolve=` in the URL, then `-R`, then the
/// parameters (unless the proxy is given as a URL), and falls back to the scheme's default.
fn resolve(
    url: &mut ProxyUrl,
    parameter: &'static str,
    default: Resolve,
    args: &Args,
    sources: &Sources<'_>,
) -> Result<Resolve, Error> {
    if let Some(value) = url.query.take("resolve") {
        // Do not quote the value: it may be part of a password that was not percent-encoded.
        return parse_resolve(&value, "resolve=").map_err(|_| {
            Error::Config(format!(
                "invalid proxy in {}: invalid resolve= value; use {RESOLVE_VALUES}",
                url.source
            ))
        });
    }
    let parameters = [parameter, "SOCKS_RESOLVE"];
    let parameters = if url.syntax == Syntax::Url { &[][..] } else { &parameters };
    match sources.option_or("-R", args.resolve.as_ref(), parameters)? {
        Some(setting) => parse_resolve(&setting.value, &setting.source()),
        None => Ok(default),
    }
}

const RESOLVE_VALUES: &str = "local, remote, both or the address of a DNS server";

/// Parses the value of `-R` or of a `*_RESOLVE` parameter.
pub(super) fn parse_resolve(value: &str, source: &str) -> Result<Resolve, Error> {
    match value.to_ascii_lowercase().as_str() {
        "local" => Ok(Resolve::Local),
        "remote" => Ok(Resolve::Remote),
        "both" => Ok(Resolve::Both),
        _ => match name_server(value) {
            Some(server) if cfg!(feature = "dns") => Ok(Resolve::Server(server)),
            Some(_) => Err(Error::Config(format!(
                "{source}: cannot query DNS server {value}: this build has no DNS client; use local, remote or both"
            ))),
            None => Err(Error::Config(format!(
                "invalid value '{}' for {source}; use {RESOLVE_VALUES}",
                secret::masked(value)
            ))),
        },
    }
}

/// Parses an IP address with an optional port.
fn name_server(value: &str) -> Option<SocketAddr> {
    let (host, port) = split_port(value);
    let Ok(Host::Ip(ip)) = Host::parse(host) else { return None };
    let port = port.map_or(Some(DNS_PORT), |port| parse_port(port).map(Port::get))?;
    Some(SocketAddr::new(ip, port))
}

//! Builds a hop from a proxy's URL: protocol, user and password, name resolution and TLS.

use std::net::SocketAddr;

use super::password;
use super::proxy_url::ProxyUrl;
use super::scheme::{ProxyKind, Syntax};
use super::sources::Sources;
use super::{auth, http, tls};
use crate::addr::{Host, Port, parse_port, split_port};
use crate::cli::{Args, SocksVersion};
use crate::error::Error;
use crate::plan::{Hop, Login, PasswordPrompt, Protocol, Resolve};
use crate::proto::TELNET_COMMAND;
use crate::secret;

/// The default port of a DNS server.
const DNS_PORT: u16 = 53;

/// The parameters that can hold the user name and password for one kind of proxy, in order of
/// precedence.
struct LoginParameters {
    users: &'static [&'static str],
    passwords: &'static [&'static str],
}

const HTTP: LoginParameters = LoginParameters {
    users: &["HTTP_PROXY_USER", "CONNECT_USER"],
    passwords: &["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"],
};
const SOCKS5: LoginParameters = LoginParameters {
    users: &["SOCKS5_USER", "SOCKS_USER", "CONNECT_USER"],
    passwords: &["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"],
};
const SOCKS4: LoginParameters =
    LoginParameters { users: &["SOCKS4_USER", "SOCKS_USER", "CONNECT_USER"], passwords: &[] };
const TELNET: LoginParameters = LoginParameters { users: &["CONNECT_USER"], passwords: &[] };

/// The size of the chain that a hop belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainSize {
    pub(super) proxies: usize,
    pub(super) http_proxies: usize,
}

impl ChainSize {
    /// A proxy that is not part of a longer chain.
    pub(super) const SINGLE: Self = Self { proxies: 1, http_proxies: 1 };
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
    let tls = url.scheme.has_tls.then(|| tls::for_proxy(&mut url.query, args, sources)).transpose()?;
    let login_sources = (chain.proxies == 1 || url.user.is_some()).then_some(sources);
    let kind = match url.syntax {
        Syntax::Socks => with_version(url.scheme.kind, args.socks_version),
        _ => url.scheme.kind,
    };
    let protocol = match kind {
        ProxyKind::Socks4(default) => {
            let resolve = resolve(&mut url, "SOCKS4_RESOLVE", default, args, sources)?;
            let Login { user, .. } = login(&mut url, &SOCKS4, args, login_sources)?;
            Protocol::Socks4 { user, resolve }
        }
        ProxyKind::Socks5(default) => {
            let resolve = resolve(&mut url, "SOCKS5_RESOLVE", default, args, sources)?;
            let methods = auth::methods(&mut url, args, sources)?;
            Protocol::Socks5 { resolve, methods, login: login(&mut url, &SOCKS5, args, login_sources)? }
        }
        ProxyKind::Telnet => {
            let command = url.query.take("command").or_else(|| args.telnet_command.clone());
            let command = command.unwrap_or_else(|| TELNET_COMMAND.into());
            let Login { user, .. } = login(&mut url, &TELNET, args, login_sources)?;
            Protocol::Telnet { command, user }
        }
        ProxyKind::Http => {
            let settings = http::settings(&mut url, chain.http_proxies, args, sources)?;
            Protocol::Http { login: login(&mut url, &HTTP, args, login_sources)?, settings }
        }
    };
    url.expect_no_more_options()?;
    Ok(Hop { proxy: url.target(), protocol, tls })
}

/// Applies `-4` or `-5`, which override the version in the scheme.
///
/// With `-S`, SOCKS5 resolves names at the proxy regardless of the scheme, as in the C program.
fn with_version(kind: ProxyKind, version: Option<SocksVersion>) -> ProxyKind {
    match (version, kind) {
        (None | Some(SocksVersion::V4), ProxyKind::Socks4(_)) => kind,
        (Some(SocksVersion::V4), _) => ProxyKind::Socks4(Resolve::LocalFirst),
        _ => ProxyKind::Socks5(Resolve::Remote),
    }
}

/// Returns the user name and password from the URL, with missing parts filled in from `sources`.
fn login(
    url: &mut ProxyUrl,
    parameters: &LoginParameters,
    args: &Args,
    sources: Option<&Sources<'_>>,
) -> Result<Login, Error> {
    let mut login = Login { user: url.user.take(), password: url.password.take(), ask: PasswordPrompt::User };
    if let Some(sources) = sources {
        if login.user.is_none() {
            login.user = sources.user(parameters.users);
        }
        // A protocol without password parameters cannot send a password, so do not look for one.
        if !parameters.passwords.is_empty() {
            password::complete(&mut login, &url.target().host(), parameters.passwords, args, sources)?;
        }
    }
    Ok(login)
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

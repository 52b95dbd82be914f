//! One proxy: what it speaks, who we are to it, and who resolves names.

use std::net::SocketAddr;

use super::password;
use super::sources::Sources;
use super::spec::Spec;
use super::{auth, request, tls};
use crate::addr::{Host, Port, parse_port, split_port};
use crate::cli::{Args, SocksVersion};
use crate::error::Error;
use crate::plan::{Hop, Login, PasswordPrompt, Protocol, Resolve};
use crate::proto::TELNET_COMMAND;
use crate::secret;

/// Where a name server listens unless its port is given.
const DNS_PORT: u16 = 53;

/// The variables that say who we are to proxies of one kind, the first one first.
pub(super) struct Names {
    users: &'static [&'static str],
    passwords: &'static [&'static str],
}

pub(super) const HTTP: Names = Names {
    users: &["HTTP_PROXY_USER", "CONNECT_USER"],
    passwords: &["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"],
};
pub(super) const SOCKS5: Names = Names {
    users: &["SOCKS5_USER", "SOCKS_USER", "CONNECT_USER"],
    passwords: &["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"],
};
pub(super) const SOCKS4: Names =
    Names { users: &["SOCKS4_USER", "SOCKS_USER", "CONNECT_USER"], passwords: &[] };
pub(super) const TELNET: Names = Names { users: &["CONNECT_USER"], passwords: &[] };

/// Who we are: what the specification says counts before what `sources` say of all proxies.
pub(super) fn login(
    spec: &mut Spec,
    names: &Names,
    typed: &Args,
    sources: Option<&Sources<'_>>,
) -> Result<Login, Error> {
    let mut login =
        Login { user: spec.user.take(), password: spec.password.take(), ask: PasswordPrompt::User };
    if let Some(sources) = sources {
        if login.user.is_none() {
            login.user = sources.first(names.users)?;
        }
        // Where a protocol has no password nobody is asked for it.
        if !names.passwords.is_empty() {
            password::complete(&mut login, &spec.host.to_string(), names.passwords, typed, sources)?;
        }
    }
    Ok(login)
}

/// The proxy of `-T` or `-t`.
pub(super) fn telnet(mut spec: Spec, typed: &Args, sources: &Sources<'_>) -> Result<Hop, Error> {
    let command = typed.telnet_command.clone().unwrap_or_else(|| TELNET_COMMAND.into());
    let Login { user, .. } = login(&mut spec, &TELNET, typed, Some(sources))?;
    Ok(Hop { proxy: spec.endpoint(23)?, protocol: Protocol::Telnet { command, user }, tls: None })
}

/// The proxy of `-H` or `-h`.
pub(super) fn http(mut spec: Spec, typed: &Args, sources: &Sources<'_>) -> Result<Hop, Error> {
    let has_tls = spec.scheme == Some("https");
    let tls = has_tls.then(|| tls::settings(&mut spec.query, typed, sources)).transpose()?;
    let login = login(&mut spec, &HTTP, typed, Some(sources))?;
    let settings = request::settings(None, "-a", typed, sources)?;
    let proxy = spec.endpoint(if has_tls { 443 } else { 80 })?;
    Ok(Hop { proxy, protocol: Protocol::Http { login, settings }, tls })
}

/// The proxy of `-S` or `-s`. A scheme says which version it speaks, and who resolves names in version 4.
pub(super) fn socks(mut spec: Spec, typed: &Args, sources: &Sources<'_>) -> Result<Hop, Error> {
    let version = typed.socks_version.unwrap_or(match spec.scheme {
        Some("socks4" | "socks4a") => SocksVersion::V4,
        _ => SocksVersion::V5,
    });
    let own_resolve = match version {
        SocksVersion::V4 => "SOCKS4_RESOLVE",
        SocksVersion::V5 => "SOCKS5_RESOLVE",
    };
    let names = [own_resolve, "SOCKS_RESOLVE"];
    let resolve = match sources.typed_or("-R", typed.resolve.as_ref(), &names)? {
        Some(found) => parse_resolve(&found.value, &found.source())?,
        None => match (version, spec.scheme) {
            (SocksVersion::V4, Some("socks4a")) | (SocksVersion::V5, _) => Resolve::Remote,
            (SocksVersion::V4, _) => Resolve::LocalFirst,
        },
    };
    let protocol = match version {
        SocksVersion::V4 => {
            let Login { user, .. } = login(&mut spec, &SOCKS4, typed, Some(sources))?;
            Protocol::Socks4 { user, resolve }
        }
        SocksVersion::V5 => {
            let methods = auth::methods(None, "-a", typed, sources)?;
            Protocol::Socks5 { resolve, methods, login: login(&mut spec, &SOCKS5, typed, Some(sources))? }
        }
    };
    Ok(Hop { proxy: spec.endpoint(1080)?, protocol, tls: None })
}

pub(super) fn parse_resolve(word: &str, source: &str) -> Result<Resolve, Error> {
    match word.to_ascii_lowercase().as_str() {
        "local" => Ok(Resolve::Local),
        "remote" => Ok(Resolve::Remote),
        "both" => Ok(Resolve::Both),
        _ => match name_server(word) {
            Some(server) if cfg!(feature = "dns") => Ok(Resolve::Server(server)),
            Some(_) => Err(Error::Config(format!(
                "{source} names {word}, and this build has no DNS client to ask it with"
            ))),
            None => Err(Error::Config(format!(
                "{source} takes local, remote, both or the address of a name server, not '{}'",
                secret::masked(word)
            ))),
        },
    }
}

/// An address, with or without a port.
fn name_server(word: &str) -> Option<SocketAddr> {
    let (host, port) = split_port(word);
    let Ok(Host::Ip(ip)) = Host::parse(host) else { return None };
    let port = port.map_or(Some(DNS_PORT), |port| parse_port(port).map(Port::get))?;
    Some(SocketAddr::new(ip, port))
}

//! What was typed, and what the environment adds to it, made into a plan.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use crate::addr::{AddrError, Endpoint, Host, Port, parse_port, split_port};
use crate::cli::{Method, SocksVersion, Typed};
use crate::direct::DirectList;
use crate::error::Error;
use crate::plan::{Bypass, Carry, Hop, Limits, Login, Plan, Protocol, Relay, Resolve, Target};
use crate::proto::{Socks5Method, TELNET_COMMAND};
use crate::secret;
use crate::sys;
use spec::Spec;

mod direct;
mod local;
mod rcfile;
mod service;
mod sources;
mod spec;

pub use sources::Sources;

/// Where a name server listens unless its port is given.
const DNS_PORT: u16 = 53;

impl From<AddrError> for Error {
    fn from(error: AddrError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Makes the plan. Of the sources only those parameters are asked for that matter to it.
///
/// # Errors
/// [`Error::Usage`]: a word or a parameter makes no sense, or the proxy to be used is named nowhere.
pub fn plan(typed: &Typed, sources: &Sources<'_>) -> Result<Plan, Error> {
    let reach = seconds(typed.wait.as_deref(), "-w")?;
    let idle = seconds(typed.idle_timeout.as_deref(), "--idle-timeout")?;
    let resolve = typed.resolve.as_deref().map(|word| parse_resolve(word, "-R")).transpose()?;
    let direct = Plan {
        local: local::local(typed)?,
        target: target(typed)?,
        hops: Vec::new(),
        bypass: Bypass::default(),
        name_server: resolve.and_then(Resolve::server),
        askpass: None,
        limits: Limits { reach },
        eager: typed.eager,
        relay: Relay { carry: carry(sources)?, idle },
    };
    let Some(hop) = hop(typed, sources)? else { return Ok(direct) };
    if let Target::Unix(_) = direct.target {
        return Err(Error::Usage(format!("{} is on this machine: no proxy can reach it", direct.target)));
    }
    Ok(Plan {
        bypass: bypass(&hop.protocol, typed, sources)?,
        name_server: hop.protocol.resolve().or(resolve).and_then(Resolve::server),
        askpass: sources.askpass(),
        hops: vec![hop],
        ..direct
    })
}

/// Overwrites the passwords in the words and the variables that the process was started with. To be called when they
/// have been read, and before there are threads.
pub fn conceal_passwords() {
    sys::conceal(secret::in_word, |variable| {
        let end = variable.iter().position(|&byte| byte == b'=').unwrap_or(variable.len());
        let (name, value) = variable.split_at(end);
        let Some(value) = value.get(1..) else { return 0..0 };
        let password = secret::in_variable(name, value);
        end + 1 + password.start..end + 1 + password.end
    });
}

/// The proxy, if there is one.
fn hop(typed: &Typed, sources: &Sources<'_>) -> Result<Option<Hop>, Error> {
    Ok(Some(match &typed.method {
        Method::Direct => return Ok(None),
        Method::Http(word) => http(Spec::parse(word, "-H", &spec::HTTP)?, sources)?,
        Method::HttpFromEnvironment => http(sources.http_proxy()?, sources)?,
        Method::Socks(word) => socks(Spec::parse(word, "-S", &spec::SOCKS)?, typed, sources)?,
        Method::SocksFromEnvironment => socks(sources.socks_proxy(typed.socks_version)?, typed, sources)?,
        Method::Telnet(word) => telnet(Spec::parse(word, "-T", &spec::TELNET)?, typed, sources)?,
        Method::TelnetFromEnvironment => telnet(sources.telnet_proxy()?, typed, sources)?,
    }))
}

/// `CONNECT_RELAY`, in the environment only: no file is read for its sake.
fn carry(sources: &Sources<'_>) -> Result<Carry, Error> {
    match sources.variable("CONNECT_RELAY").as_deref().map(OsStr::as_encoded_bytes) {
        None | Some(b"" | b"splice") => Ok(Carry::Splice),
        Some(b"copy") => Ok(Carry::Copy),
        Some(_) => Err(Error::Usage("CONNECT_RELAY takes splice or copy".into())),
    }
}

/// The direct list: that of the protocol, or the one for all; then what `no_proxy` adds.
fn bypass(protocol: &Protocol, typed: &Typed, sources: &Sources<'_>) -> Result<Bypass, Error> {
    let names: &[&str] = match protocol {
        Protocol::Socks4 { .. } => &["SOCKS4_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"],
        Protocol::Socks5 { .. } => &["SOCKS5_DIRECT", "SOCKS_DIRECT", "CONNECT_DIRECT"],
        Protocol::Http { .. } => &["HTTP_DIRECT", "CONNECT_DIRECT"],
        Protocol::Telnet { .. } => &["CONNECT_DIRECT"],
    };
    let mut list = DirectList::default();
    if let Some((name, words)) = sources.first_named(names)? {
        list.append(direct::parse(&words, name, sources.warn()));
    }
    if let Some(words) = sources.first(&["no_proxy", "NO_PROXY"])? {
        list.append(direct::parse_no_proxy(&words));
    }
    Ok(Bypass { list, own_networks: typed.own_networks })
}

/// The port is the second word, or stands in the first word or in the program's name, in this order.
fn target(typed: &Typed) -> Result<Target, Error> {
    if let Some(path) = typed.host.strip_prefix("unix:") {
        return match (path, &typed.port) {
            ("", _) => Err(Error::Usage("no path after unix:".into())),
            (_, Some(port)) => {
                Err(Error::Usage(format!("a socket has no port, and '{port}' stands after {}", typed.host)))
            }
            (path, None) => Ok(Target::Unix(path.into())),
        };
    }
    for word in [Some(&typed.host), typed.port.as_ref()].into_iter().flatten() {
        expect_no_proxy(word)?;
    }
    let (host, in_word) = split_port(&typed.host);
    let host = Host::parse(host)?;
    if let (Some(port), Some(other)) = (&typed.port, in_word) {
        return Err(Error::Usage(format!("two ports for {host}: {other} and {port}")));
    }
    let port = typed.port.as_deref().or(in_word).or(typed.name_port.as_deref());
    let port = port.ok_or_else(|| Error::Usage(format!("no port given for {host}")))?;
    Ok(Target::Tcp(Endpoint { host, port: service::port_or_service(port)? }))
}

/// Whoever forgets `-S` has typed a password here.
fn expect_no_proxy(word: &str) -> Result<(), Error> {
    match secret::masked(word) {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(word) => Err(Error::Usage(format!("'{word}' is a proxy: name it with -S or -H"))),
    }
}

fn telnet(spec: Spec, typed: &Typed, sources: &Sources<'_>) -> Result<Hop, Error> {
    let command = typed.telnet_command.clone().unwrap_or_else(|| TELNET_COMMAND.into());
    let proxy = spec.endpoint(23)?;
    let user = spec.user.or(sources.first(&["CONNECT_USER"])?);
    Ok(Hop { proxy, protocol: Protocol::Telnet { command, user } })
}

fn http(spec: Spec, sources: &Sources<'_>) -> Result<Hop, Error> {
    if spec.scheme == Some("https") {
        return Err(Error::Usage(
            "TLS to the proxy (https://) is not supported; use an http:// proxy".into(),
        ));
    }
    let proxy = spec.endpoint(80)?;
    let login = Login {
        user: spec.user.or(sources.first(&["HTTP_PROXY_USER", "CONNECT_USER"])?),
        password: spec.password.or_else(|| sources.secret(&["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"])),
    };
    Ok(Hop { proxy, protocol: Protocol::Http { login } })
}

fn socks(spec: Spec, typed: &Typed, sources: &Sources<'_>) -> Result<Hop, Error> {
    let version = typed.socks_version.unwrap_or(match spec.scheme {
        Some("socks4" | "socks4a") => SocksVersion::V4,
        _ => SocksVersion::V5,
    });
    let proxy = spec.endpoint(1080)?;
    let (own_resolve, own_user) = match version {
        SocksVersion::V4 => ("SOCKS4_RESOLVE", "SOCKS4_USER"),
        SocksVersion::V5 => ("SOCKS5_RESOLVE", "SOCKS5_USER"),
    };
    let resolve = match (&typed.resolve, sources.first_named(&[own_resolve, "SOCKS_RESOLVE"])?) {
        (Some(word), _) => parse_resolve(word, "-R")?,
        (None, Some((name, word))) => parse_resolve(&word, name)?,
        (None, None) => match (version, spec.scheme) {
            (SocksVersion::V4, Some("socks4a")) | (SocksVersion::V5, _) => Resolve::Remote,
            (SocksVersion::V4, _) => Resolve::LocalFirst,
        },
    };
    let user = spec.user.or(sources.first(&[own_user, "SOCKS_USER", "CONNECT_USER"])?);
    let protocol = match version {
        SocksVersion::V4 => Protocol::Socks4 { user, resolve },
        SocksVersion::V5 => {
            let methods = match (&typed.auth, sources.first_named(&["SOCKS5_AUTH"])?) {
                (Some(list), _) => Some(parse_methods(list, "-a")?),
                (None, Some((name, list))) => Some(parse_methods(&list, name)?),
                (None, None) => None,
            };
            let names = ["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"];
            let password = spec.password.or_else(|| sources.secret(&names));
            Protocol::Socks5 { resolve, methods, login: Login { user, password } }
        }
    };
    Ok(Hop { proxy, protocol })
}

fn parse_resolve(word: &str, source: &str) -> Result<Resolve, Error> {
    match word.to_ascii_lowercase().as_str() {
        "local" => Ok(Resolve::Local),
        "remote" => Ok(Resolve::Remote),
        "both" => Ok(Resolve::Both),
        _ => match name_server(word) {
            Some(server) if cfg!(feature = "dns") => Ok(Resolve::Server(server)),
            Some(_) => Err(Error::Usage(format!(
                "{source} names {word}, and this build has no DNS client to ask it with"
            ))),
            None => Err(Error::Usage(format!(
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

fn parse_methods(list: &str, source: &str) -> Result<Vec<Socks5Method>, Error> {
    list.split(',')
        .map(|word| match word.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Socks5Method::None),
            "userpass" => Ok(Socks5Method::UserPass),
            known @ ("gssapi" | "chap") => Err(Error::Usage(format!(
                "{source} names {known}, which we cannot carry out; use none or userpass"
            ))),
            other => Err(Error::Usage(format!(
                "{source} takes none and userpass, not '{}'",
                secret::masked(other)
            ))),
        })
        .collect()
}

/// A number of seconds; none for 0, as in the C program.
fn seconds(word: Option<&str>, option: &str) -> Result<Option<Duration>, Error> {
    let Some(word) = word else { return Ok(None) };
    let seconds = word.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.ok_or_else(|| {
        Error::Usage(format!("{option} takes a number of seconds, not '{}'", secret::masked(word)))
    })?;
    Ok(Some(seconds).filter(|seconds| !seconds.is_zero()))
}

#[cfg(test)]
mod tests;

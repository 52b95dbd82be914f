//! What was typed, and what the environment adds to it, made into a plan.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::time::Duration;

use crate::addr::{AddrError, Endpoint, Host, split_port};
use crate::cli::{Args, ProxyArg, Verbosity};
use crate::error::Error;
use crate::plan::{Limits, Plan, RelayMode, RelaySettings, Route, Target};
use crate::proto::ProxyProtocol;
use crate::secret;
use crate::sys;
use spec::Spec;

mod auth;
mod auto;
mod bypass;
mod chain;
mod conditions;
mod hop;
mod local;
mod netrc;
mod origin;
mod password;
mod query;
mod rcfile;
mod request;
mod service;
mod sources;
mod spec;
mod surroundings;
mod tls;

pub use origin::{Origin, Record};
pub use sources::Sources;

impl From<AddrError> for Error {
    fn from(error: AddrError) -> Self {
        Self::Config(error.to_string())
    }
}

/// Makes the plan. Of the sources only those parameters are asked for that matter to it.
///
/// # Errors
/// [`Error::Usage`] if options conflict or an operand is missing, [`Error::Config`] if a setting is invalid or missing.
pub fn plan(typed: &Args, sources: &Sources<'_>) -> Result<Plan, Error> {
    let reach = seconds(typed.wait.as_deref(), "-w")?;
    let idle = seconds(typed.idle_timeout.as_deref(), "--idle-timeout")?;
    let target = target(typed)?;
    sources.head_for(&target, reach);
    let direct = Plan {
        local: local::local(typed, sources)?,
        routes: routes(typed, &target, sources)?,
        target,
        askpass: None,
        limits: Limits { reach },
        // A service has nobody to tell it to, and `-d` tells more.
        shows_status: typed.listen.is_empty() && typed.verbosity == Verbosity::Normal,
        eager: typed.eager,
        proxy_protocol: typed.proxy_protocol.as_deref().map(proxy_protocol).transpose()?,
        relay: RelaySettings { mode: relay_mode(sources)?, idle, half_close: !typed.no_shutdown },
    };
    tls::check(typed, direct.hops())?;
    if direct.hops().next().is_none() {
        return Ok(direct);
    }
    if let Target::Unix(_) = direct.target {
        return Err(Error::Config(format!("{} is on this machine: no proxy can reach it", direct.target)));
    }
    Ok(Plan { askpass: sources.askpass(), ..direct })
}

/// Overwrites the passwords in the words that the process was started with. To be called when they have been read.
pub fn conceal_args() {
    let mut scanner = secret::ArgScanner::default();
    sys::conceal_args(|arg| scanner.find_password(arg));
}

/// The same in the variables, and before there are threads.
pub fn conceal_variables() {
    sys::conceal_variables(|variable| {
        let end = variable.iter().position(|&byte| byte == b'=').unwrap_or(variable.len());
        let (name, value) = variable.split_at(end);
        let Some(value) = value.get(1..) else { return 0..0 };
        let password = secret::in_variable(name, value);
        end + 1 + password.start..end + 1 + password.end
    });
}

/// The ways to the target, by the method that was typed.
fn routes(typed: &Args, target: &Target, sources: &Sources<'_>) -> Result<Vec<Route>, Error> {
    let hop = match &typed.method {
        ProxyArg::Direct => return Ok(vec![chain::direct(typed)?]),
        // No proxy can reach a socket on this machine.
        ProxyArg::Auto if matches!(target, Target::Unix(_)) => return Ok(vec![chain::direct(typed)?]),
        ProxyArg::Auto => return auto::routes(typed, sources),
        ProxyArg::Proxies(words) => {
            return chain::routes(&sources.typed("-x", &words.join(",")).value, "-x", typed, sources);
        }
        ProxyArg::Http(word) => {
            hop::http(Spec::parse(&sources.typed("-H", word).value, "-H", &spec::HTTP)?, typed, sources)?
        }
        ProxyArg::HttpFromEnvironment => hop::http(sources.http_proxy()?, typed, sources)?,
        ProxyArg::Socks(word) => {
            hop::socks(Spec::parse(&sources.typed("-S", word).value, "-S", &spec::SOCKS)?, typed, sources)?
        }
        ProxyArg::SocksFromEnvironment => {
            hop::socks(sources.socks_proxy(typed.socks_version)?, typed, sources)?
        }
        ProxyArg::Telnet(word) => {
            hop::telnet(Spec::parse(&sources.typed("-T", word).value, "-T", &spec::TELNET)?, typed, sources)?
        }
        ProxyArg::TelnetFromEnvironment => hop::telnet(sources.telnet_proxy()?, typed, sources)?,
    };
    Ok(vec![chain::through(vec![hop], typed, sources)?])
}

/// `CONNECT_RELAY`, in the environment only: no file is read for its sake.
fn relay_mode(sources: &Sources<'_>) -> Result<RelayMode, Error> {
    match sources.variable("CONNECT_RELAY").as_deref().map(OsStr::as_encoded_bytes) {
        None | Some(b"" | b"splice") => Ok(RelayMode::Splice),
        Some(b"copy") => Ok(RelayMode::Copy),
        Some(_) => Err(Error::Config("CONNECT_RELAY takes splice or copy".into())),
    }
}

fn proxy_protocol(word: &str) -> Result<ProxyProtocol, Error> {
    match word.to_ascii_lowercase().as_str() {
        "v1" | "1" => Ok(ProxyProtocol::V1),
        "v2" | "2" => Ok(ProxyProtocol::V2),
        _ => Err(Error::Config(format!("--proxy-protocol takes v1 or v2, not '{}'", secret::masked(word)))),
    }
}

/// The port is the second word, or stands in the first word or in the program's name, in this order.
fn target(typed: &Args) -> Result<Target, Error> {
    if let Some(path) = typed.host.strip_prefix("unix:") {
        return match (path, &typed.port) {
            ("", _) => Err(Error::Config("no path after unix:".into())),
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
        Cow::Owned(word) => Err(Error::Config(format!("'{word}' is a proxy: name it with -S or -H"))),
    }
}

/// A number of seconds; none for 0, as in the C program.
fn seconds(word: Option<&str>, option: &str) -> Result<Option<Duration>, Error> {
    let Some(word) = word else { return Ok(None) };
    let seconds = word.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.ok_or_else(|| {
        Error::Config(format!("{option} takes a number of seconds, not '{}'", secret::masked(word)))
    })?;
    Ok(Some(seconds).filter(|seconds| !seconds.is_zero()))
}

#[cfg(test)]
mod tests;

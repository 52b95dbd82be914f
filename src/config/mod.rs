//! What was typed, and what the environment adds to it, made into a plan.

use std::ffi::OsString;
use std::time::Duration;

use crate::addr::{AddrError, Endpoint, Host, Port, parse_port, split_port};
use crate::cli::{Method, SocksVersion, Typed};
use crate::error::Error;
use crate::plan::{Hop, Limits, Login, Plan, Protocol, Resolve};
use crate::proto::Socks5Method;
use environment::Environment;
use spec::Spec;

mod environment;
mod service;
mod spec;

impl From<AddrError> for Error {
    fn from(error: AddrError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Makes the plan. Variables are asked for by name, and only those that matter to it.
///
/// # Errors
/// [`Error::Usage`]: a word or a variable makes no sense, or the proxy to be used is named nowhere.
pub fn plan(typed: &Typed, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Plan, Error> {
    let environment = Environment::new(variable);
    let target = target(typed)?;
    let hop = match &typed.method {
        Method::Direct => None,
        Method::Http(word) => Some(http(Spec::parse(word, "-H", &spec::HTTP)?, &environment)?),
        Method::HttpFromEnvironment => Some(http(environment.http_proxy()?, &environment)?),
        Method::Socks(word) => Some(socks(Spec::parse(word, "-S", &spec::SOCKS)?, typed, &environment)?),
        Method::SocksFromEnvironment => {
            Some(socks(environment.socks_proxy(typed.socks_version)?, typed, &environment)?)
        }
    };
    let reach = typed.wait.as_deref().map(seconds).transpose()?.flatten();
    Ok(Plan { target, hops: hop.into_iter().collect(), limits: Limits { reach } })
}

/// The second word, a port in the first word, or the port in the program's name, in this order.
fn target(typed: &Typed) -> Result<Endpoint, Error> {
    let (host, in_word) = split_port(&typed.host);
    let host = Host::parse(host)?;
    if let (Some(port), Some(other)) = (&typed.port, in_word) {
        return Err(Error::Usage(format!("two ports for {host}: {other} and {port}")));
    }
    let port = typed.port.as_deref().or(in_word).or(typed.name_port.as_deref());
    let port = port.ok_or_else(|| Error::Usage(format!("no port given for {host}")))?;
    Ok(Endpoint { host, port: port_or_service(port)? })
}

fn port_or_service(word: &str) -> Result<Port, Error> {
    parse_port(word).or_else(|| service::port(word)).ok_or_else(|| AddrError::BadPort(word.to_owned()).into())
}

fn http(spec: Spec, environment: &Environment<'_>) -> Result<Hop, Error> {
    if spec.scheme == Some("https") {
        return Err(Error::Usage(
            "TLS to the proxy (https://) is not supported; use an http:// proxy".into(),
        ));
    }
    let proxy = spec.endpoint(80)?;
    let login = Login {
        user: spec.user.or(environment.first(&["HTTP_PROXY_USER", "CONNECT_USER"])?),
        password: spec.password.or_else(|| environment.secret(&["HTTP_PROXY_PASSWORD", "CONNECT_PASSWORD"])),
    };
    Ok(Hop { proxy, protocol: Protocol::Http { login } })
}

fn socks(spec: Spec, typed: &Typed, environment: &Environment<'_>) -> Result<Hop, Error> {
    let version = typed.socks_version.unwrap_or(match spec.scheme {
        Some("socks4" | "socks4a") => SocksVersion::V4,
        _ => SocksVersion::V5,
    });
    let proxy = spec.endpoint(1080)?;
    let (own_resolve, own_user) = match version {
        SocksVersion::V4 => ("SOCKS4_RESOLVE", "SOCKS4_USER"),
        SocksVersion::V5 => ("SOCKS5_RESOLVE", "SOCKS5_USER"),
    };
    let resolve = match (&typed.resolve, environment.first_named(&[own_resolve, "SOCKS_RESOLVE"])?) {
        (Some(word), _) => parse_resolve(word, "-R")?,
        (None, Some((name, word))) => parse_resolve(&word, name)?,
        (None, None) => match (version, spec.scheme) {
            (SocksVersion::V4, Some("socks4a")) | (SocksVersion::V5, _) => Resolve::Remote,
            (SocksVersion::V4, _) => Resolve::LocalFirst,
        },
    };
    let user = spec.user.or(environment.first(&[own_user, "SOCKS_USER", "CONNECT_USER"])?);
    let protocol = match version {
        SocksVersion::V4 => Protocol::Socks4 { user, resolve },
        SocksVersion::V5 => {
            let methods = match (&typed.auth, environment.first_named(&["SOCKS5_AUTH"])?) {
                (Some(list), _) => Some(parse_methods(list, "-a")?),
                (None, Some((name, list))) => Some(parse_methods(&list, name)?),
                (None, None) => None,
            };
            let names = ["SOCKS5_PASSWD", "SOCKS5_PASSWORD", "SOCKS_PASSWORD", "CONNECT_PASSWORD"];
            let password = spec.password.or_else(|| environment.secret(&names));
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
        _ => Err(Error::Usage(format!("{source} takes local, remote or both, not '{word}'"))),
    }
}

fn parse_methods(list: &str, source: &str) -> Result<Vec<Socks5Method>, Error> {
    list.split(',')
        .map(|word| match word.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Socks5Method::None),
            "userpass" => Ok(Socks5Method::UserPass),
            known @ ("gssapi" | "chap") => Err(Error::Usage(format!(
                "{source} names {known}, which we cannot carry out; use none or userpass"
            ))),
            other => Err(Error::Usage(format!("{source} takes none and userpass, not '{other}'"))),
        })
        .collect()
}

/// A number of seconds; none for 0, as in the C program.
fn seconds(word: &str) -> Result<Option<Duration>, Error> {
    let seconds = word.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds =
        seconds.ok_or_else(|| Error::Usage(format!("-w takes a number of seconds, not '{word}'")))?;
    Ok(Some(seconds).filter(|seconds| !seconds.is_zero()))
}

#[cfg(test)]
mod tests;

//! The values of `--local-forward` and `--remote-forward`: `FROM=TO`.

use super::queue;
use super::service::port_after_host;
use crate::addr::{Endpoint, Host, split_port};
use crate::error::Error;
use crate::plan::{ListenAddress, LocalForward, RemoteForward, RemoteListener, Target};
use crate::secret;

/// The default host, at both ends.
const LOCALHOST: &str = "localhost";

/// The error for `unix:` alone.
const NO_PATH: &str = "missing path after 'unix:'";

/// Parses the values of `--local-forward`.
pub(super) fn local(values: &[String]) -> Result<Vec<LocalForward>, Error> {
    let option = "--local-forward";
    let parse = |value: &String| {
        let (from, to) = split(value, option)?;
        if from.starts_with("queue:") || from == "systemd" {
            return Err(invalid(option, "FROM is [ADDR:]PORT or unix:PATH"));
        }
        let from = match from.strip_prefix("unix:") {
            Some("") => return Err(invalid(option, NO_PATH)),
            Some(path) => ListenAddress::Unix(path.into()),
            None => super::tcp_address::parse_tcp(from, option)?,
        };
        Ok(LocalForward { from, to: target(to, option)? })
    };
    values.iter().map(parse).collect()
}

/// Parses the values of `--remote-forward`.
pub(super) fn remote(values: &[String]) -> Result<Vec<RemoteForward>, Error> {
    let option = "--remote-forward";
    let parse = |value: &String| {
        let (from, to) = split(value, option)?;
        let text = from.to_owned();
        let from = remote_listener(from, option)?;
        let to = target(to, option)?;
        if matches!(to, Target::Queue(_)) {
            return Err(invalid(option, "TO is [HOST:]PORT or unix:PATH"));
        }
        Ok(RemoteForward { from, to, text })
    };
    values.iter().map(parse).collect()
}

fn invalid(option: &str, what: &str) -> Error {
    Error::Config(format!("invalid value for {option}: {what}"))
}

fn split<'a>(value: &'a str, option: &str) -> Result<(&'a str, &'a str), Error> {
    value.split_once('=').ok_or_else(|| {
        Error::Config(format!(
            "invalid value '{}' for {option}; use FROM=TO, as in 8080=inner:80",
            secret::masked(value)
        ))
    })
}

/// Parses TO: the form of FROM at the server, but with a host and a port other than 0.
fn target(text: &str, option: &str) -> Result<Target, Error> {
    Ok(match remote_listener(text, option)? {
        RemoteListener::Tcp { address, .. } if address.is_empty() => {
            return Err(invalid(option, "'*' is possible only in FROM"));
        }
        RemoteListener::Tcp { address, port } => {
            let zero = |_| invalid(option, "port 0 is possible only in FROM");
            let port = port.try_into().map_err(zero)?;
            Target::Tcp(Endpoint { host: Host::parse(&address)?, port })
        }
        RemoteListener::Unix(path) => Target::Unix(path.into()),
        RemoteListener::Queue(name) => Target::Queue(name.into()),
    })
}

/// Parses FROM at the server.
fn remote_listener(text: &str, option: &str) -> Result<RemoteListener, Error> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err(invalid(option, NO_PATH)),
            path => Ok(RemoteListener::Unix(path.to_owned())),
        };
    }
    if let Some(name) = text.strip_prefix("queue:") {
        return if queue::is_name(name) {
            Ok(RemoteListener::Queue(name.to_owned()))
        } else {
            Err(invalid(option, queue::NAME_RULE))
        };
    }
    let (host, port) = match split_port(text) {
        (host, Some(port)) => (host, port),
        (port, None) => (LOCALHOST, port),
    };
    let in_option = |error| Error::Config(format!("{option}: {error}"));
    let port = if port == "0" { 0 } else { port_after_host(port).map_err(in_option)?.get() };
    // An asterisk means all addresses of the server.
    let address = match host {
        "*" => String::new(),
        host => Host::parse(host).map_err(in_option)?.to_string(),
    };
    Ok(RemoteListener::Tcp { address, port })
}

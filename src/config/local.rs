//! The local endpoint: standard input and output, or the addresses to listen on.

use super::origin::origin;
use super::post_server::post_server;
use super::proxy_server::proxy_server;
use super::sources::Sources;
use super::tcp_address::parse_tcp;
use super::websocket_server::websocket_server;
use crate::addr::{Host, LOOPBACK};
use crate::cli::{Args, KeySource, PasswordSource, TokenSource};
use crate::error::Error;
use crate::plan::{ListenAddress, Local};
use crate::sys;

/// Returns the local endpoint that the command line selects.
pub(super) fn local(args: &Args, sources: &Sources<'_>) -> Result<Local, Error> {
    let conflict = |text: &str| Err(Error::Usage(text.into()));
    let listens = args.local_port.is_some() || !args.listen.is_empty();
    if args.fdpass && listens {
        return conflict("-F cannot be combined with -p, -P or --listen: with -F, connect relays nothing");
    }
    if args.fdpass && args.idle_timeout.is_some() {
        return conflict("-F cannot be combined with --idle-timeout: with -F, connect relays nothing");
    }
    if args.no_shutdown && (args.fdpass || listens) {
        return conflict(
            "--no-shutdown cannot be combined with -F, -p, -P or --listen: they do not use stdin",
        );
    }
    if args.keep_session && args.proxy_protocol.is_some() {
        return conflict(
            "-P cannot be combined with --proxy-protocol: several clients share one connection, and the header \
             could name only the first",
        );
    }
    if args.server.drain.is_some() {
        return conflict("--drain has no effect without --relay");
    }
    if let Some(settings) = origin(args, sources)? {
        return Ok(Local::Origin(Box::new(settings)));
    }
    if let Some(server) = post_server(args, sources)? {
        return match args.local_port {
            Some(_) => conflict("--listen cannot be combined with -p or -P"),
            None => Ok(Local::Post(server)),
        };
    }
    if let Some(server) = websocket_server(args, sources)? {
        return match args.local_port {
            Some(_) => conflict("--listen cannot be combined with -p or -P"),
            None => Ok(Local::WebSocket(server)),
        };
    }
    let server = proxy_server(args, sources)?;
    match (&args.local_port, args.listen.as_slice()) {
        (None, []) if args.fdpass => Ok(Local::FdPass),
        (None, []) => Ok(Local::Stdio),
        (Some(address), []) => {
            let option = if args.keep_session { "-P" } else { "-p" };
            Ok(Local::Port { at: parse_tcp(address, option)?, keep: args.keep_session })
        }
        (None, _) => match server {
            Some(server) if args.check.is_none() => Ok(Local::Proxy(server)),
            // `--check` accepts no clients, and connects to the target that they would name.
            Some(_) => Ok(Local::Listen(Vec::new())),
            None => Ok(Local::Listen(listen_addresses(args, sources)?)),
        },
        (Some(_), _) => conflict("--listen cannot be combined with -p or -P"),
    }
}

/// Returns the addresses of all `--listen` options, followed by the sockets from systemd.
fn listen_addresses(args: &Args, sources: &Sources<'_>) -> Result<Vec<ListenAddress>, Error> {
    let (systemd, named): (Vec<_>, Vec<_>) = args.listen.iter().partition(|value| *value == "systemd");
    let mut addresses = named.into_iter().map(|value| parse_listen(value)).collect::<Result<Vec<_>, _>>()?;
    without_loopback_twice(&mut addresses);
    // `--check` accepts no clients and may run outside the systemd unit, so it skips these sockets.
    if !systemd.is_empty() && args.check.is_none() {
        addresses.extend(systemd_sockets(args, sources)?);
    }
    Ok(addresses)
}

/// Removes each loopback address that `localhost`, the default, includes with the same port.
/// Otherwise `--listen 8080 --listen [::1]:8080` would fail because we use the port ourselves.
fn without_loopback_twice(addresses: &mut Vec<ListenAddress>) {
    let is_localhost = |at: &ListenAddress, port: u16| {
        matches!(at, ListenAddress::Tcp { host: Host::Name(name), port: other }
            if name.is_localhost() && *other == port)
    };
    let all = addresses.clone();
    addresses.retain(|at| match at {
        ListenAddress::Tcp { host: Host::Ip(ip), port: port @ 1.. } if LOOPBACK.contains(ip) => {
            !all.iter().any(|other| is_localhost(other, *port))
        }
        _ => true,
    });
}

fn systemd_sockets(args: &Args, sources: &Sources<'_>) -> Result<impl Iterator<Item = ListenAddress>, Error> {
    let error = |what: String| Error::Config(format!("--listen systemd: {what}"));
    let variable = |name| sources.variable(name).and_then(|value| String::from_utf8(value).ok());
    let (pid, count) = (variable("LISTEN_PID"), variable("LISTEN_FDS"));
    let descriptors = sys::passed_listeners(pid.as_deref(), count.as_deref()).map_err(error)?;
    let password = match &args.password {
        Some(PasswordSource::Descriptor(number)) => Some(("--password-fd", number)),
        _ => None,
    };
    let token = match &args.token {
        Some(TokenSource::Descriptor(number)) => Some(("--token-fd", number)),
        _ => None,
    };
    let key = match &args.key {
        Some(KeySource::Descriptor(number)) => Some(("--key-fd", number)),
        _ => None,
    };
    let is_socket = |number: &String| number.parse().is_ok_and(|number| descriptors.contains(&number));
    if let Some((option, number)) =
        password.into_iter().chain(token).chain(key).find(|(_, number)| is_socket(number))
    {
        return Err(error(format!(
            "file descriptor {number} is a socket from systemd; use another one for {option}"
        )));
    }
    Ok(descriptors.map(ListenAddress::SystemdSocket))
}

fn parse_listen(value: &str) -> Result<ListenAddress, Error> {
    match value.strip_prefix("unix:") {
        Some("") => Err(Error::Config("missing path after 'unix:' in --listen".into())),
        Some(path) => Ok(ListenAddress::Unix(path.into())),
        None => parse_tcp(value.strip_prefix("tcp:").unwrap_or(value), "--listen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> String {
        parse_listen(value).map_or_else(|error| format!("error: {error}"), |address| address.to_string())
    }

    #[test]
    fn the_default_address_is_loopback() {
        for (value, expected) in [
            ("8080", "localhost:8080"),
            ("0", "localhost:0"),
            ("ssh", "localhost:22"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("tcp:[::]:8080", "[::]:8080"),
            ("localhost:0", "localhost:0"),
            ("unix:/tmp/s", "unix:/tmp/s"),
            ("unix:", "error: missing path after 'unix:' in --listen"),
            (":80", "error: --listen: missing host name"),
            (
                "h:",
                "error: --listen: invalid port ''; use a number from 1 to 65535 or a service name such as ssh",
            ),
        ] {
            assert_eq!(parsed(value), expected, "{value}");
        }
    }

    fn planned(args: &Args) -> Result<Local, Error> {
        local(args, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    #[test]
    fn a_loopback_address_is_not_opened_twice() {
        let listen = ["8080", "[::1]:8080", "127.0.0.1:8080", "[::1]:8081", "[::1]:0", "0", "192.0.2.1:8080"];
        let args = Args { listen: listen.map(str::to_owned).to_vec(), ..Args::default() };
        let Ok(Local::Listen(addresses)) = planned(&args) else { unreachable!() };
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["localhost:8080", "[::1]:8081", "[::1]:0", "localhost:0", "192.0.2.1:8080"]);
    }

    #[test]
    fn the_options_for_the_local_endpoint_exclude_each_other() {
        let mut args = Args { local_port: Some("0".into()), ..Args::default() };
        assert!(matches!(planned(&args), Ok(Local::Port { keep: false, .. })));
        args.listen.push("0".into());
        assert!(planned(&args).is_err());
        args.local_port = None;
        assert!(matches!(planned(&args), Ok(Local::Listen(at)) if at.len() == 1));
        args.fdpass = true;
        assert!(planned(&args).is_err());
        args.listen.clear();
        assert!(matches!(planned(&args), Ok(Local::FdPass)));
        args.local_port = Some("0".into());
        args.keep_session = true;
        assert!(planned(&args).is_err());
    }
}

//! Where to listen, or whether to.

use std::net::{IpAddr, Ipv4Addr};

use super::expect_no_proxy;
use super::service::port_or_service;
use super::sources::Sources;
use crate::addr::{Host, split_port};
use crate::cli::{Args, Keep, PasswordSource};
use crate::error::Error;
use crate::plan::{ListenAddress, Local};
use crate::sys;

/// Whoever may connect can use the tunnel: only this machine may, unless the user says otherwise.
const LOOPBACK: Host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));

/// The near end that was typed.
pub(super) fn local(typed: &Args, sources: &Sources<'_>) -> Result<Local, Error> {
    if typed.hand_over && (typed.port_to_listen.is_some() || !typed.listen.is_empty()) {
        return Err(Error::Usage(
            "-F and -p, -P or --listen exclude each other: -F leaves nothing to relay".into(),
        ));
    }
    if typed.hand_over && typed.idle_timeout.is_some() {
        return Err(Error::Usage(
            "-F and --idle-timeout exclude each other: -F leaves nothing to relay".into(),
        ));
    }
    if typed.no_shutdown && (typed.hand_over || typed.port_to_listen.is_some() || !typed.listen.is_empty()) {
        return Err(Error::Usage(
            "--no-shutdown is about standard input, which -F and local ports do without".into(),
        ));
    }
    match (&typed.port_to_listen, typed.listen.as_slice()) {
        (None, []) if typed.hand_over => Ok(Local::FdPass),
        (None, []) => Ok(Local::Stdio),
        (Some((word, keep)), []) => {
            let option = if *keep == Keep::Yes { "-P" } else { "-p" };
            Ok(Local::Port { at: tcp(word, option)?, keep: *keep == Keep::Yes })
        }
        (None, _) => Ok(Local::Listen(listeners(typed, sources)?)),
        (Some(_), _) => Err(Error::Usage("--listen and -p or -P exclude each other".into())),
    }
}

/// The places of `--listen`, with those that systemd has opened.
fn listeners(typed: &Args, sources: &Sources<'_>) -> Result<Vec<ListenAddress>, Error> {
    let (passed, named): (Vec<_>, Vec<_>) = typed.listen.iter().partition(|word| *word == "systemd");
    let mut listeners = named.into_iter().map(|word| listen(word)).collect::<Result<Vec<_>, _>>()?;
    // A check takes no clients, and can be made by hand.
    if !passed.is_empty() && typed.check.is_none() {
        listeners.extend(from_systemd(typed, sources)?);
    }
    Ok(listeners)
}

fn from_systemd(typed: &Args, sources: &Sources<'_>) -> Result<impl Iterator<Item = ListenAddress>, Error> {
    let complain = |what: String| Error::Config(format!("--listen systemd: {what}"));
    let variable = |name| sources.variable(name).and_then(|value| value.into_string().ok());
    let (pid, count) = (variable("LISTEN_PID"), variable("LISTEN_FDS"));
    let numbers = sys::passed_listeners(pid.as_deref(), count.as_deref()).map_err(complain)?;
    if let Some(PasswordSource::Descriptor(number)) = &typed.password
        && number.parse().is_ok_and(|number| numbers.contains(&number))
    {
        return Err(complain(format!(
            "descriptor {number} is one of the sockets, and not for --password-fd"
        )));
    }
    Ok(numbers.map(ListenAddress::SystemdSocket))
}

fn listen(word: &str) -> Result<ListenAddress, Error> {
    match word.strip_prefix("unix:") {
        Some("") => Err(Error::Config("no path after unix: in --listen".into())),
        Some(path) => Ok(ListenAddress::Unix(path.into())),
        None => tcp(word.strip_prefix("tcp:").unwrap_or(word), "--listen"),
    }
}

/// `PORT`, or `ADDR:PORT`. Port 0 lets the system choose.
fn tcp(word: &str, option: &str) -> Result<ListenAddress, Error> {
    expect_no_proxy(word)?;
    let complain = |what: String| Error::Config(format!("{option}: {what}"));
    let (host, port) = match split_port(word) {
        (host, Some(port)) => (Host::parse(host).map_err(|error| complain(error.to_string()))?, port),
        (port, None) => (LOOPBACK, port),
    };
    let port = match port {
        "0" => 0,
        port => port_or_service(port).map_err(|error| complain(error.to_string()))?.get(),
    };
    Ok(ListenAddress::Tcp { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(word: &str) -> String {
        listen(word).map_or_else(|error| format!("error: {error}"), |at| at.to_string())
    }

    #[test]
    fn an_address_is_on_loopback_unless_said_otherwise() {
        for (word, expected) in [
            ("8080", "127.0.0.1:8080"),
            ("0", "127.0.0.1:0"),
            ("ssh", "127.0.0.1:22"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("tcp:[::]:8080", "[::]:8080"),
            ("localhost:0", "localhost:0"),
            ("unix:/tmp/s", "unix:/tmp/s"),
            ("unix:", "error: no path after unix: in --listen"),
            (":80", "error: --listen: missing host name"),
            (
                "h:",
                "error: --listen: invalid port ''; use a number from 1 to 65535 or a service name such as ssh",
            ),
        ] {
            assert_eq!(listening(word), expected, "{word}");
        }
    }

    fn planned(typed: &Args) -> Result<Local, Error> {
        local(typed, &Sources::with_files(&|_| None, &|_| (), Vec::new()))
    }

    #[test]
    fn one_way_to_listen_at_a_time() {
        let mut typed = Args { port_to_listen: Some(("0".into(), Keep::No)), ..Args::default() };
        assert!(matches!(planned(&typed), Ok(Local::Port { keep: false, .. })));
        typed.listen.push("0".into());
        assert!(planned(&typed).is_err());
        typed.port_to_listen = None;
        assert!(matches!(planned(&typed), Ok(Local::Listen(at)) if at.len() == 1));
        typed.hand_over = true;
        assert!(planned(&typed).is_err());
        typed.listen.clear();
        assert!(matches!(planned(&typed), Ok(Local::FdPass)));
        typed.port_to_listen = Some(("0".into(), Keep::Yes));
        assert!(planned(&typed).is_err());
    }
}

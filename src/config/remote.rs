//! Work at an SSH server (`--ssh`): the server as the last hop of each route, and the task.

use std::sync::Arc;
use std::time::Duration;

use super::access;
use super::forwards;
use super::hop::{self, ChainSize};
use super::proxy_url::ProxyUrl;
use super::scheme::Syntax;
use super::sources::Sources;
use crate::addr::Endpoint;
use crate::cli::{Args, RemoteArgs, Verbosity};
use crate::error::Error;
use crate::hops::ssh::Server;
use crate::plan::{CopyProtocol, Copying, Direction, Hop, Local, Remote, Route, Target, Task, Tty};
use crate::secret::{self, UserName};

/// The default time without input before a keepalive request, if there are forwards.
const FORWARDS_KEEP_ALIVE: Duration = Duration::from_secs(25);

fn usage<T>(text: String) -> Result<T, Error> {
    Err(Error::Usage(text))
}

/// Returns the server's address; `None` without `--ssh`.
///
/// # Errors
/// [`Error::Usage`] for an option that requires `--ssh`, or that cannot be combined with it.
pub(super) fn server(args: &Args) -> Result<Option<Endpoint>, Error> {
    let Some(text) = &args.remote.server else {
        return match args.remote.dependents().next() {
            Some(option) => usage(format!("{option} requires --ssh")),
            None => Ok(None),
        };
    };
    let conflicts = [
        ("-P", args.keep_session),
        ("-p", args.local_port.is_some()),
        ("--listen", !args.listen.is_empty()),
        ("-F", args.fdpass),
        ("--proxy-protocol", args.proxy_protocol.is_some()),
        ("--relay", !args.relay.is_empty()),
        ("--origin", args.origin.hub.is_some()),
        ("--tls-target", args.tls_target),
        ("--idle-timeout", args.idle_timeout.is_some()),
        ("--no-shutdown", args.no_shutdown),
    ];
    if let Some((option, _)) = conflicts.iter().find(|(_, is_given)| *is_given) {
        return usage(format!("{option} cannot be combined with --ssh"));
    }
    match parse(text)?.target() {
        Target::Tcp(address) => Ok(Some(address)),
        Target::Unix(_) | Target::Queue(_) | Target::AtServer(_) => {
            Err(Error::Config("invalid server in --ssh: a UNIX-domain socket is not supported".into()))
        }
    }
}

/// Returns the target of the plan, which only messages use: the host of the server.
pub(super) fn target(server: &Endpoint) -> Target {
    Target::AtServer(Some(server.host.clone()))
}

/// Parses `[USER@]HOST[:PORT]` or a URL.
fn parse(text: &str) -> Result<ProxyUrl, Error> {
    let invalid = |what: &str| Error::Config(format!("invalid server in --ssh: {what}"));
    if secret::after_scheme(text.as_bytes()) > 0 {
        let url = ProxyUrl::parse(text.as_bytes(), "--ssh", Syntax::Url).map_err(about_server)?;
        return if url.selection.scheme.name == "ssh" {
            Ok(url)
        } else {
            Err(invalid("expected an ssh:// URL; put proxies into -x"))
        };
    }
    let (user, address) = match text.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, text),
    };
    // The user name may be the start of a password, so do not quote it.
    if user.is_some_and(|user| user.contains(':')) {
        return Err(invalid("':' in the user name; to give a password, write an ssh:// URL"));
    }
    if address.contains(['?', '/']) {
        return Err(invalid("unexpected '?' or '/'; to set options, write an ssh:// URL"));
    }
    let mut url =
        ProxyUrl::parse(format!("ssh://{address}").as_bytes(), "--ssh", Syntax::Url).map_err(about_server)?;
    url.user = user.map(UserName::from);
    Ok(url)
}

/// Turns a message about an invalid proxy into one about an invalid server.
fn about_server(error: Error) -> Error {
    match error {
        Error::Config(text) => Error::Config(text.replacen("invalid proxy", "invalid server", 1)),
        error => error,
    }
}

/// Appends the server to each route.
///
/// # Errors
/// A setting of the server is invalid.
pub(super) fn append(routes: &mut [Route], args: &Args, sources: &Sources<'_>) -> Result<(), Error> {
    let Some(text) = &args.remote.server else { return Ok(()) };
    for route in routes {
        let url = parse(text)?;
        let size = ChainSize { proxies: route.hops.len() + 1, ..ChainSize::SINGLE };
        let hop = hop::from_url(url, size, args, sources).map_err(about_server)?;
        let server = hop.protocol.as_any().downcast_ref::<Server>();
        let protocol = server.map(|server| Arc::new(server.for_sessions()));
        let Some(protocol) = protocol else { continue };
        route.hops.push(Hop { protocol, ..hop });
    }
    Ok(())
}

/// Returns the task of a run with `--ssh`.
///
/// # Errors
/// [`Error::Usage`] if options conflict or an operand is missing, [`Error::Config`] if a value is
/// invalid.
pub(super) fn local(args: &Args, sources: &Sources<'_>) -> Result<Local, Error> {
    let remote = &args.remote;
    let has_forwards = !remote.local_forwards.is_empty() || !remote.remote_forwards.is_empty();
    let task = task(remote, has_forwards)?;
    Ok(Local::Remote(Box::new(Remote {
        variables: variables(&remote.env, sources)?,
        tty: tty(remote)?,
        terminal: sources.raw_variable("TERM").and_then(|value| value.into_string().ok()),
        local_forwards: forwards::local(&remote.local_forwards)?,
        remote_forwards: forwards::remote(&remote.remote_forwards)?,
        keep_alive: keep_alive(args, has_forwards)?,
        is_quiet: args.verbosity == Verbosity::Quiet,
        task,
    })))
}

/// Returns the time without input before a keepalive request; `None` for no such requests.
fn keep_alive(args: &Args, has_forwards: bool) -> Result<Option<Duration>, Error> {
    let mut url = args.remote.server.as_deref().map(parse).transpose()?;
    let (value, source) = match url.as_mut().and_then(|url| url.query.take("keepalive")) {
        Some(value) => (Some(value), "keepalive="),
        None => (args.keep_alive.clone(), "--keepalive"),
    };
    match value {
        Some(value) => Ok(Some(access::whole_seconds(&value, source)?).filter(|time| !time.is_zero())),
        None => Ok(Some(FORWARDS_KEEP_ALIVE).filter(|_| has_forwards)),
    }
}

fn task(remote: &RemoteArgs, has_forwards: bool) -> Result<Task, Error> {
    let copy_option = if remote.put { "--put" } else { "--get" };
    if remote.put || remote.get {
        let conflicts = [
            ("--get", remote.put && remote.get),
            ("--subsystem", remote.subsystem.is_some()),
            ("--local-forward", !remote.local_forwards.is_empty()),
            ("--remote-forward", !remote.remote_forwards.is_empty()),
            ("--tty", remote.tty.is_some()),
            ("--env", !remote.env.is_empty()),
        ];
        return match conflicts.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => usage(format!("{copy_option} cannot be combined with {option}")),
            None => copying(remote, copy_option).map(Task::Copy),
        };
    }
    let copy_options = ["--recursive", "--preserve", "--copy-by"];
    if let Some(option) = remote.dependents().find(|option| copy_options.contains(option)) {
        return usage(format!("{option} requires --put or --get"));
    }
    Ok(match (&remote.subsystem, remote.operands.as_slice()) {
        (Some(name), []) if name.is_empty() => return usage("--subsystem requires a name".into()),
        (Some(name), []) => Task::Subsystem(name.clone()),
        (Some(_), _) => return usage("--subsystem cannot be combined with a command".into()),
        (None, []) if has_forwards => {
            match remote.dependents().find(|option| ["--env", "--tty"].contains(option)) {
                Some(option) => return usage(format!("{option} has no effect without a command")),
                None => Task::Forwards,
            }
        }
        (None, []) => Task::Shell,
        (None, words) => Task::Command(words.join(" ")),
    })
}

/// Returns the copies that the operands describe.
fn copying(remote: &RemoteArgs, option: &str) -> Result<Copying, Error> {
    let Some((destination, files)) = remote.operands.split_last().filter(|(_, files)| !files.is_empty())
    else {
        return usage(format!("{option} requires operands: FILE... DEST"));
    };
    let protocol = match remote.copy_by.as_deref() {
        None => None,
        Some("sftp") => Some(CopyProtocol::Sftp),
        Some("scp") => Some(CopyProtocol::Scp),
        Some(other) => return Err(invalid(other, "--copy-by", "sftp or scp")),
    };
    let has_stdin = remote.put && files.iter().any(|file| file == "-");
    if has_stdin && files.len() > 1 {
        return usage("'-' must be the only FILE of --put".into());
    }
    if has_stdin && protocol == Some(CopyProtocol::Scp) {
        return usage("--put - cannot be combined with --copy-by scp, which announces the size first".into());
    }
    Ok(Copying {
        direction: if remote.put { Direction::Put } else { Direction::Get },
        files: files.to_vec(),
        destination: destination.clone(),
        recursive: remote.recursive,
        preserve: remote.preserve,
        protocol,
    })
}

fn tty(remote: &RemoteArgs) -> Result<Tty, Error> {
    Ok(match remote.tty.as_deref() {
        None | Some("auto") => Tty::Auto,
        Some("yes") => Tty::Yes,
        Some("no") => Tty::No,
        Some(other) => return Err(invalid(other, "--tty", "auto, yes or no")),
    })
}

/// Returns the variables for the program. Leaves out those to take from the environment that are
/// not set there.
fn variables(args: &[String], sources: &Sources<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut variables = Vec::new();
    for arg in args {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), sources.raw_variable(arg).and_then(|value| value.into_string().ok())),
        };
        if name.is_empty() {
            return Err(Error::Config("missing name of the variable in --env".into()));
        }
        variables.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(variables)
}

fn invalid(value: &str, option: &str, expected: &str) -> Error {
    Error::Config(format!("invalid value '{}' for {option}; use {expected}", secret::masked_text(value)))
}

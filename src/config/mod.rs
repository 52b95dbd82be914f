//! Builds a [`Plan`] from the command line, the environment and the parameter files.

use std::time::Duration;

use crate::addr::{AddrError, Endpoint};
use crate::cli::{Args, KeySource, ProxyArg, TokenSource, Verbosity};
use crate::error::Error;
use crate::plan::{Limits, Local, Plan, RelayMode, RelaySettings, Route, Target};
use crate::proto::ProxyProtocol;
use crate::secret;
use crate::sys;
use crate::text::printable;
use hop::ChainSize;
use proxy_url::ProxyUrl;
use scheme::Syntax;

mod access;
mod auth;
mod auto;
mod bypass;
mod chain;
mod conditions;
mod descriptor;
#[cfg(feature = "ssh")]
mod forwards;
mod hop;
mod http;
mod hub_server;
mod key;
mod listen_url;
mod local;
mod match_context;
mod netrc;
mod network;
mod origin;
mod password;
mod planner;
mod post_server;
mod proxy_server;
mod proxy_url;
mod queue;
mod rcfile;
#[cfg(feature = "ssh")]
mod remote;
#[cfg(not(feature = "ssh"))]
#[path = "no_remote.rs"]
mod remote;
mod scheme;
mod secret_line;
mod service;
mod setting;
mod sockets;
mod sources;
#[cfg(feature = "ssh")]
mod ssh;
mod target;
mod tcp_address;
mod tls;
mod token;
mod trust;
mod websocket_server;

pub use planner::Planner;
pub use setting::{Origin, SettingRecord};
pub use sources::Sources;

impl From<AddrError> for Error {
    fn from(error: AddrError) -> Self {
        Self::Config(error.to_string())
    }
}

/// Builds the plan. Looks up only the parameters that matter for this command line.
///
/// # Errors
/// [`Error::Usage`] if options conflict or an operand is missing, [`Error::Config`] if a setting is
/// invalid or missing.
pub fn plan(args: &Args, sources: &Sources<'_>) -> Result<Plan, Error> {
    if !args.relay.is_empty() {
        return hub_plan(args, sources);
    }
    let limits = limits(args)?;
    if let Some(server) = remote::server(args)? {
        let target = remote::target(&server);
        sources.set_target(&Target::Tcp(server), limits);
        let local = remote::local(args, sources)?;
        return plan_for(args, target, local, sources);
    }
    let (target, queue) = (target::target(args), queue::with_auto(args));
    match (&target, &queue) {
        (Ok(Some(target)), _) | (Err(_), Some(target)) => sources.set_target(target, limits),
        (Ok(None), _) => sources.set_no_target(limits),
        (Err(_), None) => {}
    }
    let queue = queue.filter(|_| auto::setting(sources).is_some_and(|it| queue::ends_at_ssh(&it.value)));
    let target = queue.map_or(target, |queue| Ok(Some(queue)))?;
    let local = local::local(args, sources)?;
    match target {
        Some(target) => plan_for(args, target, local, sources),
        // Report an error in a setting now, not to the first client.
        None => plan_for(args, target::placeholder()?, local, sources),
    }
}

/// Returns the plan of a hub, which connects to nothing.
fn hub_plan(args: &Args, sources: &Sources<'_>) -> Result<Plan, Error> {
    sources.set_no_target(Limits::PerStep);
    Ok(Plan {
        local: Local::Hub(hub_server::hub_server(args, sources)?),
        target: Target::AtServer(None),
        routes: Vec::new(),
        askpass: None,
        limits: Limits::PerStep,
        shows_status: false,
        eager: false,
        proxy_protocol: None,
        target_tls: None,
        sockets: sockets::settings(args, sources)?,
        relay: RelaySettings::default(),
    })
}

impl Planner {
    /// Builds the plan for a session whose client has named this target.
    ///
    /// # Errors
    /// See [`plan`].
    pub fn plan(&self, target: Endpoint) -> Result<Plan, Error> {
        self.with_sources(|args, sources| {
            let target = Target::Tcp(target);
            sources.set_target(&target, limits(args)?);
            plan_for(args, target, Local::Listen(Vec::new()), sources)
        })
    }
}

/// Builds the plan for a session with this target.
fn plan_for(args: &Args, target: Target, local: Local, sources: &Sources<'_>) -> Result<Plan, Error> {
    let limits = limits(args)?;
    let idle = args.idle_timeout.as_deref().map(|value| seconds(value, "--idle-timeout")).transpose()?;
    let mut routes = routes(args, &target, sources)?;
    remote::append(&mut routes, args, sources)?;
    let is_remote = args.remote.server.is_some();
    let plan = Plan {
        local,
        routes,
        target_tls: if is_remote { None } else { tls::for_target(args, &target, sources)? },
        target,
        askpass: None,
        limits,
        // `--listen` runs unattended, `-q` is silent, and `-d` logs more than the status line
        // shows.
        shows_status: args.listen.is_empty()
            && args.origin.hub.is_none()
            && args.verbosity == Verbosity::Normal,
        eager: args.eager,
        proxy_protocol: args.proxy_protocol.as_deref().map(proxy_protocol).transpose()?,
        sockets: sockets::settings(args, sources)?,
        relay: RelaySettings {
            mode: relay_mode(sources)?,
            idle: idle.flatten(),
            half_close: !args.no_shutdown,
            warns: args.verbosity != Verbosity::Quiet,
        },
    };
    target::check(&plan)?;
    tls::check(args, &plan)?;
    expect_token_used(args, sources)?;
    check_fdpass(args, &plan)?;
    sockets::check(&plan)?;
    if plan.hops().next().is_none() {
        return Ok(plan);
    }
    let has_proxy = plan.routes.iter().any(|route| !route.hops.is_empty());
    if has_proxy && plan.target.is_socket() {
        check_socket(&plan)?;
    }
    if args.ssh.stray_certificate {
        return Err(Error::Usage("--ssh-cert must follow the --ssh-identity that it is for".into()));
    }
    Ok(Plan { askpass: sources.askpass(), ..plan })
}

/// Fails if an option about tokens, keys or web connections was given, but nothing uses it.
fn expect_token_used(args: &Args, sources: &Sources<'_>) -> Result<(), Error> {
    let (token, key) = (args.token.as_ref(), args.key.as_ref());
    let no_token = "no hop sends a token";
    let no_link = "no hop is a relay hub";
    for (option, is_given, why) in [
        ("--token-file", matches!(token, Some(TokenSource::File(_))), no_token),
        ("--token-fd", matches!(token, Some(TokenSource::Descriptor(_))), no_token),
        ("--key-file", matches!(key, Some(KeySource::File(_))), no_link),
        ("--key-fd", matches!(key, Some(KeySource::Descriptor(_))), no_link),
        ("--window", args.window.is_some(), no_link),
    ] {
        if is_given && !sources.is_used(option) {
            return Err(Error::Usage(format!("{option} has no effect: {why}")));
        }
    }
    if args.keep_alive.is_some() && !sources.is_used("--keepalive") {
        return Err(Error::Usage("--keepalive has no effect without WebSocket or SSH connections".into()));
    }
    if args.resume.is_some() && !sources.is_used("--resume") {
        return Err(Error::Usage("--resume has no effect without a relay hub or a POST tunnel".into()));
    }
    Ok(())
}

/// Checks that each route ends at a server that can connect to a socket or a queue.
fn check_socket(plan: &Plan) -> Result<(), Error> {
    let reaches = |route: &Route| route.hops.last().is_some_and(|hop| hop.protocol.reaches_sockets());
    let count = plan.routes.iter().filter(|route| reaches(route)).count();
    if count == plan.routes.len() {
        return Ok(());
    }
    let why = if count == 0 {
        "it is a local socket; leave out the proxy"
    } else {
        "the last hop of each route must be an SSH server"
    };
    Err(Error::Config(format!("cannot reach {} through a proxy: {why}", plan.target)))
}

/// Rejects `-F` with a hop that has messages of its own around the tunnel's bytes.
fn check_fdpass(args: &Args, plan: &Plan) -> Result<(), Error> {
    let hop = plan.hops().find(|hop| args.fdpass && !hop.protocol.leaves_bytes_alone());
    hop.map_or(Ok(()), |hop| {
        Err(Error::Config(format!(
            "-F cannot be combined with {}: connect must keep running to relay its messages; leave out -F \
             and ssh's ProxyUseFdpass",
            match hop.protocol.name() {
                "SSH" => "an SSH server".to_owned(),
                name if name.starts_with("HTTP") => format!("an {name} proxy"),
                name => format!("a {name} proxy"),
            }
        )))
    })
}

/// Overwrites the passwords in the process's own args, which other users can see in `ps`. Call this
/// once the args have been parsed.
pub fn conceal_args() {
    let mut scanner = secret::ArgScanner::default();
    sys::conceal_args(|arg| scanner.find_password(arg));
}

/// Overwrites the passwords in the process's environment. Call this before starting any other
/// thread.
pub fn conceal_variables() {
    sys::conceal_variables(|variable| {
        let end = variable.iter().position(|&byte| byte == b'=').unwrap_or(variable.len());
        let (name, value) = variable.split_at(end);
        let Some(value) = value.get(1..) else { return 0..0 };
        let password = secret::in_variable(name, value);
        end + 1 + password.start..end + 1 + password.end
    });
}

/// Returns the routes to the target, in the order in which they are tried.
fn routes(args: &Args, target: &Target, sources: &Sources<'_>) -> Result<Vec<Route>, Error> {
    let parse =
        |option, text, syntax| ProxyUrl::parse(sources.option(option, text).value.as_bytes(), option, syntax);
    let url = match &args.proxy {
        ProxyArg::Direct => return Ok(vec![chain::direct_route(args)?]),
        // No proxy can reach a socket on this machine.
        ProxyArg::Auto if matches!(target, Target::Unix(_)) => return Ok(vec![chain::direct_route(args)?]),
        ProxyArg::Auto => return auto::routes(args, sources),
        ProxyArg::Proxies(urls) => {
            return chain::routes(
                sources.option("-x", &urls.join(",")).value.as_bytes(),
                "-x",
                args,
                sources,
            );
        }
        ProxyArg::Http(text) => parse("-H", text, Syntax::Http)?,
        ProxyArg::HttpFromEnvironment => sources.http_proxy()?,
        ProxyArg::Socks(text) => parse("-S", text, Syntax::Socks)?,
        ProxyArg::SocksFromEnvironment => sources.socks_proxy(args.socks_version)?,
        ProxyArg::Telnet(text) => parse("-T", text, Syntax::Telnet)?,
        ProxyArg::TelnetFromEnvironment => sources.telnet_proxy()?,
    };
    let proxies = 1 + usize::from(args.remote.server.is_some());
    let hop = hop::from_url(url, ChainSize { proxies, ..ChainSize::SINGLE }, args, sources)?;
    Ok(vec![chain::route_through(vec![hop], args, sources)?])
}

/// Reads `CONNECT_RELAY`. A parameter file cannot set it.
fn relay_mode(sources: &Sources<'_>) -> Result<RelayMode, Error> {
    match sources.variable("CONNECT_RELAY").as_deref() {
        None | Some(b"" | b"splice") => Ok(RelayMode::Splice),
        Some(b"copy") => Ok(RelayMode::Copy),
        Some(value) => {
            let value = String::from_utf8_lossy(value);
            Err(Error::Config(format!(
                "invalid value '{}' for CONNECT_RELAY; use splice or copy",
                printable(secret::masked(&value).as_bytes())
            )))
        }
    }
}

fn proxy_protocol(value: &str) -> Result<ProxyProtocol, Error> {
    match value.to_ascii_lowercase().as_str() {
        "v1" | "1" => Ok(ProxyProtocol::V1),
        "v2" | "2" => Ok(ProxyProtocol::V2),
        _ => Err(Error::Config(format!(
            "invalid value '{}' for --proxy-protocol; use v1 or v2",
            secret::masked(value)
        ))),
    }
}

/// Returns the time limits that `-w` sets.
fn limits(args: &Args) -> Result<Limits, Error> {
    let Some(value) = args.wait.as_deref() else { return Ok(Limits::PerStep) };
    Ok(seconds(value, "-w")?.map_or(Limits::Unlimited, Limits::Total))
}

/// Parses a number of seconds. As in the C program, 0 means no limit (`None`).
fn seconds(value: &str, option: &str) -> Result<Option<Duration>, Error> {
    let seconds = value.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.ok_or_else(|| {
        Error::Config(format!(
            "invalid value '{}' for {option}; use a number of seconds",
            secret::masked(value)
        ))
    })?;
    Ok(Some(seconds).filter(|seconds| !seconds.is_zero()))
}

#[cfg(test)]
mod tests;

//! `connect` relays standard input and output to a TCP target, directly or through proxies. ssh
//! runs it as its `ProxyCommand`. This crate is the program as a library, for its tests, benchmarks
//! and fuzz targets. The README describes the program, and `docs/architecture.md` its design.
//!
//! Data flows through these modules in this order, which is also the best order to read them in:
//!
//! 1. [`cli::parse`]: the command line → [`Args`].
//! 2. [`config::plan`]: [`Args`], variables and parameter files → a [`Plan`](plan::Plan), which is
//!    plain data.
//! 3. [`Connector::connect`]: name resolution, dialling and a handshake with each proxy → a
//!    [`Tunnel`], on which every byte belongs to the session. The protocols are state machines
//!    without sockets, in [`proto`].
//! 4. [`relay`] relays bytes until the session ends; [`listen`] does so for the clients of a local
//!    port.
//! 5. [`Error`]: a one-line message with the cause and a hint, and an [`ExitCode`].
//!
//! [`run`] does all of this. The first two steps open no socket:
//!
//! ```
//! use connect::cli::{self, Request};
//! use connect::config::{self, Sources};
//! use connect::plan::Hop;
//!
//! let args = ["connect", "-x", "socks5h://socks.example,http://proxy.example:8080", "host.example", "22"];
//! let Request::Session(args) = cli::parse(args.map(Into::into))? else { panic!("not a session") };
//!
//! let variable = |_: &str| None; // an empty environment
//! let warn = |line: &str| eprintln!("{line}");
//! let plan = config::plan(&args, &Sources::new(&variable, &warn))?;
//!
//! let hop_name = |hop: &Hop| format!("{} {}", hop.protocol.name(), hop.proxy);
//! let hops: Vec<_> = plan.hops().map(hop_name).collect();
//! assert_eq!(hops, ["SOCKS5 socks.example:1080", "HTTP proxy.example:8080"]);
//! assert_eq!(plan.target.to_string(), "host.example:22");
//! # Ok::<(), connect::error::Error>(())
//! ```

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};

use cli::{Args, Request, Verbosity};
use config::{Planner, Sources};
use connector::{Connector, check_ending};
use error::{Error, ExitCode};
use net::Tunnel;
use plan::Local;
use trace::trace;

pub mod addr;
pub mod bypass;
pub mod check;
pub mod cli;
pub mod codecs;
pub mod config;
pub mod connector;
pub mod error;
pub mod hops;
pub mod hub;
pub mod listen;
pub mod mint;
pub mod net;
pub mod parameters;
pub mod plan;
pub mod prompt;
pub mod proto;
pub mod relay;
#[cfg(feature = "ssh")]
pub mod remote;
pub mod secret;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod stream;
pub mod sys;
pub mod text;
pub mod token;
pub mod trace;
pub mod tunnels;

/// Runs the program, and returns its exit code. `args` begins with the program's name; `variable`
/// returns the value of an environment variable.
pub fn run(args: impl IntoIterator<Item = OsString>, variable: impl Fn(&str) -> Option<OsString>) -> u8 {
    let result = cli::parse(args).and_then(|request| match request {
        Request::Print(text) => print(&text).map(|()| ExitCode::Ok as u8),
        Request::Mint(args) => mint::run(&args).and_then(|text| print(&text)).map(|()| ExitCode::Ok as u8),
        Request::Session(args) => session(args, &variable),
    });
    result.unwrap_or_else(|error| failed(&error))
}

/// Reports an error, and returns its exit code.
fn failed(error: &Error) -> u8 {
    if !error.is_silent() {
        trace::message(&error.user_message());
    }
    error.exit_code() as u8
}

/// Runs the session, check or listener that the args request. The args stay in their box, because
/// copies on the stack would not be zeroed.
fn session(args: Box<Args>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<u8, Error> {
    if let Verbosity::Debug(times) = args.verbosity {
        trace::start(times);
    }
    // Hide passwords from ps first, because building the plan may run one of the user's commands,
    // which takes time.
    config::conceal_args();
    let check = args.check.as_deref().map(check::Format::parse).transpose()?;
    let (verbosity, warned) = (args.verbosity, RefCell::new(BTreeSet::new()));
    // Print each warning only once, because a file may be read for every hop.
    let warn = |line: &str| {
        if verbosity != Verbosity::Quiet && warned.borrow_mut().insert(line.to_owned()) {
            trace::message(line);
        }
    };
    let sources = Sources::new(variable, &warn);
    let sources = if check.is_some() { sources.recording() } else { sources };
    let plan = config::plan(&args, &sources)?;
    let records = sources.records();
    trace::plan(&plan);
    // Drop both now, because they may contain passwords. From here on, only the connector protects
    // the memory.
    let connector = if check.is_none() && matches!(plan.local, Local::Proxy(_)) {
        let planner = Planner::new(args, &sources, warned.borrow().clone());
        let connector = Connector::with_planner(plan, planner);
        drop(sources);
        connector
    } else {
        let connector = Connector::new(plan);
        drop((args, sources));
        connector
    };
    config::conceal_variables();
    if let Some(format) = check {
        let checked = check::run(&connector, &records, format);
        tunnels::abort_all();
        return checked.map(|code| code as u8);
    }
    let result = match connector.plan().local.clone() {
        Local::Stdio => relay_stdio(connector),
        Local::FdPass => pass_connection(connector),
        Local::Port { at, keep: false } => listen::serve_once(connector, &at),
        Local::Port { at, keep: true } => listen::serve_kept(connector, &at),
        Local::Listen(at) => listen::serve_all(connector, &at),
        Local::Proxy(server) => listen::serve_proxy(connector, server),
        Local::Post(server) => listen::serve_post(connector, &server),
        Local::WebSocket(server) => listen::serve_websocket(connector, &server),
        Local::Origin(settings) => hub::origin::run(connector, &settings),
        Local::Hub(server) => hub::serve(connector.plan(), &server),
        #[cfg(feature = "ssh")]
        Local::Remote(remote) => return run_remote(connector, &remote),
        // The configuration makes no such plan.
        #[cfg(not(feature = "ssh"))]
        Local::Remote(_) => Ok(()),
    };
    tunnels::abort_all();
    result.map(|()| ExitCode::Ok as u8)
}

/// Works at an SSH server. With a program, every failure has the same exit code, so that it differs
/// from the codes of most programs.
#[cfg(feature = "ssh")]
fn run_remote(connector: Connector, remote: &plan::Remote) -> Result<u8, Error> {
    let result = remote::run(connector, remote);
    tunnels::abort_all();
    match result {
        Err(error) if remote.task.is_program() && error.exit_code() != ExitCode::Usage => {
            failed(&error);
            Ok(remote::NO_STATUS)
        }
        result => result,
    }
}

fn relay_stdio(connector: Connector) -> Result<(), Error> {
    let settings = connector.plan().relay;
    let Tunnel { stream, peers } = connector.connect_once(None)?;
    trace!("start relaying.");
    let result = relay::relay_stdio(stream, peers.remote.clone(), settings);
    if result.is_ok() {
        trace!("relaying done.");
    }
    if let Some(warning) = check_ending(&peers, result)?.filter(|_| settings.warns) {
        trace::message(&format!("warning: {}", warning.user_message()));
    }
    Ok(())
}

/// Implements `-F`: passes the connection to ssh.
fn pass_connection(connector: Connector) -> Result<(), Error> {
    // Check before dialling or asking for a password.
    sys::check_fd_passing().map_err(|why| {
        Error::Config(format!("cannot pass the connection to ssh (-F): {why}; set ProxyUseFdpass yes"))
    })?;
    let Tunnel { stream, .. } = connector.connect_once(None)?;
    // The check of the plan rejects TLS with `-F`, so the stream has no layers.
    let channel = stream.as_channel().ok_or(Error::System {
        what: "pass the connection over standard output (-F)",
        cause: io::ErrorKind::Unsupported.into(),
    })?;
    sys::send_fd(channel).map_err(|cause| match cause.kind() {
        io::ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::System { what: "pass the connection over standard output (-F)", cause },
    })?;
    trace!("connection passed");
    Ok(())
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

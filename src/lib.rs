//! `connect` joins standard input and output to a TCP target, directly or through proxies; ssh starts it as its
//! `ProxyCommand`. This is the program as a library: for its own tests, benchmarks and fuzzing, and for whoever wants a part
//! of it. How to use the program is in the repository's README, and why it is built like this in `docs/architecture.md`.
//!
//! The way of the data, and where to start reading:
//!
//! 1. [`cli::parse`]: words → [`Args`], what was typed.
//! 2. [`config::plan`]: that, variables and parameter files → a [`Plan`](plan::Plan), what it means: plain data.
//! 3. [`Connector::connect`]: names, dialling and a negotiation with each proxy → a [`Tunnel`], on which every byte
//!    belongs to the session. The protocols themselves are in [`proto`]: state machines without sockets.
//! 4. [`relay`] carries bytes until the session ends, and [`listen`] does so for the clients of a local port.
//! 5. [`Error`]: one line, what to try, and an [`ExitCode`].
//!
//! [`run`] is all of it. The first two steps touch no socket:
//!
//! ```
//! use connect::cli::{self, Request};
//! use connect::config::{self, Sources};
//!
//! let words = ["connect", "-x", "socks5h://socks.example,http://proxy.example:8080", "host.example", "22"];
//! let Request::Session(typed) = cli::parse(words.map(Into::into))? else { panic!("help, or the version") };
//!
//! let variable = |_: &str| None; // an empty environment
//! let warn = |line: &str| eprintln!("{line}");
//! let plan = config::plan(&typed, &Sources::new(&variable, &warn))?;
//!
//! let hops: Vec<_> = plan.hops().map(|hop| format!("{} {}", hop.protocol.name(), hop.proxy)).collect();
//! assert_eq!(hops, ["SOCKS5 socks.example:1080", "HTTP proxy.example:8080"]);
//! assert_eq!(plan.target.to_string(), "host.example:22");
//! # Ok::<(), connect::error::Error>(())
//! ```

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};

use cli::{Args, Request, Verbosity};
use config::Sources;
use connector::Connector;
use error::{Error, ExitCode};
use net::Tunnel;
use plan::Local;
use trace::trace;

pub mod addr;
pub mod bypass;
pub mod check;
pub mod cli;
pub mod config;
pub mod connector;
pub mod error;
pub mod listen;
pub mod net;
pub mod plan;
pub mod prompt;
pub mod proto;
pub mod relay;
pub mod secret;
pub mod sys;
pub mod text;
pub mod trace;

/// Runs the program. `words` begin with the program's name; `variable` gives the value of a variable of the environment.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> ExitCode {
    let result = cli::parse(words).and_then(|request| match request {
        Request::Print(text) => print(&text).map(|()| ExitCode::Ok),
        Request::Session(typed) => session(typed, &variable),
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            if !error.is_silent() {
                trace::tell(&error.user_message());
            }
            error.exit_code()
        }
    }
}

/// What was typed stays in its box, which is wiped with it: what fields leave unused may hold pieces of a password.
fn session(typed: Box<Args>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<ExitCode, Error> {
    if let Verbosity::Debug(times) = typed.verbosity {
        trace::start(times);
    }
    // At once: making the plan may take as long as a command of the user's does.
    config::conceal_args();
    let check = typed.check.as_deref().map(check::Format::parse).transpose()?;
    let (verbosity, warned) = (typed.verbosity, RefCell::new(BTreeSet::new()));
    // Once each: a file may be looked at for every hop.
    let warn = |line: &str| {
        if verbosity != Verbosity::Quiet && warned.borrow_mut().insert(line.to_owned()) {
            trace::tell(line);
        }
    };
    let sources = Sources::new(variable, &warn);
    let sources = if check.is_some() { sources.recording() } else { sources };
    let plan = config::plan(&typed, &sources)?;
    let records = sources.records();
    config::conceal_variables();
    // Both may hold a password.
    drop((typed, sources));
    trace::plan(&plan);
    let connector = Connector::new(plan);
    if let Some(format) = check {
        return check::run(&connector, &records, format);
    }
    match connector.plan().local.clone() {
        Local::Stdio => join_stdio(connector),
        Local::FdPass => hand_over(connector),
        Local::Port { at, keep: false } => listen::serve_once(connector, &at),
        Local::Port { at, keep: true } => listen::serve_kept(connector, &at),
        Local::Listen(at) => listen::serve_all(connector, &at),
    }?;
    Ok(ExitCode::Ok)
}

fn join_stdio(connector: Connector) -> Result<(), Error> {
    let how = connector.plan().relay;
    let Tunnel { channel, peer } = connector.connect_once(None)?;
    trace!("start relaying.");
    relay::relay_stdio(&channel, &peer, how)?;
    trace!("relaying done.");
    Ok(())
}

/// `-F`: ssh goes on with the connection itself.
fn hand_over(connector: Connector) -> Result<(), Error> {
    // Before anybody is dialled or asked for a password in vain.
    sys::check_fd_passing().map_err(|why| {
        Error::Config(format!("-F hands the connection over, as ssh's ProxyUseFdpass wants it, and {why}"))
    })?;
    let Tunnel { channel, .. } = connector.connect_once(None)?;
    sys::send_fd(&channel).map_err(|cause| match cause.kind() {
        io::ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::System { what: "hand the connection over standard output (-F)", cause },
    })?;
    trace!("connection handed over");
    Ok(())
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

//! `connect` joins standard input and output to a TCP target, directly or through proxies; ssh starts it as its
//! `ProxyCommand`. The way of the data: words → plan → dial → negotiate with each hop → pump → exit code.

use std::ffi::OsString;
use std::io::{self, Write};

use cli::{Request, Typed};
use config::Sources;
use error::{Error, ExitCode};
use net::Tunnel;
use plan::{Local, Plan};
use prompt::{Remembered, User};
use trace::trace;

pub mod addr;
pub mod cli;
pub mod config;
pub mod direct;
pub mod error;
pub mod net;
pub mod plan;
pub mod prompt;
pub mod proto;
pub mod pump;
pub mod secret;
pub mod serve;
pub mod sys;
pub mod text;
pub mod trace;

/// Runs the program. `words` begin with the program's name; `variable` gives the value of a variable of the environment.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> ExitCode {
    let result = cli::parse(words).and_then(|request| match request {
        Request::Print(text) => print(&text),
        Request::Session(typed) => session(&typed, &variable),
    });
    match result {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            if !error.is_quiet() {
                trace::tell(&error.line());
            }
            error.exit_code()
        }
    }
}

fn session(typed: &Typed, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<(), Error> {
    if typed.debug > 0 {
        trace::start(typed.debug);
    }
    let plan = config::plan(typed, &Sources::new(variable, &trace::tell))?;
    trace::plan(&plan);
    let user = Remembered::new(User::new(plan.askpass.clone()));
    match plan.local.clone() {
        Local::Stdio => join_stdio(&plan, &user),
        Local::HandOver => hand_over(&plan, &user),
        Local::Port { at, keep: false } => serve::one(&plan, &at, &user),
        Local::Port { at, keep: true } => serve::kept(&plan, &at, &user),
        Local::Listen(at) => serve::many(plan, &at, user),
    }
}

fn join_stdio(plan: &Plan, user: &Remembered) -> Result<(), Error> {
    let Tunnel { channel, peer } = net::connect(plan, user)?;
    trace!("connected");
    trace!("start relaying.");
    pump::relay_stdio(&channel, &peer, plan.carry)?;
    trace!("relaying done.");
    Ok(())
}

/// `-F`: ssh goes on with the connection itself.
fn hand_over(plan: &Plan, user: &Remembered) -> Result<(), Error> {
    // Before anybody is dialled or asked for a password in vain.
    sys::check_handover().map_err(|why| {
        Error::Usage(format!("-F hands the connection over, as ssh's ProxyUseFdpass wants it, and {why}"))
    })?;
    let Tunnel { channel, .. } = net::connect(plan, user)?;
    trace!("connected");
    sys::hand_over(&channel).map_err(|cause| match cause.kind() {
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

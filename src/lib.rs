//! `connect` joins standard input and output to a TCP target, directly or through proxies; ssh starts it as its
//! `ProxyCommand`. The way of the data: words → plan → dial → negotiate with each hop → pump → exit code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use cli::{Request, Typed};
use error::{Error, Peer};
use prompt::Terminal;
use trace::trace;

pub mod addr;
pub mod cli;
pub mod config;
pub mod error;
pub mod net;
pub mod plan;
pub mod prompt;
pub mod proto;
pub mod pump;
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
        Request::Print(text) => print(&text),
        Request::Session(typed) => session(&typed, &variable),
    });
    let code = match result {
        Ok(()) => error::ExitCode::Ok,
        Err(error) => {
            tell(&error);
            error.exit_code()
        }
    };
    ExitCode::from(code as u8)
}

fn session(typed: &Typed, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<(), Error> {
    if typed.debug > 0 {
        trace::start();
    }
    let plan = config::plan(typed, variable)?;
    trace::plan(&plan);
    let stream = net::connect(&plan, &Terminal)?;
    trace!("connected");
    trace!("start relaying.");
    let peer = plan.hops.first().map_or_else(|| Peer::target(&plan.target), Peer::from);
    pump::relay_stdio(stream, &peer)?;
    trace!("relaying done.");
    Ok(())
}

fn print(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// One line on standard error. That it cannot be written must not change the exit code.
fn tell(error: &Error) {
    if error.is_quiet() {
        return;
    }
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    let line = text::escaped(&format!("connect: {error}{hint}"));
    let _ = writeln!(io::stderr(), "{line}");
}

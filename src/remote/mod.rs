//! Work at an SSH server (`--ssh`): commands, shells, subsystems and forwards.
//!
//! One loop on the main thread waits for the connection, the standard streams, the listeners and
//! the forwarded connections. Each of them has its own buffers, and the window of a channel is
//! refilled as its data is taken, so that none of them stops another.

use std::time::Instant;

use crate::connector::Connector;
use crate::error::{Error, Peer};
use crate::hops::ssh::Server;
use crate::net::Tunnel;
use crate::plan::{Limits, Plan, Remote, Task};
use crate::ssh::connection::Connection;
use crate::ssh::session::{self, Exit};
use crate::sys::Signals;
use crate::trace::trace;
use event_loop::{EventLoop, Finish};
use failure::{Failure, Progress};
use forwards::Forwards;
use link::Link;
use program::{End, Program};

mod copy;
mod escapes;
mod event_loop;
mod failure;
mod forwarded;
mod forwards;
mod link;
mod local_forwards;
mod program;
mod remote_forwards;
mod terminal;

/// The exit code of a program that has none of its own, and of every failure of a run with a
/// program.
pub const NO_STATUS: u8 = 255;

/// Logs in at the server, and performs the task. Returns the exit code.
///
/// # Errors
/// The server could not be reached, refused something, or was lost; or this system failed.
pub fn run(connector: Connector, remote: &Remote) -> Result<u8, Error> {
    let has_terminal = terminal::is_wanted(remote)?;
    let tunnel = connector.connect(None)?;
    let plan = connector.plan().clone();
    let connection = take_connection(&plan);
    // Zeroes the passwords.
    drop(connector);
    let Tunnel { stream, peers } = tunnel;
    let server = peers.granted_by.unwrap_or(peers.remote);
    let lost =
        || Error::System { what: "use the connection", cause: std::io::ErrorKind::NotConnected.into() };
    let link = Link::new(stream, connection.ok_or_else(lost)?, remote.keep_alive);
    work(link, remote, &plan, &server, has_terminal)
}

/// Takes the connection that the login at the last hop has established.
fn take_connection(plan: &Plan) -> Option<Connection> {
    let servers = plan.hops().filter_map(|hop| hop.protocol.as_any().downcast_ref::<Server>());
    servers.filter_map(Server::take_connection).map(|(connection, _)| connection).next()
}

/// Performs the task over the connection.
fn work(
    mut link: Link,
    remote: &Remote,
    plan: &Plan,
    server: &Peer,
    has_terminal: bool,
) -> Result<u8, Error> {
    if let Task::Copy(copying) = &remote.task {
        return copy::run(link, remote, copying, plan, server.clone()).map(|code| code as u8);
    }
    let system = |cause| Error::System { what: "watch for signals", cause };
    // The handlers come first, so that a signal cannot leave a UNIX-domain socket or a changed
    // terminal behind.
    let signals = Signals::watch().map_err(system)?;
    let forwards = Forwards::open(remote, plan, server)?;
    let program = match program_of(&remote.task) {
        None => None,
        Some(program) => {
            let program = start(&mut link, program, remote, has_terminal);
            Some(program.map_err(|failure| failure.into_error(server, Progress::Starting))?)
        }
    };
    trace!("start relaying.");
    let limit = plan.limits.for_step(Limits::HANDSHAKE_TIMEOUT);
    let started = Instant::now();
    let run = EventLoop { link, program, forwards, signals, server: server.clone(), limit, started };
    exit_code(run.run()?, server)
}

fn program_of(task: &Task) -> Option<session::Program> {
    Some(match task {
        Task::Shell => session::Program::Shell,
        Task::Command(line) => session::Program::Command(line.clone().into_bytes()),
        Task::Subsystem(name) => session::Program::Subsystem(name.clone()),
        Task::Copy(_) | Task::Forwards => return None,
    })
}

fn start(
    link: &mut Link,
    program: session::Program,
    remote: &Remote,
    has_terminal: bool,
) -> Result<Program, Failure> {
    let (local, terminal) = if has_terminal {
        let (local, terminal) = terminal::enter(remote)?;
        (local, Some(terminal))
    } else {
        (None, None)
    };
    let request = session::Request { program, variables: remote.variables.clone(), terminal };
    Program::start(link.connection(), request, local)
}

/// Returns the exit code of a run that has ended.
fn exit_code(finish: Finish, server: &Peer) -> Result<u8, Error> {
    let terminated = |text: String| Err(Error::Terminated(text));
    match finish {
        Finish::Program(End::Exit(Some(Exit::Status(status)))) => {
            trace!("relaying done.");
            Ok(u8::try_from(status).unwrap_or(NO_STATUS))
        }
        Finish::Program(End::Exit(Some(Exit::Signal(name)))) => {
            terminated(format!("command terminated by SIG{name}"))
        }
        Finish::Program(End::Exit(None)) => {
            terminated(format!("{server} closed the channel without an exit status"))
        }
        Finish::Program(End::NoStatus(signal)) => {
            terminated(format!("no exit status from {server} within 5 seconds after SIG{signal}"))
        }
        Finish::Program(End::Stopped(name)) => terminated(format!("stopped by SIG{name}")),
        Finish::Program(End::Escaped) => {
            terminated(format!("closed the connection to {server}, as ~. requests"))
        }
        Finish::Program(End::ReaderGone) => Err(Error::ReaderGone),
        Finish::Stopped(name) => {
            trace!("stopped by SIG{name}");
            Ok(0)
        }
    }
}

//! Child processes: the user's commands and password programs. [`start`] is the only function that
//! starts one, and it decides what the child inherits.

#[cfg(feature = "ssh")]
use std::ffi::OsString;
use std::io;
#[cfg(feature = "ssh")]
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
#[cfg(feature = "ssh")]
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{ChildOutput, isolate, kill_isolated, restrict_inheritance, shell_command};
use crate::secret;

/// Shortest and longest sleep between checks for a child's exit.
const CHILD_POLL_BACKOFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A program to run.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    /// A command line for the user's shell.
    Shell(&'a str),
    /// An executable, which is started without a shell, and its only argument.
    File(&'a Path, &'a str),
    /// An executable, which is started without a shell, and its arguments.
    #[cfg(feature = "ssh")]
    Args(&'a Path, &'a [OsString]),
}

impl Program<'_> {
    fn command(self) -> Command {
        match self {
            Self::Shell(line) => shell_command(line),
            Self::File(path, argument) => {
                let mut command = Command::new(path);
                command.arg(argument);
                command
            }
            #[cfg(feature = "ssh")]
            Self::Args(path, arguments) => {
                let mut command = Command::new(path);
                command.args(arguments);
                command
            }
        }
    }
}

/// Variables that systemd sets when it passes sockets to a process (`sd_listen_fds(3)`).
const SOCKET_VARIABLES: [&str; 4] = ["LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Removes variables that hold passwords from a command's environment. Also removes the variables
/// for passed sockets, because children do not inherit the sockets.
fn scrub_env(command: &mut Command) {
    for name in SOCKET_VARIABLES {
        command.env_remove(name);
    }
    for (name, value) in std::env::vars_os() {
        if !secret::in_variable(name.as_encoded_bytes(), value.as_encoded_bytes()).is_empty() {
            command.env_remove(name);
        }
    }
}

/// Starts a child process with `output` as its standard output. The child inherits our standard
/// error and no other descriptor. Its standard input is empty, because ours carries the session.
/// Its environment lacks our secrets, and its resource limits are those that we were started with.
fn start(command: &mut Command, output: Stdio) -> io::Result<Child> {
    scrub_env(command);
    restrict_inheritance(command);
    command.stdin(Stdio::null()).stdout(output).spawn()
}

/// Runs a program, discards its output and waits for it to exit. After `limit`, kills the program
/// and, on Unix, its descendants, and returns `None` instead of a status. Without a limit, waits
/// forever.
///
/// # Errors
/// The program could not be started.
pub fn run_within(program: Program<'_>, limit: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    let mut command = program.command();
    isolate(&mut command);
    let mut child = start(&mut command, Stdio::null())?;
    let status = wait_within(&mut child, limit)?;
    if status.is_none() {
        kill_isolated(child);
    }
    Ok(status)
}

/// The largest output that [`output_within`] returns. A child that writes more gets an error.
#[cfg(feature = "ssh")]
const MAX_OUTPUT: u64 = 1024 * 1024;

/// Stack size of the thread that reads this output.
#[cfg(feature = "ssh")]
const READER_STACK_SIZE: usize = 64 * 1024;

/// Runs a program and waits for it to exit. Returns its status and its standard output, of
/// at most 1 MiB. After `limit`, kills the program as [`run_within`] does, and returns `None`.
///
/// # Errors
/// The program could not be started, or its output could not be read.
#[cfg(feature = "ssh")]
pub fn output_within(program: Program<'_>, limit: Duration) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let mut command = program.command();
    isolate(&mut command);
    let started = Instant::now();
    let mut child = start(&mut command, Stdio::piped())?;
    let pipe = child.stdout.take().ok_or(io::ErrorKind::InvalidInput)?;
    // Read while the child runs: it blocks once its pipe is full. The thread outlives this function
    // only as long as a descendant of the child keeps the pipe open.
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().stack_size(READER_STACK_SIZE).spawn(move || {
        let mut output = Vec::new();
        let result = pipe.take(MAX_OUTPUT).read_to_end(&mut output);
        // Fails if nobody waits for the result any more.
        let _ = sender.send(result.map(|_| output));
    })?;
    let Some(status) = wait_within(&mut child, Some(limit))? else {
        kill_isolated(child);
        return Ok(None);
    };
    match receiver.recv_timeout(limit.saturating_sub(started.elapsed())) {
        Ok(output) => output.map(|output| Some((status, output))),
        Err(_) => Ok(None),
    }
}

/// Waits for a child to exit. Returns `None` after `limit`.
fn wait_within(child: &mut Child, limit: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut delay = CHILD_POLL_BACKOFF.0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        thread::sleep(left.map_or(delay, |left| left.min(delay)));
        delay = (delay * 2).min(CHILD_POLL_BACKOFF.1);
    }
}

/// Starts a program and returns its standard output.
///
/// # Errors
/// The program could not be started.
pub fn run_for_output(program: Program<'_>) -> io::Result<ChildOutput> {
    ChildOutput::new(|| start(&mut program.command(), Stdio::piped()))
}

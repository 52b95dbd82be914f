//! Runs child processes without our secrets in their environment, and with a time limit.

use std::io;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::{ProcessGroup, shell_command};
use crate::secret;

/// Shortest and longest sleep between checks for a child's exit.
const CHILD_POLL_BACKOFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Returns a command that runs `line` in the user's shell.
#[must_use]
pub fn shell(line: &str) -> Command {
    let mut command = shell_command(line);
    scrub_env(&mut command);
    command
}

/// Variables that systemd sets when it passes sockets to a process (`sd_listen_fds(3)`).
const SOCKET_VARIABLES: [&str; 4] = ["LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Removes variables that hold passwords from a command's environment. Also removes the variables
/// for passed sockets, because children do not inherit the sockets.
pub fn scrub_env(command: &mut Command) {
    for name in SOCKET_VARIABLES {
        command.env_remove(name);
    }
    for (name, value) in std::env::vars_os() {
        if !secret::in_variable(name.as_encoded_bytes(), value.as_encoded_bytes()).is_empty() {
            command.env_remove(name);
        }
    }
}

/// Runs a command and waits for it. After `limit`, kills it and everything it started, and returns
/// `None` instead of a status.
///
/// # Errors
/// The program could not be started.
pub fn run_within(command: &mut Command, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut child = ProcessGroup::spawn(command)?;
    let mut delay = CHILD_POLL_BACKOFF.0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            child.kill();
            return Ok(None);
        }
        thread::sleep(delay.min(left));
        delay = (delay * 2).min(CHILD_POLL_BACKOFF.1);
    }
}

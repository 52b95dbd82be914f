//! Programs that we start: without what is ours alone, and not for longer than we can wait.

use std::io;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::{ProcessGroup, shell_command};
use crate::secret;

/// How long to sleep before it is looked again whether a program has ended: at first, and at most.
const CHILD_POLL_BACKOFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A command line for the user's shell.
#[must_use]
pub fn shell(line: &str) -> Command {
    let mut command = shell_command(line);
    scrub_env(&mut command);
    command
}

/// Variables of systemd's about the sockets that it passes to one process (`sd_listen_fds(3)`).
const SOCKETS: [&str; 4] = ["LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The passwords in our environment are none of a program's business, and no socket that was passed to us is there.
pub fn scrub_env(command: &mut Command) {
    for name in SOCKETS {
        command.env_remove(name);
    }
    for (name, value) in std::env::vars_os() {
        if !secret::in_variable(name.as_encoded_bytes(), value.as_encoded_bytes()).is_empty() {
            command.env_remove(name);
        }
    }
}

/// Runs a program to its end; one that takes longer than this is killed with all that it started, and has no status.
///
/// # Errors
/// It does not start.
pub fn run_within(command: &mut Command, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut family = ProcessGroup::spawn(command)?;
    let mut nap = CHILD_POLL_BACKOFF.0;
    loop {
        if let Some(status) = family.try_wait()? {
            return Ok(Some(status));
        }
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            family.kill();
            return Ok(None);
        }
        thread::sleep(nap.min(left));
        nap = (nap * 2).min(CHILD_POLL_BACKOFF.1);
    }
}

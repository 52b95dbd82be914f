//! Child processes in process groups of their own.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process_group};

/// Puts the child and its descendants in a new process group.
pub(in crate::sys) fn isolate(command: &mut Command) {
    command.process_group(0);
}

/// Kills an [isolated](isolate) child that has not been reaped, and its descendants.
pub(in crate::sys) fn kill_isolated(mut child: Child) {
    // The child has not been reaped, so its process id cannot have been reused.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
}

/// Returns a command that runs `line` in the user's shell, as ssh does with `ProxyCommand`.
pub(in crate::sys) fn shell_command(line: &str) -> Command {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    command.arg("-c").arg(line);
    command
}

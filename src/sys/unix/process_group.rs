//! Child processes in process groups of their own.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};

/// A child process and its descendants, which share a new process group.
pub(in crate::sys) struct ProcessGroup(Child);

impl ProcessGroup {
    pub(in crate::sys) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    pub(in crate::sys) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Kills the child and its descendants.
    pub(in crate::sys) fn kill(mut self) {
        // The child has not been reaped, so its process id cannot have been reused.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Returns a command that runs `line` in the user's shell, as ssh does with `ProxyCommand`.
pub(in crate::sys) fn shell_command(line: &str) -> Command {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    command.arg("-c").arg(line);
    command
}

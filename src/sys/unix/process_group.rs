//! A program and all that it starts.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};

/// A program and what it starts: a process group of their own.
pub(in crate::sys) struct ProcessGroup(Child);

impl ProcessGroup {
    pub(in crate::sys) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.process_group(0).spawn().map(Self)
    }

    pub(in crate::sys) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Ends all of them.
    pub(in crate::sys) fn kill(mut self) {
        // It has not been waited for, so the number is still the group's.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// As ssh runs its `ProxyCommand`: by the user's shell.
pub(in crate::sys) fn shell_command(line: &str) -> Command {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    command.arg("-c").arg(line);
    command
}

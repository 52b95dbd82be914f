//! A program that we start.

use std::io;
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

/// A program. What it starts is left alone.
pub(in crate::sys) struct ProcessGroup(Child);

impl ProcessGroup {
    pub(in crate::sys) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(in crate::sys) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Ends it.
    pub(in crate::sys) fn kill(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As ssh runs its `ProxyCommand` there.
pub(in crate::sys) fn shell_command(line: &str) -> Command {
    let mut command = Command::new("cmd.exe");
    // The words are cmd's to take apart: it does not undo the quotes that others would.
    command.arg("/c").raw_arg(line);
    command
}

//! Child processes.

use std::io;
use std::os::windows::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

/// A child process. Unlike on Unix, its descendants are not included.
pub(in crate::sys) struct ProcessGroup(Child);

impl ProcessGroup {
    pub(in crate::sys) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(in crate::sys) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Kills the child.
    pub(in crate::sys) fn kill(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a command that runs `line` in `cmd.exe`, as ssh does with `ProxyCommand`.
pub(in crate::sys) fn shell_command(line: &str) -> Command {
    let mut command = Command::new("cmd.exe");
    // `raw_arg`, because cmd.exe parses the line itself and does not undo the usual quoting.
    command.arg("/c").raw_arg(line);
    command
}

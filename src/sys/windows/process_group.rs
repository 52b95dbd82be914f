//! Child processes.

use std::os::windows::process::CommandExt;
use std::process::{Child, Command};

/// Does nothing: unlike on Unix, a child is killed without its descendants.
pub(in crate::sys) fn isolate(_: &mut Command) {}

/// Kills a child, but not its descendants.
pub(in crate::sys) fn kill_isolated(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Does nothing: Windows has no numbered descriptors and no resource limits.
pub(in crate::sys) fn restrict_inheritance(_: &mut Command) {}

/// Returns a command that runs `line` in `cmd.exe`, as ssh does with `ProxyCommand`.
pub(in crate::sys) fn shell_command(line: &str) -> Command {
    let mut command = Command::new("cmd.exe");
    // Use `raw_arg`, because cmd.exe parses the line itself and does not undo the usual quoting.
    command.arg("/c").raw_arg(line);
    command
}

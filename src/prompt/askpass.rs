//! The program in `SSH_ASKPASS`, by the rules of OpenSSH: its argument is the prompt, the first line of its output is
//! the password, and an exit status other than 0 is a refusal.

use std::path::Path;
use std::process::Command;

use super::program;
use crate::secret::Secret;
use crate::sys;
use crate::text::printable;

/// Runs the program, without a shell, and waits for it as long as it takes.
pub(super) fn ask(program: &Path, prompt: &str) -> Result<Secret, String> {
    let mut command = Command::new(program);
    sys::scrub_env(&mut command);
    let name = printable(program.to_string_lossy().as_bytes());
    program::answer(command.arg(prompt), &format!("the SSH_ASKPASS program {name}"))
}

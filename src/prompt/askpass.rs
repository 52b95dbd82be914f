//! Runs the program in `SSH_ASKPASS` as OpenSSH does: the prompt is its only argument, the first
//! line of its output is the password, and a non-zero exit status means that the user cancelled.

use std::path::Path;
use std::process::Command;

use super::program;
use crate::secret::Secret;
use crate::sys;
use crate::text::printable;

/// Runs the program, without a shell, and blocks until it exits.
pub(super) fn ask(program: &Path, prompt: &str) -> Result<Secret, String> {
    let mut command = Command::new(program);
    sys::scrub_env(&mut command);
    let name = printable(program.to_string_lossy().as_bytes());
    program::read_password(command.arg(prompt), &format!("the SSH_ASKPASS program {name}"))
}

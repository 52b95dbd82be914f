//! Runs the program in `SSH_ASKPASS` as OpenSSH does: the prompt is its only argument, the first
//! line of its output is the password, and a non-zero exit status means that the user cancelled.

use std::path::Path;

use super::program;
use crate::secret::Secret;
use crate::sys::Program;
use crate::text::printable;

/// Runs the program and blocks until it exits.
pub(super) fn ask(program: &Path, prompt: &str) -> Result<Secret, String> {
    let name = printable(program.to_string_lossy().as_bytes());
    program::read_password(Program::File(program, prompt), &format!("the SSH_ASKPASS program {name}"))
}

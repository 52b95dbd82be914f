//! Runs a program and reads a password from the first line of its output. A non-zero exit status
//! means that there is no password.

use std::io::{self, Read};

use crate::error::os_message;
use crate::secret::{FirstLineError, Secret, read_first_line};
use crate::sys::{self, Program};

/// Maximum number of bytes to read and discard after the first line, so that a program that prints
/// a little more does not fail with EPIPE.
const MAX_REST: u64 = 4096;

/// Runs a program and blocks until it exits, but does not wait for other processes that it started.
/// Messages refer to the program as `name`.
pub(super) fn read_password(program: Program<'_>, name: &str) -> Result<Secret, String> {
    let is_prompt = matches!(program, Program::File(..));
    let mut output = sys::run_for_output(program)
        .map_err(|error| format!("{name} failed to start ({})", os_message(&error)))?;
    let line = read_first_line(&mut output);
    if line.is_ok() {
        // Ignore errors here: the password is already complete.
        let _ = io::copy(&mut (&mut output).take(MAX_REST), &mut io::sink());
    }
    match (line, output.wait()) {
        (Err(error @ FirstLineError::TooLong), _) => Err(format!("{name} printed no password: {error}")),
        (_, Ok(status)) if !status.success() => Err(format!("{name} was cancelled or failed ({status})")),
        (Err(FirstLineError::Io(error)), _) | (_, Err(error)) => {
            Err(format!("reading the output of {name} failed ({})", os_message(&error)))
        }
        // From a prompt, an empty line is an answer. From a command, it means that a lookup failed.
        (Err(FirstLineError::Empty), _) if is_prompt => Ok(Secret::new(Vec::new())),
        (Err(error @ (FirstLineError::Empty | FirstLineError::NoLine | FirstLineError::Utf16)), _) => {
            Err(format!("{name} printed no password: {error}"))
        }
        (Ok(password), _) => Ok(password),
    }
}

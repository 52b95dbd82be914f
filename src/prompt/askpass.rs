//! The program in `SSH_ASKPASS`, by the rules of OpenSSH: its argument is the prompt, the first line of its output is
//! the password, and an exit status other than 0 is a refusal.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::sys;
use crate::text::printable;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u16 = 4096;

/// Runs the program, without a shell, and waits for it as long as it takes.
pub(super) fn ask(program: &Path, prompt: &str) -> Result<Secret, String> {
    let name = printable(program.to_string_lossy().as_bytes());
    let mut command = Command::new(program);
    command.arg(prompt).stdin(Stdio::null()).stdout(Stdio::piped());
    sys::withhold_passwords(&mut command);
    let mut child = command
        .spawn()
        .map_err(|error| format!("the SSH_ASKPASS program {name} does not start ({error})"))?;
    // Large enough from the start: growing would leave a copy behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(usize::from(MAX_ANSWER) + 1));
    let read =
        child.stdout.take().map_or(Ok(0), |output| output.take(MAX_ANSWER.into()).read_to_end(&mut answer));
    let status = child.wait();
    let end = answer.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    if end.is_none() && answer.len() == usize::from(MAX_ANSWER) {
        return Err(format!(
            "the SSH_ASKPASS program {name} gave a first line of {MAX_ANSWER} bytes or more"
        ));
    }
    match (read, status) {
        (Ok(_), Ok(status)) if status.success() => {}
        (Ok(_), Ok(status)) => {
            return Err(format!("the SSH_ASKPASS program {name} was cancelled or failed ({status})"));
        }
        (Err(error), _) | (_, Err(error)) => {
            return Err(format!("the answer of the SSH_ASKPASS program {name} cannot be read ({error})"));
        }
    }
    let end = end.unwrap_or(answer.len());
    if end == 0 {
        return Err(format!("the SSH_ASKPASS program {name} gave an empty answer"));
    }
    Ok(Secret::new(answer[..end].to_vec()))
}

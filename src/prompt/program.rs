//! A program that says a password: it is the first line of its output, and an exit status other than 0 is a refusal.

use std::io::Read;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::error::os_message;
use crate::secret::Secret;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u16 = 4096;

/// Runs a program, which is called `who`, and waits for it as long as it takes. Standard input carries the session.
pub(super) fn answer(command: &mut Command, who: &str) -> Result<Secret, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{who} does not start ({})", os_message(&error)))?;
    // Large enough from the start: growing would leave a copy behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(usize::from(MAX_ANSWER) + 1));
    let read =
        child.stdout.take().map_or(Ok(0), |output| output.take(MAX_ANSWER.into()).read_to_end(&mut answer));
    let status = child.wait();
    let end = answer.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    if end.is_none() && answer.len() == usize::from(MAX_ANSWER) {
        return Err(format!("{who} gave a first line of {MAX_ANSWER} bytes or more"));
    }
    match (read, status) {
        (Ok(_), Ok(status)) if status.success() => {}
        (Ok(_), Ok(status)) => {
            return Err(format!("{who} was cancelled or failed ({status})"));
        }
        (Err(error), _) | (_, Err(error)) => {
            return Err(format!("the answer of {who} cannot be read ({})", os_message(&error)));
        }
    }
    let end = end.unwrap_or(answer.len());
    if end == 0 {
        return Err(format!("{who} gave an empty answer"));
    }
    Ok(Secret::new(answer[..end].to_vec()))
}

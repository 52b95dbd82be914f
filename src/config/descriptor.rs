//! Reads secrets from file descriptors inherited from the parent process.

use super::setting::Setting;
use crate::error::{Error, os_message};
use crate::secret::{self, Secret};
use crate::sys;
use crate::trace::trace;

/// The lowest file descriptor that can hold a secret: 0, 1 and 2 are the standard streams.
const FIRST_DESCRIPTOR: u32 = 3;

/// Reads the first line from the descriptor with this number. `what` names the secret in messages.
///
/// # Errors
/// The value is not a number of at least 3, or the descriptor cannot be read.
pub(super) fn read_first_line(number: &Setting, what: &str) -> Result<Secret, Error> {
    let option = number.name;
    // The value may be the secret itself.
    let shown = secret::quotable_number(&number.value);
    let is_number = number.value.bytes().all(|byte| byte.is_ascii_digit());
    let descriptor = number.value.parse().ok().filter(|number| is_number && *number >= FIRST_DESCRIPTOR);
    let descriptor = descriptor.ok_or_else(|| {
        let shown = shown.map(|number| format!(" '{number}'")).unwrap_or_default();
        Error::Config(format!(
            "invalid value{shown} for {option}; use 3 or higher, because 0, 1 and 2 are standard input, output and error"
        ))
    })?;
    let shown =
        shown.map_or_else(|| "the file descriptor".into(), |number| format!("file descriptor {number}"));
    trace!("reading {what} from {shown}");
    sys::read_inherited(descriptor).and_then(|file| Ok(secret::read_first_line(file)?)).map_err(|error| {
        Error::Config(format!("{option}: cannot read {what} from {shown}: {}", os_message(&error)))
    })
}

//! Asks the user for a password, on the terminal: standard input and output carry the session.

use crate::secret::{AskPassword, Secret};
use crate::sys::{self, RestoreTerminal};

/// The user at the controlling terminal.
#[derive(Debug, Default)]
pub struct Terminal;

impl AskPassword for Terminal {
    fn can_be_asked(&self) -> bool {
        sys::has_terminal()
    }

    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        let guard =
            RestoreTerminal::on_signals().map_err(|_| "there is no terminal to ask for it on".to_owned())?;
        let answer = rpassword::prompt_password(prompt);
        drop(guard);
        match answer {
            Ok(password) => Ok(Secret::new(password.into_bytes())),
            Err(error) => Err(format!("it could not be read from the terminal ({error})")),
        }
    }
}

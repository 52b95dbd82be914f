//! Asks the user for a password: by the askpass program, or on the terminal, since standard input and output carry
//! the session.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::secret::{AskPassword, Secret};
use crate::sys::{self, RestoreTerminal};

mod askpass;

/// The user, who is asked by a program if there is one, else at the controlling terminal.
#[derive(Debug, Default)]
pub struct User {
    askpass: Option<PathBuf>,
}

impl User {
    /// The user, and the program that asks.
    #[must_use]
    pub fn new(askpass: Option<PathBuf>) -> Self {
        Self { askpass }
    }
}

impl AskPassword for User {
    fn can_be_asked(&self) -> bool {
        self.askpass.is_some() || sys::has_terminal()
    }

    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        self.askpass.as_ref().map_or_else(|| on_terminal(prompt), |program| askpass::ask(program, prompt))
    }
}

fn on_terminal(prompt: &str) -> Result<Secret, String> {
    let guard =
        RestoreTerminal::on_signals().map_err(|_| "there is no terminal to ask for it on".to_owned())?;
    let answer = rpassword::prompt_password(prompt);
    drop(guard);
    match answer {
        Ok(password) => Ok(Secret::new(password.into_bytes())),
        Err(error) => Err(format!("it could not be read from the terminal ({error})")),
    }
}

/// A user who is asked the same thing once only: a listener with a thousand clients needs one password.
#[derive(Debug, Default)]
pub struct Remembered {
    user: User,
    /// In order, since a hashed map would ask the system for randomness at every start.
    answers: Mutex<BTreeMap<String, Secret>>,
}

impl Remembered {
    /// Remembers what this user answers.
    #[must_use]
    pub fn new(user: User) -> Self {
        Self { user, answers: Mutex::default() }
    }

    /// Forgets all answers: one of them was wrong.
    pub fn forget(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl AskPassword for Remembered {
    fn can_be_asked(&self) -> bool {
        self.user.can_be_asked()
    }

    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        // Held while the user types: a second question would get the same answer.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.get(prompt) {
            return Ok(known.clone());
        }
        let answer = self.user.ask(prompt)?;
        answers.insert(prompt.to_owned(), answer.clone());
        Ok(answer)
    }
}

//! Asks the user for a password: by the askpass program, or on the terminal, since standard input and output carry
//! the session.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::os_message;
use crate::secret::{AskPassword, Secret};
use crate::sys::{self, RestoreTerminal};

mod askpass;
mod program;

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

    fn run(&self, command: &str, source: &str) -> Result<Secret, String> {
        program::answer(&mut sys::shell(command), &format!("the command in {source}"))
    }
}

fn on_terminal(prompt: &str) -> Result<Secret, String> {
    let guard =
        RestoreTerminal::on_signals().map_err(|_| "there is no terminal to ask for it on".to_owned())?;
    let answer = rpassword::prompt_password(prompt);
    drop(guard);
    match answer {
        Ok(password) => Ok(Secret::new(password.into_bytes())),
        Err(error) => Err(format!("it could not be read from the terminal ({})", os_message(&error))),
    }
}

/// A question that was not answered is not asked again so soon: whoever says no to one client of a listener says no to
/// the others that wait, and to those that try again at once.
const QUIET: Duration = Duration::from_secs(10);

/// A user who is asked the same thing once only: a listener with a thousand clients needs one password.
#[derive(Debug)]
pub struct Remembered<U = User> {
    user: U,
    quiet: Duration,
    /// In order, since a hashed map would ask the system for randomness at every start.
    answers: Mutex<BTreeMap<Question, Answer>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// With this prompt.
    Prompt(String),
    /// To this command.
    Command(String),
}

#[derive(Debug)]
enum Answer {
    Password(Secret),
    /// Why there was none, and when.
    None(String, Instant),
}

impl<U> Remembered<U> {
    /// Remembers what this user answers.
    #[must_use]
    pub fn new(user: U) -> Self {
        Self { user, quiet: QUIET, answers: Mutex::default() }
    }

    /// Forgets all answers: one of them was wrong.
    pub fn forget(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn remembered(
        &self,
        question: Question,
        ask: impl FnOnce() -> Result<Secret, String>,
    ) -> Result<Secret, String> {
        // Held while the user types: a second question would get the same answer.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.get(&question) {
            Some(Answer::Password(known)) => return Ok(known.clone()),
            Some(Answer::None(why, since)) if since.elapsed() < self.quiet => return Err(why.clone()),
            _ => {}
        }
        let answer = ask();
        let remembered = match &answer {
            Ok(password) => Answer::Password(password.clone()),
            Err(why) => Answer::None(why.clone(), Instant::now()),
        };
        answers.insert(question, remembered);
        answer
    }
}

impl<U: AskPassword> AskPassword for Remembered<U> {
    fn can_be_asked(&self) -> bool {
        self.user.can_be_asked()
    }

    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        self.remembered(Question::Prompt(prompt.into()), || self.user.ask(prompt))
    }

    fn run(&self, command: &str, source: &str) -> Result<Secret, String> {
        self.remembered(Question::Command(command.into()), || self.user.run(command, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Says no to the first question and answers the others.
    #[derive(Default)]
    struct Reluctant(AtomicUsize);

    impl AskPassword for Reluctant {
        fn can_be_asked(&self) -> bool {
            true
        }

        fn ask(&self, _: &str) -> Result<Secret, String> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err("cancelled".into()),
                _ => Ok(Secret::from("secret")),
            }
        }

        fn run(&self, command: &str, _: &str) -> Result<Secret, String> {
            self.ask(command)
        }
    }

    #[test]
    fn a_question_that_was_cancelled_is_asked_again_but_not_at_once() {
        let mut user = Remembered::new(Reluctant::default());
        for _ in 0..3 {
            assert_eq!(user.ask("?"), Err("cancelled".into()));
        }
        assert_eq!(user.ask("another?"), Ok(Secret::from("secret")));
        user.quiet = Duration::ZERO;
        assert_eq!(user.ask("?"), Ok(Secret::from("secret")));
        assert_eq!(user.ask("?"), Ok(Secret::from("secret")));
        assert_eq!(user.user.0.load(Ordering::Relaxed), 3);
        // A command is another question, and remembered in the same way.
        for _ in 0..2 {
            assert_eq!(user.run("?", "--password-command"), Ok(Secret::from("secret")));
        }
        assert_eq!(user.user.0.into_inner(), 4);
    }
}

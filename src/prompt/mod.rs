//! Prompts the user for a password, with the askpass program or on the controlling terminal,
//! because standard input and output carry the session.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::os_message;
use crate::secret::{AskPassword, Secret};
use crate::sys::{self, Program, RestoreTerminal};
use crate::text::escaped;

mod askpass;
mod program;

/// Prompts with the askpass program if one is set, and on the controlling terminal otherwise.
#[derive(Debug, Default)]
pub struct Prompter {
    askpass: Option<PathBuf>,
}

impl Prompter {
    /// Creates a prompter that uses this askpass program, or the terminal if it is `None`.
    #[must_use]
    pub fn new(askpass: Option<PathBuf>) -> Self {
        Self { askpass }
    }
}

impl AskPassword for Prompter {
    fn can_be_asked(&self) -> bool {
        self.askpass.is_some() || sys::has_terminal()
    }

    /// Control characters and invisible characters in the prompt are escaped, because a user name
    /// may come from a file that the user did not write.
    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        let prompt = escaped(prompt);
        match &self.askpass {
            Some(program) => askpass::ask(program, &prompt),
            None => prompt_on_terminal(&prompt),
        }
    }

    #[cfg(feature = "ssh")]
    fn ask_anew(&self, prompt: &str, is_visible: bool) -> Result<Secret, String> {
        match &self.askpass {
            None if is_visible => read_line_on_terminal(&escaped(prompt)),
            _ => self.ask(prompt),
        }
    }

    fn run(&self, command: &str, source: &str) -> Result<Secret, String> {
        program::read_password(Program::Shell(command), &format!("the command in {source}"))
    }
}

/// Held during a prompt on the terminal: the user can answer only one at a time, and there is only
/// one set of terminal settings to restore.
static TERMINAL: Mutex<()> = Mutex::new(());

fn prompt_on_terminal(prompt: &str) -> Result<Secret, String> {
    let _serialized = lock(&TERMINAL);
    let guard = RestoreTerminal::on_signals().map_err(|_| "there is no terminal to prompt on".to_owned())?;
    let answer = rpassword::prompt_password(prompt);
    drop(guard);
    match answer {
        Ok(password) => Ok(Secret::new(password.into_bytes())),
        Err(error) => Err(format!("reading it from the terminal failed ({})", os_message(&error))),
    }
}

#[cfg(feature = "ssh")]
fn read_line_on_terminal(prompt: &str) -> Result<Secret, String> {
    let _serialized = lock(&TERMINAL);
    let answer = sys::read_visible_line(prompt);
    answer.map(|line| Secret::new(line.to_vec())).map_err(|_| "there is no terminal to prompt on".to_owned())
}

/// Time for which a refusal is cached. Cancelling the prompt for one client of a listener also
/// cancels it for clients that are waiting and for clients that retry immediately.
const PROMPT_REFUSAL_TTL: Duration = Duration::from_secs(10);

/// Caches passwords, so that a listener with a thousand clients prompts once.
///
/// Sessions that need the same password share one prompt. Prompts for different passwords can run
/// in parallel, except on the terminal.
#[derive(Debug)]
pub struct PromptCache<P = Prompter> {
    prompter: P,
    refusal_ttl: Duration,
    /// Not a `HashMap`, which would read random bytes from the system at each start.
    answers: Mutex<BTreeMap<Prompt, Arc<Entry>>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Locked until the user answers: sessions that need the same password wait for this answer.
    asking: Mutex<()>,
    answer: Mutex<Option<Answer>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Prompt {
    /// The text of a prompt for the user.
    User(String),
    /// A password command.
    Command(String),
}

#[derive(Debug)]
enum Answer {
    Password(Secret),
    /// The reason for the missing password, and the time at which the prompt failed.
    Refused(String, Instant),
}

impl<P> PromptCache<P> {
    /// Creates an empty cache for this prompter's answers.
    #[must_use]
    pub fn new(prompter: P) -> Self {
        Self { prompter, refusal_ttl: PROMPT_REFUSAL_TTL, answers: Mutex::default() }
    }

    /// Returns the cached password. Does not wait while the user is being asked for it.
    fn get(&self, prompt: &Prompt) -> Option<Secret> {
        let entry = lock(&self.answers).get(prompt).cloned()?;
        match &*lock(&entry.answer) {
            Some(Answer::Password(known)) => Some(known.clone()),
            _ => None,
        }
    }

    fn get_or_ask(
        &self,
        prompt: Prompt,
        ask: impl FnOnce() -> Result<Secret, String>,
    ) -> Result<Secret, String> {
        let entry = Arc::clone(lock(&self.answers).entry(prompt).or_default());
        let _serialized = lock(&entry.asking);
        match &*lock(&entry.answer) {
            Some(Answer::Password(known)) => return Ok(known.clone()),
            Some(Answer::Refused(why, since)) if since.elapsed() < self.refusal_ttl => {
                return Err(why.clone());
            }
            _ => {}
        }
        let answer = ask();
        *lock(&entry.answer) = Some(match &answer {
            Ok(password) => Answer::Password(password.clone()),
            Err(why) => Answer::Refused(why.clone(), Instant::now()),
        });
        answer
    }
}

impl<P: AskPassword> AskPassword for PromptCache<P> {
    fn can_be_asked(&self) -> bool {
        self.prompter.can_be_asked()
    }

    fn ask(&self, prompt: &str) -> Result<Secret, String> {
        self.get_or_ask(Prompt::User(prompt.into()), || self.prompter.ask(prompt))
    }

    fn ask_anew(&self, prompt: &str, is_visible: bool) -> Result<Secret, String> {
        self.prompter.ask_anew(prompt, is_visible)
    }

    fn run(&self, command: &str, source: &str) -> Result<Secret, String> {
        self.get_or_ask(Prompt::Command(command.into()), || self.prompter.run(command, source))
    }

    fn last_answer(&self, prompt: &str) -> Option<Secret> {
        self.get(&Prompt::User(prompt.into()))
    }

    fn last_output(&self, command: &str) -> Option<Secret> {
        self.get(&Prompt::Command(command.into()))
    }

    fn forget(&self) {
        lock(&self.answers).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;

    /// Refuses the first prompt and answers all others.
    #[derive(Default)]
    struct RefusesFirst(AtomicUsize);

    impl AskPassword for RefusesFirst {
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
    fn a_cancelled_prompt_is_repeated_but_not_immediately() {
        let mut cache = PromptCache::new(RefusesFirst::default());
        for _ in 0..3 {
            assert_eq!(cache.ask("?"), Err("cancelled".into()));
        }
        assert_eq!(cache.ask("another?"), Ok(Secret::from("secret")));
        cache.refusal_ttl = Duration::ZERO;
        assert_eq!(cache.ask("?"), Ok(Secret::from("secret")));
        assert_eq!(cache.ask("?"), Ok(Secret::from("secret")));
        assert_eq!(cache.prompter.0.load(Ordering::Relaxed), 3);
        // Commands are cached too, but separately from prompts with the same text.
        for _ in 0..2 {
            assert_eq!(cache.run("?", "--password-command"), Ok(Secret::from("secret")));
        }
        assert_eq!(cache.prompter.0.load(Ordering::Relaxed), 4);
        assert_eq!(cache.last_answer("?"), Some(Secret::from("secret")));
        assert_eq!((cache.last_answer("a third?"), cache.last_output("another?")), (None, None));
        cache.forget();
        assert_eq!((cache.last_answer("?"), cache.last_output("?")), (None, None));
        assert_eq!(cache.prompter.0.into_inner(), 4);
    }

    /// Reports each command that it runs. The command "slow" blocks until the test ends it.
    struct SlowCommand {
        started: Mutex<Sender<String>>,
        end: Mutex<Receiver<()>>,
    }

    impl AskPassword for SlowCommand {
        fn can_be_asked(&self) -> bool {
            false
        }

        fn ask(&self, _: &str) -> Result<Secret, String> {
            Err("nobody is there".into())
        }

        fn run(&self, command: &str, _: &str) -> Result<Secret, String> {
            lock(&self.started).send(command.into()).unwrap();
            if command == "slow" {
                lock(&self.end).recv_timeout(Duration::from_secs(10)).unwrap();
            }
            Ok(Secret::from(command))
        }
    }

    /// All prompts used to share one lock.
    #[test]
    fn a_slow_password_command_does_not_block_the_prompts_of_other_proxies() {
        let (started, starts) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let cache = PromptCache::new(SlowCommand { started: Mutex::new(started), end: Mutex::new(ended) });
        thread::scope(|scope| {
            let slow = scope.spawn(|| cache.run("slow", "--password-command"));
            assert_eq!(starts.recv_timeout(Duration::from_secs(10)).unwrap(), "slow");
            let same = scope.spawn(|| cache.run("slow", "--password-command"));
            assert_eq!(cache.run("fast", "--password-command"), Ok(Secret::from("fast")));
            assert!(!slow.is_finished() && !same.is_finished());
            assert_eq!(cache.last_output("slow"), None);
            assert_eq!(cache.last_output("fast"), Some(Secret::from("fast")));
            end.send(()).unwrap();
            assert_eq!(slow.join().unwrap(), Ok(Secret::from("slow")));
            assert_eq!(same.join().unwrap(), Ok(Secret::from("slow")));
        });
        let commands: Vec<_> = starts.try_iter().collect();
        assert_eq!(commands, ["fast"], "the same password is asked for once");
    }
}

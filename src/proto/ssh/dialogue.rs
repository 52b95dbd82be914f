//! The questions of a login to the user: passphrases, passwords and answers.

use zeroize::Zeroizing;

use super::{Login, Prompts, SignError};
use crate::proto::{Credentials, Step};
use crate::secret::Secret;
use crate::ssh::client_auth::{self, ClientAuth, Questions};
use crate::text::printable;

/// The number of passphrases to ask for, for each key.
const MAX_PASSPHRASES: u32 = 3;

/// The state of the questions to the user.
#[derive(Default)]
pub(super) struct Dialogue {
    /// The purpose of the next answer.
    pending: Option<Pending>,
    /// The password that was sent last, to be replaced if it has expired.
    password: Option<Secret>,
    /// The configured password was sent.
    has_used_password: bool,
    /// The password command, or the user, was asked for a password.
    has_asked_password: bool,
    passphrases: u32,
}

enum Pending {
    /// The passphrase of a key that is to sign.
    Passphrase {
        identity: usize,
        algorithm: &'static str,
        data: Vec<u8>,
    },
    Password,
    NewPassword,
    /// The password command's answer to the only hidden question.
    CommandAnswer,
    /// The answer to the next question.
    Question {
        questions: Questions,
        answers: Vec<Zeroizing<Vec<u8>>>,
    },
}

impl Dialogue {
    /// Starts over on a new connection.
    pub(super) fn restart(&mut self) {
        self.pending = None;
        self.passphrases = 0;
    }

    /// Does what the login asks for, or returns a question to the user.
    pub(super) fn step(
        &mut self,
        step: client_auth::Step,
        auth: &mut ClientAuth,
        login: &mut Login,
    ) -> Option<Step> {
        match step {
            client_auth::Step::Sign { identity, algorithm, data } => {
                let Some(prompt) = login.signers[identity].passphrase_prompt() else {
                    self.sign((identity, algorithm, &data), None, auth, login);
                    return None;
                };
                if login.prompts == Prompts::None {
                    login.unusable.push(login.signers[identity].without_passphrase());
                    auth.signed(None);
                    return None;
                }
                self.pending = Some(Pending::Passphrase { identity, algorithm, data });
                Some(Step::Ask { prompt, is_visible: false, is_new: self.passphrases > 0 })
            }
            client_auth::Step::Password => self.next_password(auth, login),
            client_auth::Step::NewPassword(_) if login.prompts == Prompts::None => {
                login.unusable.push(
                    "the password has expired, and there is neither terminal nor askpass for a new one"
                        .into(),
                );
                auth.new_password(None);
                None
            }
            client_auth::Step::NewPassword(prompt) => {
                let prompt = printable(prompt.as_bytes());
                let prompt = if prompt.is_empty() { "The password has expired.".into() } else { prompt };
                let prompt = format!("{prompt} New password for {}: ", login.server);
                self.pending = Some(Pending::NewPassword);
                Some(Step::Ask { prompt, is_visible: false, is_new: true })
            }
            client_auth::Step::Ask(questions) => self.questions(questions, auth, login),
            client_auth::Step::Send(_) | client_auth::Step::Receive | client_auth::Step::Done => None,
        }
    }

    /// Sends the configured password, once, or gets another one.
    fn next_password(&mut self, auth: &mut ClientAuth, login: &Login) -> Option<Step> {
        if let Some(password) = login.password.clone() {
            if std::mem::replace(&mut self.has_used_password, true) {
                auth.password(None);
            } else {
                auth.password(Some(password.expose()));
                self.password = Some(password);
            }
            return None;
        }
        match (login.prompts, std::mem::replace(&mut self.has_asked_password, true)) {
            (Prompts::None, _) | (Prompts::Command, true) => {
                auth.password(None);
                None
            }
            (Prompts::Command | Prompts::User, false) => Some(Step::Credentials),
            (Prompts::User, true) => {
                self.pending = Some(Pending::Password);
                Some(Step::Ask { prompt: login.password_prompt.clone(), is_visible: false, is_new: true })
            }
        }
    }

    /// Answers the only hidden question with the configured password, and asks the user otherwise.
    fn questions(&mut self, questions: Questions, auth: &mut ClientAuth, login: &Login) -> Option<Step> {
        match (&login.password, questions.questions.as_slice()) {
            (_, []) => {
                auth.answers(Some(&[]));
                None
            }
            (Some(password), [(_, false)]) if !self.has_used_password => {
                self.has_used_password = true;
                auth.answers(Some(&[Zeroizing::new(password.expose().to_vec())]));
                None
            }
            (None, [(_, false)]) if login.prompts == Prompts::Command && !self.has_asked_password => {
                self.has_asked_password = true;
                self.pending = Some(Pending::CommandAnswer);
                Some(Step::Credentials)
            }
            (None, _) if login.prompts == Prompts::User => {
                self.pending = Some(Pending::Question { questions, answers: Vec::new() });
                None
            }
            _ => {
                auth.answers(None);
                None
            }
        }
    }

    /// Supplies the user's answer.
    pub(super) fn answered(
        &mut self,
        answer: Result<Secret, String>,
        auth: &mut ClientAuth,
        login: &mut Login,
    ) {
        match self.pending.take() {
            Some(Pending::Passphrase { identity, algorithm, data }) => {
                if let Ok(passphrase) = answer {
                    self.sign((identity, algorithm, &data), Some(&passphrase), auth, login);
                } else {
                    login.unusable.push(login.signers[identity].without_passphrase());
                    auth.signed(None);
                }
            }
            Some(Pending::Password) => {
                auth.password(answer.as_ref().ok().map(Secret::expose));
                self.password = answer.ok();
            }
            Some(Pending::NewPassword) => {
                let passwords = self.password.as_ref().zip(answer.as_ref().ok());
                auth.new_password(passwords.map(|(old, new)| (old.expose(), new.expose())));
                self.password = answer.ok();
            }
            Some(Pending::Question { questions, mut answers }) => {
                let Ok(answer) = answer else { return auth.answers(None) };
                answers.push(Zeroizing::new(answer.expose().to_vec()));
                if answers.len() == questions.questions.len() {
                    auth.answers(Some(&answers));
                } else {
                    self.pending = Some(Pending::Question { questions, answers });
                }
            }
            Some(Pending::CommandAnswer) | None => {}
        }
    }

    /// Returns the next question of the server that the user has not answered. The first one is
    /// preceded by the server's title and instruction.
    pub(super) fn next_question(&self) -> Option<Step> {
        let Some(Pending::Question { questions, answers }) = &self.pending else { return None };
        let (question, is_visible) = questions.questions.get(answers.len())?;
        let intro = [&questions.name, &questions.instruction].map(|text| printable(text.as_bytes()));
        let intro = intro.iter().filter(|text| answers.is_empty() && !text.is_empty());
        let parts: Vec<_> = intro.cloned().chain([printable(question.as_bytes())]).collect();
        Some(Step::Ask { prompt: format!("{} ", parts.join(" ")), is_visible: *is_visible, is_new: true })
    }

    /// Supplies the password that the user has entered, or the password command has printed.
    pub(super) fn credentials(&mut self, credentials: Credentials, auth: &mut ClientAuth) {
        if let Some(Pending::CommandAnswer) = self.pending {
            self.pending = None;
            return auth.answers(Some(&[Zeroizing::new(credentials.password.expose().to_vec())]));
        }
        auth.password(Some(credentials.password.expose()));
        self.password = Some(credentials.password);
    }

    fn sign(
        &mut self,
        (identity, algorithm, data): (usize, &'static str, &[u8]),
        passphrase: Option<&Secret>,
        auth: &mut ClientAuth,
        login: &mut Login,
    ) {
        let reason = match login.signers[identity].sign(algorithm, data, passphrase) {
            Ok(signature) => {
                self.passphrases = 0;
                return auth.signed(Some(&signature));
            }
            Err(SignError::WrongPassphrase(_)) if self.passphrases + 1 < MAX_PASSPHRASES => {
                // The next step asks again.
                self.passphrases += 1;
                return;
            }
            Err(SignError::WrongPassphrase(reason) | SignError::Unusable(reason)) => reason,
        };
        self.passphrases = 0;
        login.unusable.push(reason);
        auth.signed(None);
    }
}

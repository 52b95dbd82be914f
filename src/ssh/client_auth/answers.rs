//! Authentication by password (RFC 4252 §8), and by answers to questions (RFC 4256).

use zeroize::Zeroizing;

use super::identity::Tried;
use super::{ClientAuth, MAX_PROMPTS, Method, State, Step};
use crate::ssh::message;
use crate::ssh::wire::Write;

impl ClientAuth {
    /// Supplies the password that [`Step::Password`] asks for; `None` if there is none.
    pub fn password(&mut self, password: Option<&[u8]>) {
        debug_assert_eq!(self.state, State::Awaiting(Step::Password));
        let Some(password) = password else {
            self.password_prompts = MAX_PROMPTS;
            self.state = State::Choose;
            return;
        };
        self.note(Tried::Password);
        let request = self.request("password", |request| {
            request.put_bool(false).put_string(password);
        });
        self.state = State::Sending(request, Method::Password);
    }

    /// Supplies the old and the new password that [`Step::NewPassword`] asks for; `None` if there
    /// is none.
    pub fn new_password(&mut self, passwords: Option<(&[u8], &[u8])>) {
        let Some((old, new)) = passwords else {
            self.password_prompts = MAX_PROMPTS;
            self.state = State::Choose;
            return;
        };
        let request = self.request("password", |request| {
            request.put_bool(true).put_string(old).put_string(new);
        });
        self.state = State::Sending(request, Method::Password);
    }

    /// Supplies the answers that [`Step::Ask`] asks for, one for each question; `None` if there are
    /// none.
    pub fn answers(&mut self, answers: Option<&[Zeroizing<Vec<u8>>]>) {
        let Some(answers) = answers else {
            // Another request aborts the method (RFC 4256 §3.2).
            self.question_prompts = MAX_PROMPTS;
            self.state = State::Choose;
            return;
        };
        let length: usize = answers.iter().map(|answer| 4 + answer.len()).sum();
        let mut response = Zeroizing::new(Vec::with_capacity(5 + length));
        response.put_u8(message::USERAUTH_INFO_RESPONSE);
        response.put_u32(u32::try_from(answers.len()).unwrap_or(u32::MAX));
        for answer in answers {
            response.put_string(answer.as_slice());
        }
        self.state = State::Sending(response, Method::Questions);
    }
}

//! The driver's view of a channel that is being opened.

use std::mem;

use super::super::failure::Stage;
use super::{OpenChannel, Phase};
use crate::proto::{Awaited, Credentials, Error, Negotiation, Step, Wire};
use crate::secret::Secret;
use crate::ssh::error::Error as SshError;

impl Negotiation for OpenChannel {
    fn restart(&mut self) {
        self.phase = Phase::Start;
        self.dialogue.restart();
    }

    fn step(&mut self) -> Result<Step, Error> {
        loop {
            if let Phase::Failed(last, failure) = &mut self.phase {
                let last = mem::take(last);
                return if last.is_empty() {
                    Err(Error::Ssh(failure.clone()))
                } else {
                    Ok(Step::Send(Wire::public(last)))
                };
            }
            match self.take_step() {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => {}
                Err(cause) => self.fail(cause),
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if let Err(cause) = self.process(bytes) {
            self.fail(cause);
        }
        Ok(bytes.len())
    }

    fn closed(&mut self) -> Result<(), Error> {
        let cause = match &self.phase {
            Phase::Handshake(transport) => transport.closed(),
            _ => SshError::Closed,
        };
        Err(Error::Ssh(Box::new(self.failure(cause))))
    }

    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error> {
        if let Phase::Login(_, auth) = &mut self.phase {
            self.dialogue.credentials(credentials, auth);
        }
        Ok(())
    }

    fn answered(&mut self, answer: Result<Secret, String>) -> Result<(), Error> {
        match &mut self.phase {
            Phase::AskHostKey(..) => {
                if let Err(cause) = self.host_key_answer(answer) {
                    self.fail(cause);
                }
            }
            Phase::Login(_, auth) => self.dialogue.answered(answer, auth, &mut self.login),
            _ => {}
        }
        Ok(())
    }

    fn take_log_note(&mut self) -> Option<String> {
        self.notes.log.pop_front()
    }

    fn take_fact(&mut self) -> Option<String> {
        self.notes.take_fact()
    }

    fn take_message(&mut self) -> Option<String> {
        self.notes.take_message()
    }

    fn logs_bytes(&self) -> bool {
        false
    }

    fn waiting_for(&self) -> Awaited {
        Awaited::Message(match self.stage() {
            Stage::Identification => "its identification",
            Stage::KeyExchange => "the end of the key exchange",
            Stage::Login => "the end of authentication",
            Stage::Channel => "the opening of the channel",
        })
    }
}

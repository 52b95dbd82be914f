//! The client's side of user authentication (RFC 4252, RFC 4256).

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::error::Error;
use super::message;
use super::wire::{Reader, Write};
use crate::text::printable;

mod answers;
mod identity;
mod keys;
mod questions;
#[cfg(test)]
mod tests;

pub use identity::{Identity, Tried};
pub use questions::Questions;

/// The service that runs after authentication.
const SERVICE: &str = "ssh-connection";

/// The most attempts to enter a password, or to answer the questions of the server.
const MAX_PROMPTS: u32 = 3;

/// The longest banner that is passed on, in bytes.
const MAX_BANNER: usize = 4 * 1024;

/// A step of the authentication, for its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this message.
    Send(Zeroizing<Vec<u8>>),
    /// Receive a message and pass it to [`ClientAuth::receive`].
    Receive,
    /// Sign `data` with the identity of this index, and call [`ClientAuth::signed`].
    Sign {
        /// The index in the list of identities.
        identity: usize,
        /// The signature algorithm.
        algorithm: &'static str,
        /// The bytes to sign.
        data: Vec<u8>,
    },
    /// Obtain the user's password and call [`ClientAuth::password`].
    Password,
    /// The password has expired. Obtain a new one and call [`ClientAuth::new_password`].
    NewPassword(String),
    /// Ask the user these questions and call [`ClientAuth::answers`].
    Ask(Questions),
    /// The server has accepted the user.
    Done,
}

/// The authentication of a user.
#[derive(Debug)]
pub struct ClientAuth {
    user: Vec<u8>,
    session_id: Vec<u8>,
    identities: Vec<Identity>,
    /// The indices of identities that were not tried.
    untried: VecDeque<usize>,
    /// `server-sig-algs`.
    signature_algorithms: Option<Vec<String>>,
    /// The methods that the server accepts; `None` before its first answer.
    methods: Option<Vec<String>>,
    /// The first request is `none`, whose answer lists the methods.
    asks_for_methods: bool,
    /// Password and questions are allowed: the host key is not in doubt.
    allows_passwords: bool,
    password_prompts: u32,
    question_prompts: u32,
    state: State,
    /// The keys and methods that were tried, for messages.
    tried: Vec<Tried>,
    has_partial_success: bool,
    banners: Vec<String>,
    banner_bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The request for the service is not sent.
    Start,
    /// `SERVICE_ACCEPT` must arrive before the first request.
    AwaitService,
    /// Choose the next method.
    Choose,
    /// The user must do something.
    Awaiting(Step),
    /// Send this, then receive the answer of `method`.
    Sending(Zeroizing<Vec<u8>>, Method),
    /// Receive the answer.
    Receiving(Method),
    Done,
}

/// The method whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    None,
    /// `publickey` without a signature: asks if the server would accept the key.
    Query(usize),
    Key(usize),
    Password,
    Questions,
}

impl ClientAuth {
    /// Creates the authentication of a user, with keys in the order in which they are tried.
    #[must_use]
    pub fn new(user: &[u8], identities: Vec<Identity>, allows_passwords: bool) -> Self {
        Self {
            user: user.to_vec(),
            session_id: Vec::new(),
            untried: (0..identities.len()).collect(),
            identities,
            signature_algorithms: None,
            methods: None,
            asks_for_methods: false,
            allows_passwords,
            password_prompts: 0,
            question_prompts: 0,
            state: State::Start,
            tried: Vec::new(),
            has_partial_success: false,
            banners: Vec::new(),
            banner_bytes: 0,
        }
    }

    /// Sets the identifier of the connection. Call this before the first step.
    pub fn set_session_id(&mut self, session_id: &[u8]) {
        self.session_id = session_id.to_vec();
    }

    /// Asks for the methods that the server accepts before the first key is tried, which costs a
    /// round trip. Call this before the first step.
    pub fn ask_for_methods(&mut self) {
        self.asks_for_methods = true;
    }

    /// Sets the signature algorithms that the server accepts (`server-sig-algs`).
    pub fn set_signature_algorithms(&mut self, names: &str) {
        self.signature_algorithms = Some(names.split(',').map(str::to_owned).collect());
    }

    /// Returns the identities.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// Returns the methods that the server accepts; `None` before its first answer.
    #[must_use]
    pub fn methods(&self) -> Option<&[String]> {
        self.methods.as_deref()
    }

    /// Returns the keys and methods that were tried.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// Returns `true` if the server has accepted the user.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes the banners that the server has sent (RFC 4252 §5.4). They may contain any bytes.
    pub fn take_banners(&mut self) -> Vec<String> {
        std::mem::take(&mut self.banners)
    }

    /// Returns the next step.
    ///
    /// # Errors
    /// The server accepts none of the user's credentials.
    pub fn step(&mut self) -> Result<Step, Error> {
        loop {
            match std::mem::replace(&mut self.state, State::Choose) {
                State::Start => {
                    let mut request = vec![message::SERVICE_REQUEST];
                    request.put_string("ssh-userauth");
                    // The algorithm for an RSA key depends on EXT_INFO, which precedes the answer.
                    let waits = self.first_identity().is_some_and(Identity::needs_signature_algorithms);
                    self.state = if waits { State::AwaitService } else { State::Choose };
                    return Ok(Step::Send(Zeroizing::new(request)));
                }
                State::AwaitService => {
                    self.state = State::AwaitService;
                    return Ok(Step::Receive);
                }
                State::Choose => self.state = self.choose()?,
                State::Awaiting(step) => {
                    self.state = State::Awaiting(step.clone());
                    return Ok(step);
                }
                State::Sending(request, method) => {
                    self.state = State::Receiving(method);
                    return Ok(Step::Send(request));
                }
                State::Receiving(method) => {
                    self.state = State::Receiving(method);
                    return Ok(Step::Receive);
                }
                State::Done => {
                    self.state = State::Done;
                    return Ok(Step::Done);
                }
            }
        }
    }

    fn first_identity(&self) -> Option<&Identity> {
        self.untried.front().map(|index| &self.identities[*index])
    }

    /// Chooses the next key or method to try.
    fn choose(&mut self) -> Result<State, Error> {
        let is_listed =
            |name: &str| self.methods.as_ref().is_none_or(|methods| methods.iter().any(|it| it == name));
        if is_listed("publickey")
            && (self.methods.is_some() || !self.asks_for_methods)
            && let Some(index) = self.untried.pop_front()
        {
            return Ok(self.try_identity(index));
        }
        if self.methods.is_none() {
            return Ok(State::Sending(self.request("none", |_| {}), Method::None));
        }
        if self.allows_passwords && is_listed("keyboard-interactive") && self.question_prompts < MAX_PROMPTS {
            self.question_prompts += 1;
            self.note(Tried::Questions);
            let request = self.request("keyboard-interactive", |request| {
                request.put_string("").put_string("");
            });
            return Ok(State::Sending(request, Method::Questions));
        }
        if self.allows_passwords && is_listed("password") && self.password_prompts < MAX_PROMPTS {
            self.password_prompts += 1;
            return Ok(State::Awaiting(Step::Password));
        }
        Err(self.failure())
    }

    fn failure(&self) -> Error {
        let methods = self.methods.as_deref().unwrap_or_default().join(", ");
        let methods = printable(methods.as_bytes());
        if self.has_partial_success {
            return Error::FurtherAuthentication(methods);
        }
        let tried = self.tried.iter().map(Tried::to_string).collect::<Vec<_>>().join(", ");
        Error::Rejected { tried, accepts: methods }
    }

    /// Builds a `USERAUTH_REQUEST`.
    fn request(&self, method: &str, fields: impl FnOnce(&mut Vec<u8>)) -> Zeroizing<Vec<u8>> {
        // Reserve enough for a password: reallocation would leave a copy of it in freed memory.
        let mut request = Zeroizing::new(Vec::with_capacity(1024));
        request.put_u8(message::USERAUTH_REQUEST);
        request.put_string(&self.user).put_string(SERVICE).put_string(method);
        fields(&mut request);
        request
    }

    fn note(&mut self, tried: Tried) {
        if !self.tried.contains(&tried) {
            self.tried.push(tried);
        }
    }

    /// Processes a message of the server.
    ///
    /// # Errors
    /// The server has broken a rule.
    pub fn receive(&mut self, payload: &[u8]) -> Result<(), Error> {
        let number = *payload.first().ok_or(Error::Malformed(0))?;
        let mut reader = Reader::new(&payload[1..]);
        let malformed = Error::malformed(number);
        match (number, &self.state) {
            (message::SERVICE_ACCEPT, State::AwaitService) => self.state = State::Choose,
            (message::SERVICE_ACCEPT, State::Receiving(_)) if self.methods.is_none() => {}
            (message::USERAUTH_BANNER, _) => {
                let text = reader.string().map_err(&malformed)?;
                let text = &text[..text.len().min(MAX_BANNER - self.banner_bytes)];
                self.banner_bytes += text.len();
                self.banners.push(String::from_utf8_lossy(text).into_owned());
            }
            (message::USERAUTH_SUCCESS, State::Receiving(method)) if !matches!(method, Method::Query(_)) => {
                self.state = State::Done;
            }
            (message::USERAUTH_FAILURE, State::Receiving(method)) => {
                let method = *method;
                let mut fields = || Ok((reader.name_list()?, reader.bool()?));
                let (methods, is_partial) = fields().map_err(&malformed)?;
                self.failed(method, methods.into_iter().map(str::to_owned).collect(), is_partial);
            }
            (message::USERAUTH_60, State::Receiving(Method::Query(index))) => {
                let index = *index;
                let mut fields = || Ok((reader.text()?, reader.string()?));
                let (algorithm, blob) = fields().map_err(&malformed)?;
                let identity = &self.identities[index];
                if blob != identity.blob() || algorithm != self.algorithm(index) {
                    return Err(Error::Violation("accepted a key that was not offered"));
                }
                self.state = self.sign(index);
            }
            (message::USERAUTH_60, State::Receiving(Method::Password)) => {
                let prompt = reader.string().map_err(&malformed)?;
                let prompt = String::from_utf8_lossy(prompt).into_owned();
                self.state = State::Awaiting(Step::NewPassword(prompt));
            }
            (message::USERAUTH_60, State::Receiving(Method::Questions)) => {
                let questions = questions::parse(reader).map_err(&malformed)?;
                self.state = State::Awaiting(Step::Ask(questions));
            }
            _ => return Err(Error::Unexpected(number)),
        }
        Ok(())
    }

    /// Continues after a failure of `method`.
    fn failed(&mut self, method: Method, methods: Vec<String>, is_partial: bool) {
        self.methods = Some(methods);
        self.state = State::Choose;
        if !is_partial {
            return;
        }
        // This factor is done; the server wants another one.
        self.has_partial_success = true;
        match method {
            Method::Password => self.password_prompts = MAX_PROMPTS,
            Method::Questions => self.question_prompts = MAX_PROMPTS,
            Method::None | Method::Query(_) | Method::Key(_) => {}
        }
    }
}

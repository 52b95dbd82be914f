//! SOCKS5 (RFC 1928) with user/password authentication (RFC 1929).
//!
//! ```text
//!   greeting   05 | n | method …                    method   05 | method
//!   user/pass  01 | n | user … | n | password …     status   any | 00 = success
//!   request    05 | 01 CONNECT | 00 | address | port
//!   reply      05 | code | 00 | address | port
//!   address    01 | 4 bytes    03 | n | name …    04 | 16 bytes
//! ```
//!
//! A client that offers a single method knows which one the proxy will select, so it can send
//! everything at once: see [`Socks5::eager`].

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::error::check_length;
use super::{
    Awaited, Credentials, Error, Learned, Limit, Negotiation, SocksMessage, Step, Unencodable, Wire,
};
use crate::addr::{Endpoint, Host};

const VERSION: u8 = 5;
/// The version of user/password authentication (RFC 1929 §2).
const USERPASS_VERSION: u8 = 1;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;

/// An authentication method that can be offered (RFC 1928 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// No authentication.
    None,
    /// User name and password (RFC 1929).
    UserPass,
}

impl Method {
    fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::UserPass => 2,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::UserPass => "userpass",
        })
    }
}

/// A SOCKS5 negotiation for one CONNECT (RFC 1928 §3, §4 and §6), with user/password authentication
/// (RFC 1929) if the proxy selects it. A reply is at most 262 bytes long.
#[derive(Debug)]
pub struct Socks5 {
    target: Endpoint,
    methods: Vec<Method>,
    /// Offer user/password on a new connection if the proxy refuses `methods`.
    can_fall_back: bool,
    /// The methods that the proxy refused before that.
    refused: Vec<Method>,
    /// The method that an earlier negotiation or this one has learned.
    learned: Option<Method>,
    /// While a remembered method is offered: `methods` and `can_fall_back` without it.
    unremembered: Option<(Vec<Method>, bool)>,
    /// The proxy rejected the password when user/password was offered as the remembered method.
    rejected: Option<Error>,
    selected: Option<Method>,
    log_note: Option<String>,
    credentials: Option<Credentials>,
    eager: bool,
    /// The whole request was sent together with the greeting on this connection.
    pipelined: bool,
    state: State,
    /// The bytes received so far in the current state.
    reply: Vec<u8>,
    /// The number of bytes to receive in the current state.
    due: usize,
}

/// The `Await…` states end once `due` bytes have been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SendGreeting,
    AwaitMethod,
    SendUserPass,
    AwaitStatus,
    SendRequest,
    AwaitReply,
    AwaitNameLength,
    AwaitBoundAddress,
    Reconnect,
    Done,
}

impl Socks5 {
    /// Creates a negotiation for a tunnel to `target` that offers `methods` in this order.
    #[must_use]
    pub fn new(target: Endpoint, methods: Vec<Method>) -> Self {
        Self {
            target,
            methods,
            can_fall_back: false,
            refused: Vec::new(),
            learned: None,
            unremembered: None,
            rejected: None,
            selected: None,
            log_note: None,
            credentials: None,
            eager: false,
            pipelined: false,
            state: State::SendGreeting,
            reply: Vec::new(),
            due: 0,
        }
    }

    /// Sets whether to send everything at once if only one method is offered. RFC 1928 neither
    /// allows nor forbids that, and some servers drop bytes that arrive together with the greeting.
    #[must_use]
    pub fn eager(mut self, eager: bool) -> Self {
        self.eager = eager;
        self
    }

    /// Sets credentials in advance, instead of requesting them with [`Step::Credentials`].
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Offers user/password, on a new connection, only after the proxy has refused the other
    /// methods or closed the connection. Some servers select user/password wherever it is offered,
    /// although they require none.
    #[must_use]
    pub fn falling_back_to_userpass(mut self, can_fall_back: bool) -> Self {
        self.can_fall_back = can_fall_back;
        self
    }

    /// Requests a new connection on which to offer user/password. Returns `false` if that is not
    /// allowed or has been done. Fails if the proxy has already rejected the password.
    fn fall_back(&mut self) -> Result<bool, Error> {
        if !std::mem::take(&mut self.can_fall_back) {
            return Ok(false);
        }
        if let Some(rejected) = self.rejected.take() {
            return Err(rejected);
        }
        self.refused = std::mem::replace(&mut self.methods, vec![Method::UserPass]);
        self.enter(State::Reconnect);
        Ok(true)
    }

    /// Requests a new connection on which to start without the remembered method. Returns `false`
    /// if there is none.
    fn forget(&mut self) -> bool {
        let Some((methods, can_fall_back)) = self.unremembered.take() else { return false };
        (self.methods, self.can_fall_back, self.learned) = (methods, can_fall_back, None);
        self.log_note = Some("the remembered method failed: starting without it".into());
        self.enter(State::Reconnect);
        true
    }

    /// Records the method with which the proxy has established the tunnel, if it makes a difference
    /// to offer only this one.
    fn learn(&mut self) {
        match self.selected {
            Some(Method::None) if self.methods.len() > 1 => self.learned = Some(Method::None),
            Some(Method::UserPass) if !self.refused.is_empty() => self.learned = Some(Method::UserPass),
            _ => {}
        }
    }

    fn enter(&mut self, state: State) {
        self.state = match state {
            State::SendUserPass if self.pipelined => State::AwaitStatus,
            State::SendRequest if self.pipelined => State::AwaitReply,
            _ => state,
        };
        self.reply.clear();
        self.due = match self.state {
            State::AwaitMethod | State::AwaitStatus => 2,
            State::AwaitReply => 4,
            State::AwaitNameLength => 1,
            _ => 0,
        };
    }

    /// Prepares to receive an address of `length` bytes and a port.
    fn await_bound_address(&mut self, length: usize) {
        self.enter(State::AwaitBoundAddress);
        self.due = length + 2;
    }

    fn greeting(&self) -> Wire {
        let mut bytes = vec![VERSION];
        push_with_length(&mut bytes, &self.methods.iter().map(|method| method.code()).collect::<Vec<_>>());
        Wire::public(bytes)
    }

    /// Returns all messages as one, or `None` if they must be sent one at a time.
    fn pipeline(&self) -> Result<Option<Wire>, Error> {
        // Do not pipeline a remembered method. Without it, there may be two methods, which cannot
        // be pipelined, so it is not known whether the proxy supports pipelining.
        let eager = self.eager && self.unremembered.is_none();
        let start = match (eager, self.methods.as_slice(), &self.credentials) {
            (true, [Method::None], _) => self.greeting(),
            (true, [Method::UserPass], Some(known)) => self.greeting().concat(&Self::userpass(known)?),
            _ => return Ok(None),
        };
        Ok(Some(start.concat(&self.request())))
    }

    fn userpass(credentials: &Credentials) -> Result<Wire, Error> {
        check_userpass(credentials)?;
        let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
        // Reserve the full length: reallocation would leave a copy of the password behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
        bytes.push(USERPASS_VERSION);
        push_with_length(&mut bytes, user);
        push_with_length(&mut bytes, password);
        let all = 0..bytes.len();
        Ok(Wire::with_secret(bytes, all))
    }

    fn request(&self) -> Wire {
        let mut bytes = vec![VERSION, 1, 0];
        match &self.target.host {
            Host::Ip(IpAddr::V4(ip)) => {
                bytes.push(1);
                bytes.extend(ip.octets());
            }
            Host::Name(name) => {
                bytes.push(3);
                push_with_length(&mut bytes, name.as_str().as_bytes());
            }
            Host::Ip(IpAddr::V6(ip)) => {
                bytes.push(4);
                bytes.extend(ip.octets());
            }
        }
        bytes.extend(self.target.port.get().to_be_bytes());
        Wire::public(bytes)
    }

    /// Checks the version as soon as the first byte arrives; the peer may never send a whole reply.
    fn check_version(&self) -> Result<(), Error> {
        // RFC 1929 gives the login status version 1, but servers also send 5 or 0. We ignore it.
        if !matches!(self.state, State::AwaitMethod | State::AwaitReply) {
            return Ok(());
        }
        match self.reply.first() {
            Some(&got) if got != VERSION => {
                Err(Error::NotTheProtocol { expected: SocksMessage::Socks5, got })
            }
            _ => Ok(()),
        }
    }

    /// Checks the reply code as soon as it arrives; some proxies send only the first two bytes of a
    /// refusal.
    fn check_granted(&self) -> Result<(), Error> {
        match self.reply.get(1) {
            Some(&code) if self.state == State::AwaitReply && code != 0 => {
                Err(Error::Socks5Refused { target: self.target.clone().into(), code })
            }
            _ => Ok(()),
        }
    }

    fn handle_reply(&mut self) -> Result<(), Error> {
        match (self.state, self.reply.as_slice()) {
            (State::AwaitMethod, &[_, code]) => {
                let selected = self.methods.iter().copied().find(|method| method.code() == code);
                self.selected = selected;
                match selected {
                    Some(Method::None) => self.enter(State::SendRequest),
                    Some(Method::UserPass) => self.enter(State::SendUserPass),
                    None if self.forget() => {}
                    None if [NO_ACCEPTABLE_METHOD, Method::UserPass.code()].contains(&code)
                        && self.fall_back()? =>
                    {
                        self.log_note = Some("the proxy requires a user and a password".into());
                    }
                    None if code == NO_ACCEPTABLE_METHOD => return Err(self.no_method()),
                    None => return Err(Error::MethodNotOffered(code)),
                }
            }
            (State::AwaitStatus, &[_, 0]) => self.enter(State::SendRequest),
            // RFC 1929 §2: any other status is a failure.
            (State::AwaitStatus, _) => self.reject_password("")?,
            (State::AwaitReply, &[.., address_type]) => match address_type {
                1 => self.await_bound_address(4),
                3 => self.enter(State::AwaitNameLength),
                4 => self.await_bound_address(16),
                other => return Err(Error::AddressType(other)),
            },
            (State::AwaitNameLength, &[length]) => self.await_bound_address(length.into()),
            (State::AwaitBoundAddress, _) => {
                self.learn();
                self.enter(State::Done);
            }
            _ => {}
        }
        Ok(())
    }

    /// Handles the rejection of the password: an error, unless only the remembered method made the
    /// proxy ask for it.
    fn reject_password(&mut self, text: &str) -> Result<(), Error> {
        let user = self.credentials.as_ref().map(|known| known.user.to_string()).unwrap_or_default();
        let error = Error::WrongPassword { user, text: text.into() };
        if !self.forget() {
            return Err(error);
        }
        self.rejected = Some(error);
        Ok(())
    }

    fn no_method(&self) -> Error {
        let offered = self.refused.iter().chain(&self.methods);
        let names: Vec<_> = offered.map(|method| format!("'{method}'")).collect();
        Error::NoMethod {
            offered: names.join(", "),
            userpass_offered: self.methods.contains(&Method::UserPass),
        }
    }
}

impl Negotiation for Socks5 {
    fn check(&self) -> Result<(), Error> {
        self.credentials.as_ref().map_or(Ok(()), check_userpass)
    }

    fn restart(&mut self) {
        self.pipelined = false;
        self.enter(State::SendGreeting);
    }

    fn step(&mut self) -> Result<Step, Error> {
        let (wire, next_state) = match self.state {
            State::SendGreeting => match self.pipeline()? {
                Some(messages) => {
                    self.pipelined = true;
                    (messages, State::AwaitMethod)
                }
                None => (self.greeting(), State::AwaitMethod),
            },
            State::SendUserPass => match &self.credentials {
                None => return Ok(Step::Credentials),
                Some(known) => (Self::userpass(known)?, State::AwaitStatus),
            },
            State::SendRequest => (self.request(), State::AwaitReply),
            State::Reconnect => return Ok(Step::Reconnect),
            State::Done => return Ok(Step::Done),
            _ => return Ok(Step::Receive(Limit::Bytes(self.due - self.reply.len()))),
        };
        self.enter(next_state);
        Ok(Step::Send(wire))
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = bytes.len().min(self.due - self.reply.len());
        self.reply.extend(&bytes[..taken]);
        self.check_version()?;
        self.check_granted()?;
        if self.reply.len() == self.due {
            self.handle_reply()?;
        }
        Ok(taken)
    }

    fn closed(&mut self) -> Result<(), Error> {
        // RFC 1929 §2: the server closes the connection after a failure. Some servers close it
        // without sending a status.
        if self.state == State::AwaitStatus && self.reply.is_empty() {
            return self.reject_password("(it closed the connection)");
        }
        // Some servers close the connection instead of refusing the methods (RFC 1928 §3).
        if self.state == State::AwaitMethod && self.reply.is_empty() && (self.forget() || self.fall_back()?) {
            return Ok(());
        }
        Err(Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error> {
        check_userpass(&credentials)?;
        self.credentials = Some(credentials);
        Ok(())
    }

    fn learned(&self) -> Option<Learned> {
        self.learned.map(Learned::Socks5)
    }

    fn recall(&mut self, learned: &Learned, credentials: Option<Credentials>) -> bool {
        let Learned::Socks5(method) = *learned else { return false };
        let credentials = self.credentials.take().or(credentials);
        let is_useful = match method {
            Method::None => self.methods.len() > 1 && self.methods.contains(&method),
            Method::UserPass => {
                self.can_fall_back && credentials.as_ref().is_some_and(|known| check_userpass(known).is_ok())
            }
        };
        if is_useful {
            let methods = std::mem::replace(&mut self.methods, vec![method]);
            self.unremembered = Some((methods, std::mem::take(&mut self.can_fall_back)));
            self.learned = Some(method);
        }
        self.credentials = credentials;
        is_useful
    }

    fn is_fully_sent(&self) -> bool {
        self.pipelined
            || matches!(self.state, State::AwaitReply | State::AwaitNameLength | State::AwaitBoundAddress)
    }

    fn take_log_note(&mut self) -> Option<String> {
        self.log_note.take()
    }

    fn waiting_for(&self) -> Awaited {
        match self.state {
            State::AwaitReply if self.pipelined => Awaited::Socks5EagerReply,
            State::SendGreeting | State::AwaitMethod => Awaited::Socks5Method,
            State::SendUserPass | State::AwaitStatus => Awaited::Socks5Status,
            _ => Awaited::Socks5Reply,
        }
    }
}

/// Appends the length of `bytes` as one byte, followed by `bytes` itself. No field exceeds 255
/// bytes: a [`Host`] and the method list cannot, and the user name and password have already been
/// checked.
fn push_with_length(to: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= 255);
    to.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    to.extend(bytes);
}

/// Checks that the user name is 1 to 255 bytes long and the password at most 255. RFC 1929 §2 does
/// not allow an empty password, but servers that know clients by the user name alone expect one.
fn check_userpass(credentials: &Credentials) -> Result<(), Error> {
    let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
    if user.is_empty() {
        return Err(Error::NotEncodable(Unencodable::Socks5NoUser));
    }
    check_length("the user name", user, "SOCKS5", 255)?;
    check_length("the password", password, "SOCKS5", 255)
}

#[cfg(test)]
mod tests;

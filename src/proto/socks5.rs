//! SOCKS5 (RFC 1928) with user and password (RFC 1929).
//!
//! ```text
//!   greeting   05 | n | method …                    method   05 | method
//!   user/pass  01 | n | user … | n | password …     status   01 | 00 = good
//!   request    05 | 01 CONNECT | 00 | address | port
//!   reply      05 | code | 00 | address | port
//!   address    01 | 4 bytes    03 | n | name …    04 | 16 bytes
//! ```
//!
//! A client that offers one method only knows what will be chosen, and need not wait for it to be told: see
//! [`Socks5::eager`].

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::error::fits;
use super::{Credentials, Error, Limit, Negotiation, Step, Wire};
use crate::addr::{Endpoint, Host};

const PROTOCOL: &str = "SOCKS version 5";
const VERSION: u8 = 5;
/// RFC 1929 has a version of its own.
const USERPASS_VERSION: u8 = 1;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;

/// An authentication method that can be offered (RFC 1928 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// No authentication.
    None,
    /// User and password (RFC 1929).
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

/// A SOCKS5 negotiation for one CONNECT (RFC 1928 §3, §4 and §6), with user and password (RFC 1929) if the proxy wants
/// them. At most 262 bytes of a reply are taken.
#[derive(Debug)]
pub struct Socks5 {
    target: Endpoint,
    methods: Vec<Method>,
    credentials: Option<Credentials>,
    eager: bool,
    /// Everything has been sent with the greeting, on this connection.
    ahead: bool,
    state: State,
    /// What has come of the current reply, and how long it will be.
    reply: Vec<u8>,
    due: usize,
}

/// Awaiting states are left when `due` bytes have come.
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
    Done,
}

impl Socks5 {
    /// Starts a negotiation that offers `methods`, in this order, for a tunnel to `target`.
    #[must_use]
    pub fn new(target: Endpoint, methods: Vec<Method>) -> Self {
        Self {
            target,
            methods,
            credentials: None,
            eager: false,
            ahead: false,
            state: State::SendGreeting,
            reply: Vec::new(),
            due: 0,
        }
    }

    /// Sends everything at once where the only method on offer allows it. RFC 1928 neither allows nor forbids that,
    /// and there are servers that lose what comes with the greeting.
    #[must_use]
    pub fn eager(mut self, eager: bool) -> Self {
        self.eager = eager;
        self
    }

    /// Credentials that are known from the start, for when the proxy wants them.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    fn enter(&mut self, state: State) {
        self.state = match state {
            State::SendUserPass if self.ahead => State::AwaitStatus,
            State::SendRequest if self.ahead => State::AwaitReply,
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

    /// After the address comes the port.
    fn await_bound_address(&mut self, length: usize) {
        self.enter(State::AwaitBoundAddress);
        self.due = length + 2;
    }

    fn greeting(&self) -> Wire {
        let mut bytes = vec![VERSION];
        push_with_length(&mut bytes, &self.methods.iter().map(|method| method.code()).collect::<Vec<_>>());
        Wire::public(bytes)
    }

    /// All that there is to say, if it can be said without an answer.
    fn everything(&self) -> Result<Option<Wire>, Error> {
        let start = match (self.eager, self.methods.as_slice(), &self.credentials) {
            (true, [Method::None], _) => self.greeting(),
            (true, [Method::UserPass], Some(known)) => self.greeting().concat(&Self::userpass(known)?),
            _ => return Ok(None),
        };
        Ok(Some(start.concat(&self.request())))
    }

    fn userpass(credentials: &Credentials) -> Result<Wire, Error> {
        check_userpass(credentials)?;
        let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
        // Large enough from the start: growing would leave a copy of the password behind.
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

    /// A wrong version is told from the first byte, whatever follows it.
    fn check_version(&self) -> Result<(), Error> {
        let (expected, version) = match self.state {
            State::AwaitMethod | State::AwaitReply => (PROTOCOL, VERSION),
            State::AwaitStatus => ("version 1 of user/password authentication", USERPASS_VERSION),
            _ => return Ok(()),
        };
        match self.reply.first() {
            Some(&got) if got != version => Err(Error::NotTheProtocol { expected, got }),
            _ => Ok(()),
        }
    }

    /// So is a refusal: some proxies send no more than its first two bytes.
    fn check_granted(&self) -> Result<(), Error> {
        match self.reply.get(1) {
            Some(&code) if self.state == State::AwaitReply && code != 0 => {
                Err(Error::Socks5Refused { target: self.target.to_string(), code })
            }
            _ => Ok(()),
        }
    }

    fn reply_complete(&mut self) -> Result<(), Error> {
        match (self.state, self.reply.as_slice()) {
            (State::AwaitMethod, &[_, code]) => {
                match self.methods.iter().find(|method| method.code() == code) {
                    Some(Method::None) => self.enter(State::SendRequest),
                    Some(Method::UserPass) => self.enter(State::SendUserPass),
                    None if code == NO_ACCEPTABLE_METHOD => return Err(self.no_method()),
                    None => return Err(Error::MethodNotOffered(code)),
                }
            }
            (State::AwaitStatus, &[_, 0]) => self.enter(State::SendRequest),
            // RFC 1929 §2: any other status is a failure, and the connection must be closed.
            (State::AwaitStatus, _) => {
                return Err(self.wrong_password(""));
            }
            (State::AwaitReply, &[.., address_type]) => match address_type {
                1 => self.await_bound_address(4),
                3 => self.enter(State::AwaitNameLength),
                4 => self.await_bound_address(16),
                other => return Err(Error::AddressType(other)),
            },
            (State::AwaitNameLength, &[length]) => self.await_bound_address(length.into()),
            (State::AwaitBoundAddress, _) => self.enter(State::Done),
            _ => {}
        }
        Ok(())
    }

    fn wrong_password(&self, text: &str) -> Error {
        let user = self.credentials.as_ref().map(|known| known.user.clone()).unwrap_or_default();
        Error::WrongPassword { user, text: text.into() }
    }

    fn no_method(&self) -> Error {
        let names: Vec<_> = self.methods.iter().map(Method::to_string).collect();
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
        self.ahead = false;
        self.enter(State::SendGreeting);
    }

    fn step(&mut self) -> Result<Step, Error> {
        let (wire, then) = match self.state {
            State::SendGreeting => match self.everything()? {
                Some(everything) => {
                    self.ahead = true;
                    (everything, State::AwaitMethod)
                }
                None => (self.greeting(), State::AwaitMethod),
            },
            State::SendUserPass => match &self.credentials {
                None => return Ok(Step::Credentials),
                Some(known) => (Self::userpass(known)?, State::AwaitStatus),
            },
            State::SendRequest => (self.request(), State::AwaitReply),
            State::Done => return Ok(Step::Done),
            _ => return Ok(Step::Receive(Limit::Bytes(self.due - self.reply.len()))),
        };
        self.enter(then);
        Ok(Step::Send(wire))
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = bytes.len().min(self.due - self.reply.len());
        self.reply.extend(&bytes[..taken]);
        self.check_version()?;
        self.check_granted()?;
        if self.reply.len() == self.due {
            self.reply_complete()?;
        }
        Ok(taken)
    }

    fn closed(&mut self) -> Result<(), Error> {
        // RFC 1929 §2: a server that says no closes. Some close without saying it.
        if self.state == State::AwaitStatus && self.reply.is_empty() {
            return Err(self.wrong_password("(it closed the connection)"));
        }
        Err(Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error> {
        check_userpass(&credentials)?;
        self.credentials = Some(credentials);
        Ok(())
    }

    fn is_fully_sent(&self) -> bool {
        self.ahead
            || matches!(self.state, State::AwaitReply | State::AwaitNameLength | State::AwaitBoundAddress)
    }

    fn waiting_for(&self) -> &'static str {
        match self.state {
            State::AwaitReply if self.ahead => {
                "the answer to the SOCKS5 request, which --eager sends early and not every proxy takes so"
            }
            State::SendGreeting | State::AwaitMethod => "the answer to the SOCKS5 greeting",
            State::SendUserPass | State::AwaitStatus => "the answer to user and password",
            _ => "the answer to the SOCKS5 request",
        }
    }
}

/// A length byte and the bytes. No field is longer than 255: a [`Host`] and the methods cannot be, user and
/// password are checked first.
fn push_with_length(to: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= 255);
    to.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    to.extend(bytes);
}

/// RFC 1929 §2: 1 to 255 bytes each.
fn check_userpass(credentials: &Credentials) -> Result<(), Error> {
    let (user, password) = (credentials.user.as_bytes(), credentials.password.expose());
    if user.is_empty() || password.is_empty() {
        return Err(Error::NotEncodable("SOCKS5 allows neither an empty user name nor an empty password"));
    }
    fits("the user name", user, "SOCKS5", 255)?;
    fits("the password", password, "SOCKS5", 255)
}

/// Each code in words (RFC 1928 §6).
pub(super) fn reply(code: u8) -> &'static str {
    match code {
        1 => "general failure of the proxy",
        2 => "the proxy's rules do not allow it",
        3 => "network unreachable from the proxy",
        4 => "host unreachable from the proxy, or its name is unknown there",
        5 => "connection refused by the target",
        6 => "the target is too far away from the proxy, TTL expired",
        7 => "the proxy does not know the command CONNECT",
        8 => "the proxy does not know this type of address",
        _ => "for a reason that SOCKS5 has no words for",
    }
}

#[cfg(test)]
mod tests;

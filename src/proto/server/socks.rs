//! The server side of SOCKS4, SOCKS4a and SOCKS5, which the first byte distinguishes.
//!
//! ```text
//! SOCKS4 request   04 CMD PORT(2) ADDRESS(4) USER 00 [NAME 00]    NAME if ADDRESS is 0.0.0.x
//! SOCKS4 reply     00 CODE PORT(2) ADDRESS(4)                     90 granted, 91 rejected
//!
//! RFC 1928 §3      05 COUNT METHODS(COUNT)                        00 none, 02 user/password
//!                  05 METHOD                                      FF none acceptable
//! RFC 1929 §2      01 LENGTH USER LENGTH PASSWORD
//!                  01 STATUS                                      00 success
//! RFC 1928 §4      05 CMD 00 TYPE ADDRESS PORT(2)                 CMD 01 CONNECT, 02 BIND, 03 UDP
//! RFC 1928 §6      05 CODE 00 TYPE ADDRESS PORT(2)
//! ```
//!
//! Only CONNECT is supported. With [`Logins`], SOCKS4 is rejected, because it has no passwords.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::logins::Logins;
use super::machine::{Kind, Server, Step};
use super::reason::{Refusal, Rejection};
use super::target::parse_host;
use crate::addr::{Endpoint, Host, MAX_NAME, Port};
use crate::proto::{Limit, Wire};

/// Listens with `--listen socks5://…`.
pub(super) static SOCKS: Kind =
    Kind { scheme: "socks5", name: "SOCKS", tls: false, make: |logins| Box::new(Socks::new(logins)) };

const CONNECT: u8 = 1;
const BIND: u8 = 2;
const UDP_ASSOCIATE: u8 = 3;

const NO_AUTHENTICATION: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;

/// The maximum length of the user ID of SOCKS4, which has no limit of its own.
const MAX_USER: usize = 255;

/// The maximum length of a message: a SOCKS4a request.
const MAX_MESSAGE: usize = 8 + MAX_USER + 1 + MAX_NAME + 1;

/// The state of one client's handshake.
struct Socks {
    logins: Option<Arc<Logins>>,
    state: State,
    is_socks4: bool,
    /// The incomplete message. It may contain the password.
    message: Zeroizing<Vec<u8>>,
}

#[derive(Debug)]
enum State {
    /// Waits for the SOCKS4 request or the SOCKS5 greeting.
    First,
    Login,
    Request,
    Send(Vec<u8>, Box<State>),
    Connect(Endpoint),
    Relay,
    Close(Option<Rejection>),
}

/// The message may contain a password.
impl fmt::Debug for Socks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socks({:?})", self.state)
    }
}

impl Socks {
    fn new(logins: Option<Arc<Logins>>) -> Self {
        // Reserve enough for every message: reallocating would leave a copy of a password behind.
        let message = Zeroizing::new(Vec::with_capacity(MAX_MESSAGE));
        Self { logins, state: State::First, is_socks4: false, message }
    }

    /// Returns how much to receive; `None` once the message is complete.
    fn missing(&self) -> Option<Limit> {
        let have = self.message.len();
        let byte = |index: usize| self.message.get(index).copied().map(usize::from);
        let needed = match (&self.state, self.message.first()) {
            (State::First, None) => 1,
            (State::First, Some(4)) if have < 8 => 8,
            (State::First, Some(4)) => {
                let is_complete = self.socks4_fields().is_some();
                return (!is_complete).then_some(Limit::Unknown);
            }
            (State::First, _) => 2 + byte(1).unwrap_or(0),
            (State::Login, _) => {
                let user = 2 + byte(1).unwrap_or(0);
                if have < user + 1 { user + 1 } else { user + 1 + byte(user).unwrap_or(0) }
            }
            // The first byte of the address may be its length.
            (_, _) if have < 5 => 5,
            (_, _) => match byte(3) {
                Some(1) => 10,
                Some(3) => 7 + byte(4).unwrap_or(0),
                Some(4) => 22,
                _ => 5,
            },
        };
        (have < needed).then(|| Limit::Bytes(needed - have))
    }

    /// Returns the user ID and the name of a SOCKS4 request; `None` if it is incomplete. The name
    /// is empty unless the request is for SOCKS4a.
    fn socks4_fields(&self) -> Option<(&[u8], &[u8])> {
        let rest = self.message.get(8..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        let (user, rest) = (&rest[..end], &rest[end + 1..]);
        if !self.has_name() {
            return Some((user, &[]));
        }
        let end = rest.iter().position(|&byte| byte == 0)?;
        Some((user, &rest[..end]))
    }

    /// Returns `true` for an address 0.0.0.x, which means that a name follows (SOCKS4a).
    fn has_name(&self) -> bool {
        self.message[4..7] == [0; 3] && self.message[7] != 0
    }

    /// Returns the next state after a complete message.
    fn advance(&mut self) -> State {
        match self.state {
            State::First if self.message[0] == 4 => self.socks4_request(),
            State::First => self.greeting(),
            State::Login => self.login(),
            _ => self.request(),
        }
    }

    fn socks4_request(&mut self) -> State {
        self.is_socks4 = true;
        let Some((user, name)) = self.socks4_fields() else { return State::Close(Some(Rejection::Closed)) };
        if user.len() > MAX_USER || name.len() > MAX_NAME {
            return self.reject(91, malformed("a field is too long"));
        }
        if self.logins.is_some() {
            return self.reject(91, Rejection::NoPassword);
        }
        let host = if self.has_name() {
            std::str::from_utf8(name).map_err(|_| Rejection::InvalidTarget).and_then(parse_host)
        } else {
            let octets = [4, 5, 6, 7].map(|index| self.message[index]);
            Ok(Host::Ip(Ipv4Addr::from(octets).into()))
        };
        let port = u16::from_be_bytes([self.message[2], self.message[3]]);
        self.decide(self.message[1], host, port, 91, 91)
    }

    fn greeting(&mut self) -> State {
        let offered = &self.message[2..];
        let (method, next) = match &self.logins {
            None => (NO_AUTHENTICATION, State::Request),
            Some(_) => (USER_PASSWORD, State::Login),
        };
        if offered.contains(&method) {
            return State::Send(vec![5, method], Box::new(next));
        }
        let why = match self.logins {
            Some(_) => Rejection::NoPassword,
            None => Rejection::Unsupported("a SOCKS5 authentication method"),
        };
        State::Send(vec![5, NO_ACCEPTABLE_METHOD], Box::new(State::Close(Some(why))))
    }

    fn login(&mut self) -> State {
        let user = 2 + usize::from(self.message[1]);
        let failed = |why| State::Send(vec![1, 1], Box::new(State::Close(Some(why))));
        if self.message[0] != 1 {
            return failed(malformed("unknown version of the login"));
        }
        let (user, password) = (&self.message[2..user], &self.message[user + 1..]);
        match &self.logins {
            Some(logins) if logins.accept(user, password) => {
                State::Send(vec![1, 0], Box::new(State::Request))
            }
            _ => failed(Rejection::WrongPassword),
        }
    }

    fn request(&mut self) -> State {
        if self.message[0] != 5 {
            return self.reject(1, malformed("the request has another version than the greeting"));
        }
        let address = &self.message[4..self.message.len().saturating_sub(2).max(4)];
        let host = match self.message[3] {
            1 => <[u8; 4]>::try_from(address).map(|octets| Host::Ip(Ipv4Addr::from(octets).into())).ok(),
            3 => address.get(1..).and_then(|name| parse_host(std::str::from_utf8(name).ok()?).ok()),
            4 => <[u8; 16]>::try_from(address).map(|octets| Host::Ip(Ipv6Addr::from(octets).into())).ok(),
            _ => return self.reject(8, Rejection::Unsupported("an unknown type of address")),
        };
        let host = host.ok_or(Rejection::InvalidTarget);
        let port = match self.message[..] {
            [.., high, low] => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        self.decide(self.message[1], host, port, 7, 4)
    }

    /// Returns the state for a request. `unsupported` and `invalid` are the codes for a command
    /// other than CONNECT and for an invalid target.
    fn decide(
        &self,
        command: u8,
        host: Result<Host, Rejection>,
        port: u16,
        unsupported: u8,
        invalid: u8,
    ) -> State {
        let command = match command {
            CONNECT => None,
            BIND => Some("BIND"),
            UDP_ASSOCIATE if !self.is_socks4 => Some("UDP ASSOCIATE"),
            _ => Some("an unknown command"),
        };
        if let Some(command) = command {
            return self.reject(unsupported, Rejection::Unsupported(command));
        }
        match (host, Port::new(port)) {
            (Ok(host), Some(port)) => State::Connect(Endpoint { host, port }),
            (Err(why), _) => self.reject(invalid, why),
            (Ok(_), None) => self.reject(invalid, Rejection::InvalidTarget),
        }
    }

    fn reject(&self, code: u8, why: Rejection) -> State {
        State::Send(self.reply(code, None), Box::new(State::Close(Some(why))))
    }

    /// Returns the reply with this code. The address is only informative, so it is 0.0.0.0 if it is
    /// unknown.
    fn reply(&self, code: u8, bound: Option<SocketAddr>) -> Vec<u8> {
        if self.is_socks4 {
            return vec![0, code, 0, 0, 0, 0, 0, 0];
        }
        let bound = bound.unwrap_or_else(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let mut reply = vec![5, code, 0];
        match bound.ip() {
            IpAddr::V4(ip) => {
                reply.push(1);
                reply.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                reply.push(4);
                reply.extend_from_slice(&ip.octets());
            }
        }
        reply.extend_from_slice(&bound.port().to_be_bytes());
        reply
    }

    fn socks5_code(why: Refusal) -> u8 {
        match why {
            Refusal::NotAllowed => 2,
            Refusal::NetworkUnreachable => 3,
            Refusal::UnknownHost | Refusal::HostUnreachable => 4,
            Refusal::ConnectionRefused => 5,
            Refusal::TimedOut => 6,
            Refusal::ProxyAuthentication | Refusal::ProxyFailed | Refusal::General => 1,
        }
    }
}

fn malformed(why: &'static str) -> Rejection {
    Rejection::Malformed { protocol: "SOCKS", why }
}

impl Server for Socks {
    fn step(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Close(None)) {
            State::Send(bytes, next) => {
                self.state = *next;
                Step::Send(Wire::public(bytes))
            }
            State::Connect(target) => Step::Connect(target),
            State::Relay => {
                self.state = State::Relay;
                Step::Relay
            }
            State::Close(why) => Step::Close(why),
            state @ (State::First | State::Login | State::Request) => {
                self.state = state;
                Step::Receive(self.missing().unwrap_or(Limit::Unknown))
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> usize {
        let mut consumed = 0;
        while consumed < bytes.len()
            && let Some(limit) = self.missing()
        {
            let count = match limit {
                Limit::Bytes(count) => count.min(bytes.len() - consumed),
                Limit::Unknown => 1,
            };
            self.message.extend_from_slice(&bytes[consumed..consumed + count]);
            consumed += count;
            if let (State::First, got @ (0..=3 | 6..)) = (&self.state, self.message[0]) {
                self.state =
                    State::Close(Some(Rejection::NotTheProtocol { expected: "a SOCKS request", got }));
                return consumed;
            }
            if self.message.len() == MAX_MESSAGE && self.missing().is_some() {
                self.is_socks4 = true;
                self.state = self.reject(91, malformed("a field is too long"));
                return consumed;
            }
            if self.missing().is_none() {
                self.state = self.advance();
                self.message.clear();
                return consumed;
            }
        }
        consumed
    }

    fn closed(&mut self) {
        self.state = State::Close(Some(Rejection::Closed));
    }

    fn timed_out(&mut self) {
        let why = match self.state {
            // The client has sent nothing at all.
            State::First if self.message.is_empty() => Rejection::Closed,
            _ => Rejection::TimedOut,
        };
        self.state = State::Close(Some(why));
    }

    fn connected(&mut self, bound: Option<SocketAddr>, _: bool) {
        let code = if self.is_socks4 { 90 } else { 0 };
        self.state = State::Send(self.reply(code, bound), Box::new(State::Relay));
    }

    fn refused(&mut self, why: Refusal) {
        let code = if self.is_socks4 { 91 } else { Self::socks5_code(why) };
        self.state = State::Send(self.reply(code, None), Box::new(State::Close(None)));
    }
}

#[cfg(test)]
mod tests;

//! SOCKS4 and SOCKS4a. No RFC: the protocol notes of NEC and of Ying-Da Lee are the specification.
//!
//! ```text
//!   request    04 | 01 CONNECT | port | address | user … 00
//!   4a         04 | 01 CONNECT | port | 00 00 00 01 | user … 00 | name … 00
//!   reply      00 | code | port | address          90 = granted
//! ```

use std::net::{IpAddr, Ipv4Addr};

use super::error::fits;
use super::{Credentials, Error, Limit, Negotiation, Step, Wire};
use crate::addr::{Endpoint, Host};

const VERSION: u8 = 4;
const GRANTED: u8 = 90;
const REPLY_LENGTH: usize = 8;
/// An address 0.0.0.x that is not 0.0.0.0 says that a name follows.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
/// The protocol has no limit, servers have: 255 is what the common ones take.
const MAX_USER: usize = 255;

/// A SOCKS4 negotiation for one CONNECT; a target with a name makes it SOCKS4a. IPv6 addresses, and user names of more than
/// 255 bytes, are errors of [`check`](Negotiation::check). A reply has 8 bytes.
#[derive(Debug)]
pub struct Socks4 {
    target: Endpoint,
    user: String,
    state: State,
    reply: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SendRequest,
    AwaitReply,
    Done,
}

impl Socks4 {
    /// Starts a negotiation for a tunnel to `target`. SOCKS4 knows a user name and no password.
    #[must_use]
    pub fn new(target: Endpoint, user: String) -> Self {
        Self { target, user, state: State::SendRequest, reply: Vec::new() }
    }

    fn request(&self) -> Result<Wire, Error> {
        let user = self.user.as_bytes();
        fits("the user name", user, "SOCKS4", MAX_USER)?;
        if user.contains(&0) {
            return Err(Error::NotEncodable("SOCKS4 ends the user name at a NUL, and this one holds one"));
        }
        let (address, name) = match &self.target.host {
            Host::Ip(IpAddr::V4(ip)) => (*ip, None),
            Host::Name(name) => (NAME_FOLLOWS, Some(name)),
            Host::Ip(IpAddr::V6(_)) => {
                return Err(Error::NotEncodable("SOCKS4 has no IPv6 addresses; use SOCKS5 (-5)"));
            }
        };
        let mut bytes = vec![VERSION, 1];
        bytes.extend(self.target.port.get().to_be_bytes());
        bytes.extend(address.octets());
        bytes.extend(user);
        bytes.push(0);
        if let Some(name) = name {
            bytes.extend(name.as_str().as_bytes());
            bytes.push(0);
        }
        Ok(Wire::public(bytes))
    }
}

impl Negotiation for Socks4 {
    fn check(&self) -> Result<(), Error> {
        self.request().map(drop)
    }

    fn restart(&mut self) {
        self.state = State::SendRequest;
        self.reply.clear();
    }

    fn step(&mut self) -> Result<Step, Error> {
        Ok(match self.state {
            State::SendRequest => {
                let request = self.request()?;
                self.state = State::AwaitReply;
                Step::Send(request)
            }
            State::AwaitReply => Step::Receive(Limit::Bytes(REPLY_LENGTH - self.reply.len())),
            State::Done => Step::Done,
        })
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = bytes.len().min(REPLY_LENGTH - self.reply.len());
        self.reply.extend(&bytes[..taken]);
        match *self.reply.as_slice() {
            // The version of the reply is 0, but some servers say 4.
            [got, ..] if got != 0 && got != VERSION => {
                return Err(Error::NotTheProtocol { expected: "a SOCKS version 4 reply", got });
            }
            [_, code, ..] if code != GRANTED => {
                return Err(Error::Socks4Refused { target: self.target.to_string(), code });
            }
            _ if self.reply.len() == REPLY_LENGTH => self.state = State::Done,
            _ => {}
        }
        Ok(taken)
    }

    fn closed(&mut self) -> Result<(), Error> {
        Err(Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), Error> {
        Err(Error::NotEncodable("SOCKS4 has no passwords"))
    }

    fn is_fully_sent(&self) -> bool {
        self.state != State::SendRequest
    }

    fn waiting_for(&self) -> &'static str {
        "the answer to the SOCKS4 request"
    }
}

/// Each code in words.
pub(super) fn reply(code: u8) -> &'static str {
    match code {
        91 => "request rejected or failed",
        92 => "the proxy cannot reach an identd on this machine",
        93 => "the user name differs from what identd on this machine says",
        _ => "for a reason that SOCKS4 has no words for",
    }
}

#[cfg(test)]
mod tests;

//! SOCKS4 and SOCKS4a. There is no RFC; the specifications are the protocol notes by NEC and
//! Ying-Da Lee.
//!
//! ```text
//!   request    04 | 01 CONNECT | port | address | user … 00
//!   4a         04 | 01 CONNECT | port | 00 00 00 01 | user … 00 | name … 00
//!   reply      00 | code | port | address          90 = granted
//! ```

use std::net::{IpAddr, Ipv4Addr};

use super::error::check_length;
use super::{Awaited, Credentials, Error, Limit, Negotiation, SocksMessage, Step, Unencodable, Wire};
use crate::addr::{Endpoint, Host};
use crate::secret::UserName;

const VERSION: u8 = 4;
const GRANTED: u8 = 90;
const REPLY_LENGTH: usize = 8;
/// SOCKS4a: an address of the form 0.0.0.x (x nonzero) means that a host name follows the user
/// name.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
/// The protocol sets no limit, but common servers reject longer user names.
const MAX_USER: usize = 255;

/// A SOCKS4 negotiation for one CONNECT. Uses SOCKS4a if the target is a host name.
///
/// [`check`](Negotiation::check) rejects IPv6 addresses and user names longer than 255 bytes. A
/// reply is 8 bytes long.
#[derive(Debug)]
pub struct Socks4 {
    target: Endpoint,
    user: UserName,
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
    /// Creates a negotiation for a tunnel to `target`. SOCKS4 has a user name but no password.
    #[must_use]
    pub fn new(target: Endpoint, user: UserName) -> Self {
        Self { target, user, state: State::SendRequest, reply: Vec::new() }
    }

    fn request(&self) -> Result<Wire, Error> {
        let user = self.user.as_bytes();
        check_length("the user name", user, "SOCKS4", MAX_USER)?;
        if user.contains(&0) {
            return Err(Error::NotEncodable(Unencodable::Socks4Nul));
        }
        let (address, name) = match &self.target.host {
            Host::Ip(IpAddr::V4(ip)) => (*ip, None),
            Host::Name(name) => (NAME_FOLLOWS, Some(name)),
            Host::Ip(IpAddr::V6(_)) => {
                return Err(Error::NotEncodable(Unencodable::Socks4Ipv6));
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
            // The version in a reply should be 0, but some servers send 4.
            [got, ..] if got != 0 && got != VERSION => {
                return Err(Error::NotTheProtocol { expected: SocksMessage::Socks4, got });
            }
            [_, code, ..] if code != GRANTED => {
                return Err(Error::Socks4Refused { target: self.target.clone().into(), code });
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
        Err(Error::NotEncodable(Unencodable::Socks4Password))
    }

    fn is_fully_sent(&self) -> bool {
        self.state != State::SendRequest
    }

    fn waiting_for(&self) -> Awaited {
        Awaited::Socks4Reply
    }
}

#[cfg(test)]
mod tests;

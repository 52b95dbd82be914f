//! The proxy protocols, without sockets, clocks or environment.
//!
//! A negotiation is a state machine. Its driver asks it for the next [`Step`], carries the step out, and hands
//! back what came of it, until the step is [`Step::Done`]: from then on every byte belongs to the tunnel.
//!
//! ```
//! use connect::addr::{Endpoint, Host};
//! use connect::proto::{Limit, Negotiation, Socks4, Step, Wire};
//!
//! let target = Endpoint { host: Host::parse("192.0.2.1").unwrap(), port: 22.try_into().unwrap() };
//! let mut machine = Socks4::new(target, "alice".into());
//!
//! let request = b"\x04\x01\x00\x16\xc0\x00\x02\x01alice\x00";
//! assert_eq!(machine.step()?, Step::Send(Wire::public(request.to_vec())));
//! assert_eq!(machine.step()?, Step::Receive(Limit::Bytes(8)));
//! // The reply may come in pieces.
//! assert_eq!(machine.receive(b"\x00\x5a\x00")?, 3);
//! assert_eq!(machine.step()?, Step::Receive(Limit::Bytes(5)));
//! assert_eq!(machine.receive(b"\x16\xc0\x00\x02\x01")?, 5);
//! assert_eq!(machine.step()?, Step::Done);
//! # Ok::<(), connect::proto::Error>(())
//! ```

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::secret::Secret;

mod error;
mod http;
mod proxy_protocol;
mod socks4;
mod socks5;
mod telnet;

#[cfg(test)]
mod testing;

pub use error::Error;
pub use http::{
    Connect as HttpConnect, Header as HttpHeader, Random, Scheme as HttpScheme, Settings as HttpSettings,
};
pub use proxy_protocol::{Ends, ProxyProtocol};
pub use socks4::Socks4;
pub use socks5::{Method as Socks5Method, Socks5};
pub use telnet::{COMMAND as TELNET_COMMAND, Telnet};

/// Who we are to a proxy, and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name. SOCKS5 takes 1–255 bytes (RFC 1929 §2), Basic none with a colon (RFC 7617 §2).
    pub user: String,
    /// The password. SOCKS5 takes 1–255 bytes.
    pub password: Secret,
}

/// What a negotiation asks of its driver.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send all of this, in one write.
    Send(Wire),
    /// Receive some bytes and pass them to [`Negotiation::receive`].
    Receive(Limit),
    /// The same, but the rest of a refusal that is for the user's eyes only: where nothing comes for a
    /// moment, call [`Negotiation::closed`] as if the proxy had closed.
    ReceiveRest,
    /// Find out user and password and pass them to [`Negotiation::credentials`].
    Credentials,
    /// Close the connection, make a new one, and go on with the next step.
    Reconnect,
    /// The tunnel stands.
    Done,
}

/// How many bytes the driver may take off the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most so many: all of them are this negotiation's.
    Bytes(usize),
    /// Where the message ends is known only when it is seen: look at what has come, and take only what
    /// [`Negotiation::receive`] says.
    Unknown,
}

/// One protocol's way to a tunnel.
pub trait Negotiation {
    /// Checks, before anything is dialled, that the protocol can say what it will have to say.
    ///
    /// # Errors
    /// It cannot.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The connection is a new one: begin again, with the credentials that are known by now.
    fn restart(&mut self);

    /// What to do next.
    ///
    /// # Errors
    /// The negotiation has failed.
    fn step(&mut self) -> Result<Step, Error>;

    /// Takes bytes that came and returns how many of them were this negotiation's: at least one if there
    /// are any. The rest is to be passed again, or belongs to the tunnel.
    ///
    /// # Errors
    /// The bytes are not what the protocol allows here, or they are a refusal.
    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error>;

    /// The proxy has closed the connection.
    ///
    /// # Errors
    /// What that means here; it is no error only where a negotiation can go on without (see [`Step::Reconnect`]).
    fn closed(&mut self) -> Result<(), Error>;

    /// What was asked for with [`Step::Credentials`].
    ///
    /// # Errors
    /// The protocol cannot carry them.
    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error>;

    /// Whether all has been said that there is to say unless it is refused: what is sent from now on may be for whoever
    /// the tunnel leads to. A protocol in which that must wait for the answer keeps saying no.
    fn is_fully_sent(&self) -> bool {
        false
    }

    /// What has just been decided, for a user who wants to know (`-d`). It is told once.
    fn take_log_note(&mut self) -> Option<String> {
        None
    }

    /// What the negotiation is waiting for, to end "… while waiting for": "the answer to the greeting".
    fn waiting_for(&self) -> &'static str;

    /// What has come, fit to be shown: without our credentials, should the proxy repeat them.
    fn shown(&self, received: &[u8]) -> Vec<u8> {
        received.to_vec()
    }

    /// Whether the messages are lines of text, to be shown as such.
    fn is_text(&self) -> bool {
        false
    }
}

/// Bytes to send. Wiped on drop; the parts that are secret are not shown.
#[derive(PartialEq, Eq)]
pub struct Wire {
    bytes: Zeroizing<Vec<u8>>,
    /// In their order.
    secrets: Vec<Range<usize>>,
}

impl Wire {
    /// Bytes that anyone may see.
    #[must_use]
    pub fn public(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), secrets: Vec::new() }
    }

    /// Bytes of which a part, by its positions, must not be shown.
    #[must_use]
    pub fn with_secret(bytes: Zeroizing<Vec<u8>>, secret: Range<usize>) -> Self {
        Self { bytes, secrets: Vec::from_iter(Some(secret).filter(|secret| !secret.is_empty())) }
    }

    /// Bytes in parts, each of which is secret or is not.
    #[must_use]
    pub fn from_parts(parts: &[(&[u8], bool)]) -> Self {
        // Large enough from the start: growing would leave a copy of a secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(parts.iter().map(|(part, _)| part.len()).sum()));
        let mut secrets = Vec::new();
        for &(part, is_secret) in parts {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            secrets.extend(Some(start..bytes.len()).filter(|part| is_secret && !part.is_empty()));
        }
        Self { bytes, secrets }
    }

    /// These bytes and then those.
    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        let start = self.bytes.len();
        let Self { bytes: before, mut secrets } = self;
        // Large enough from the start, as above.
        let mut bytes = Zeroizing::new(Vec::with_capacity(start + next.bytes.len()));
        bytes.extend_from_slice(&before);
        bytes.extend_from_slice(&next.bytes);
        secrets.extend(next.secrets.iter().map(|secret| secret.start + start..secret.end + start));
        Self { bytes, secrets }
    }

    /// All bytes, for the wire.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether a part of the bytes must not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The bytes with `mask` in the place of what must not be shown.
    #[must_use]
    pub fn masked(&self, mask: &str) -> Vec<u8> {
        let mut shown = Vec::with_capacity(self.bytes.len());
        let mut start = 0;
        for secret in &self.secrets {
            shown.extend_from_slice(&self.bytes[start..secret.start]);
            shown.extend_from_slice(mask.as_bytes());
            start = secret.end;
        }
        shown.extend_from_slice(&self.bytes[start..]);
        shown
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire(\"{}\")", self.masked("****").escape_ascii())
    }
}

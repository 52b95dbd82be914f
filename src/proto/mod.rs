//! The proxy protocols, implemented without sockets, clocks or access to the environment.
//!
//! A [`Negotiation`] is a state machine. Its driver asks for the next [`Step`], performs it and
//! passes the result back, until the step is [`Step::Done`]. From then on every byte belongs to the
//! tunnel.
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
//! // The reply may arrive in pieces.
//! assert_eq!(machine.receive(b"\x00\x5a\x00")?, 3);
//! assert_eq!(machine.step()?, Step::Receive(Limit::Bytes(5)));
//! assert_eq!(machine.receive(b"\x16\xc0\x00\x02\x01")?, 5);
//! assert_eq!(machine.step()?, Step::Done);
//! # Ok::<(), connect::proto::Error>(())
//! ```

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::secret::{Secret, UserName};

mod error;
mod http;
pub mod hub;
pub mod link;
pub mod post;
mod proxy_protocol;
mod redact;
pub mod server;
mod socks4;
mod socks5;
#[cfg(feature = "ssh")]
pub mod ssh;
mod telnet;
pub mod websocket;

#[cfg(test)]
mod testing;

pub use error::{Awaited, BadUpgrade, Error, SocksMessage, Unencodable, Unusable, UnusableScheme};
pub use http::{
    AcceptedScheme as AcceptedHttpScheme, Connect as HttpConnect, ForwardRequest, Header as HttpHeader,
    Random, Scheme as HttpScheme, Settings as HttpSettings,
};
pub use proxy_protocol::{Ends, ProxyProtocol};
pub use redact::Redactor;
pub use socks4::Socks4;
pub use socks5::{Method as Socks5Method, Socks5};
pub use telnet::{COMMAND as TELNET_COMMAND, Telnet};

/// A user name and password for a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name. SOCKS5 allows 1–255 bytes (RFC 1929 §2); Basic allows no colon (RFC 7617 §2).
    pub user: UserName,
    /// The password, which may be empty. SOCKS5 allows at most 255 bytes.
    pub password: Secret,
}

/// The login method that a negotiation has learned, for later negotiations with the same proxy as
/// the same user. Contains no credentials.
#[derive(Clone, Debug, PartialEq)]
pub enum Learned {
    /// The authentication scheme that an HTTP proxy accepted.
    Http(AcceptedHttpScheme),
    /// The method that a SOCKS5 proxy requires, or the one that it selects.
    Socks5(Socks5Method),
}

impl Learned {
    /// Returns `true` if [`Negotiation::recall`] needs credentials.
    #[must_use]
    pub fn needs_credentials(&self) -> bool {
        !matches!(self, Self::Socks5(Socks5Method::None))
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(accepted) => accepted.fmt(f),
            Self::Socks5(method) => write!(f, "SOCKS5 method '{method}'"),
        }
    }
}

/// An action that a negotiation requests from its driver.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes in one write.
    Send(Wire),
    /// Receive bytes and pass them to [`Negotiation::receive`].
    Receive(Limit),
    /// Receive the rest of a message that is not essential: a refusal's text, which only informs
    /// the user, or the body of a challenge, which must be read only to keep the connection.
    ///
    /// Like [`Receive`](Self::Receive), but with a short time limit. When the time is up, call
    /// [`Negotiation::closed`] as if the proxy had closed the connection.
    ReceiveRest,
    /// Like [`Receive`](Self::Receive), but only for this long. When the time is up, call
    /// [`Negotiation::timed_out`].
    ReceiveFor(Duration),
    /// Peek at the bytes that follow the negotiation, and pass them to [`Negotiation::receive`],
    /// which consumes none of them.
    ///
    /// Wait until more than this many bytes are available, but only briefly: after a short silence,
    /// or at EOF, call [`Negotiation::closed`].
    Peek(usize),
    /// Obtain a user name and password and pass them to [`Negotiation::credentials`].
    Credentials,
    /// Ask the user, and pass the answer to [`Negotiation::answered`].
    Ask {
        /// The question. It may contain any characters.
        prompt: String,
        /// The answer may be displayed while the user types it.
        is_visible: bool,
        /// An earlier answer to the same question must not be used again.
        is_new: bool,
    },
    /// Wait for this time, and continue with the next step.
    Pause(Duration),
    /// Close the connection, open a new one, call [`Negotiation::restart`] and continue with the
    /// next step.
    Reconnect,
    /// The tunnel is established.
    Done,
}

/// The number of bytes that the driver may consume from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Up to this many bytes, all of which belong to the negotiation.
    Bytes(usize),
    /// The end of the message is not known in advance: peek at the received bytes and consume only
    /// as many as [`Negotiation::receive`] accepts.
    Unknown,
}

/// The client side of a proxy protocol, from the first byte sent to the established tunnel.
pub trait Negotiation: Any + Send {
    /// Checks, before any connection is opened, that the protocol can encode the request.
    ///
    /// # Errors
    /// [`Error::TooLong`] or [`Error::NotEncodable`] if the protocol cannot encode a field of the
    /// request.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Starts over on a new connection, keeping the credentials obtained so far.
    fn restart(&mut self);

    /// Returns the next action for the driver.
    ///
    /// # Errors
    /// Returns the reason if the negotiation has failed.
    fn step(&mut self) -> Result<Step, Error>;

    /// Processes received bytes and returns how many of them belong to the negotiation: at least
    /// one, unless `bytes` is empty, and none after [`Step::Peek`]. Pass the rest again after the
    /// next step, or treat it as tunnel data after [`Step::Done`].
    ///
    /// # Errors
    /// Fails if the bytes violate the protocol or contain a refusal.
    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error>;

    /// Reports that the proxy closed the connection.
    ///
    /// # Errors
    /// Fails unless the negotiation can continue on a new connection ([`Step::Reconnect`]).
    fn closed(&mut self) -> Result<(), Error>;

    /// Reports that the time of [`Step::ReceiveFor`] is up.
    ///
    /// # Errors
    /// Fails unless the negotiation can continue.
    fn timed_out(&mut self) -> Result<(), Error> {
        self.closed()
    }

    /// Supplies the credentials requested by [`Step::Credentials`].
    ///
    /// # Errors
    /// Fails if the protocol cannot encode them.
    fn credentials(&mut self, credentials: Credentials) -> Result<(), Error>;

    /// Supplies the answer to the question of [`Step::Ask`], or the reason why there is none.
    ///
    /// # Errors
    /// Fails if the negotiation cannot continue with that.
    fn answered(&mut self, _answer: Result<Secret, String>) -> Result<(), Error> {
        Ok(())
    }

    /// Returns `true` once the whole request is sent, so that bytes for the next hop may be
    /// pipelined after it (`--eager`). Always `false` for protocols that cannot be pipelined.
    fn is_fully_sent(&self) -> bool {
        false
    }

    /// Returns the login method to remember; `None` if there is none. Once the tunnel is
    /// established, returns the method that the proxy accepted. Before that, returns the method
    /// passed to [`recall`](Self::recall), unless the proxy has rejected it.
    fn learned(&self) -> Option<Learned> {
        None
    }

    /// Uses the login method of an earlier negotiation. Call this before the first step.
    /// `credentials` are those that the user entered earlier; the negotiation ignores them if
    /// others are set. Returns `false` if the method makes no difference.
    ///
    /// If the proxy rejects the method, the negotiation starts over without it.
    fn recall(&mut self, _learned: &Learned, _credentials: Option<Credentials>) -> bool {
        false
    }

    /// Takes the note on the latest decision, for the debug log (`-d`). `None` if there is
    /// nothing new.
    fn take_log_note(&mut self) -> Option<String> {
        None
    }

    /// Takes a result of the negotiation so far, for `--check`. `None` if there is nothing new.
    fn take_fact(&mut self) -> Option<String> {
        None
    }

    /// Takes a message for the user. `None` if there is nothing new.
    fn take_message(&mut self) -> Option<String> {
        None
    }

    /// Returns `true` if the debug log shows the bytes. Otherwise, the notes of
    /// [`take_log_note`](Self::take_log_note) describe the messages.
    fn logs_bytes(&self) -> bool {
        true
    }

    /// Returns the message that the negotiation waits for.
    fn waiting_for(&self) -> Awaited;

    /// Returns `true` if the protocol is line-based text, which the debug log does not hex-dump.
    fn is_text(&self) -> bool {
        false
    }
}

/// Bytes to send. Zeroed on drop; `Debug` masks the secret parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Wire {
    bytes: Zeroizing<Vec<u8>>,
    /// The ranges of secret bytes, sorted and non-overlapping.
    secrets: Vec<Range<usize>>,
}

impl Wire {
    /// Creates a message without secrets.
    #[must_use]
    pub fn public(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), secrets: Vec::new() }
    }

    /// Creates a message whose bytes in the range `secret` must not be displayed.
    #[must_use]
    pub fn with_secret(bytes: Zeroizing<Vec<u8>>, secret: Range<usize>) -> Self {
        Self { bytes, secrets: Vec::from_iter(Some(secret).filter(|secret| !secret.is_empty())) }
    }

    /// Creates a message from parts, each with a flag that says whether it is secret.
    #[must_use]
    pub fn from_parts(parts: &[(&[u8], bool)]) -> Self {
        // Reserve the full length: reallocation would leave a copy of a secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(parts.iter().map(|(part, _)| part.len()).sum()));
        let mut secrets = Vec::new();
        for &(part, is_secret) in parts {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            secrets.extend(Some(start..bytes.len()).filter(|part| is_secret && !part.is_empty()));
        }
        Self { bytes, secrets }
    }

    /// Appends another message.
    #[must_use]
    pub fn concat(self, next: &Self) -> Self {
        let start = self.bytes.len();
        let Self { bytes: before, mut secrets } = self;
        // Reserve the full length: reallocation would leave a copy of a secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(start + next.bytes.len()));
        bytes.extend_from_slice(&before);
        bytes.extend_from_slice(&next.bytes);
        secrets.extend(next.secrets.iter().map(|secret| secret.start + start..secret.end + start));
        Self { bytes, secrets }
    }

    /// Returns all bytes, secrets included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns `true` if any part must not be displayed.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Returns the bytes for display, with each secret part replaced by `mask`.
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

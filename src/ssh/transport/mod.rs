//! The transport layer (RFC 4253): identification, key exchange, and encrypted messages.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::algorithms::{Algorithms, Offer, Role};
use super::cipher::{Opened, Opener, Random, Sealer};
use super::error::Error;
use super::known_hosts::Presented;
use super::message;
use super::public_key::PublicKey;
use super::wire::{Reader, Write};
use crate::text::printable;
use compression::Compression;
use host_key::HostKeyProof;
use identification::Identification;
use state::Exchange;

mod compression;
mod exchange;
mod host_key;
mod identification;
mod rekey;
mod state;
#[cfg(test)]
mod tests;

pub use rekey::Limits;

/// The most bytes of messages that wait for the end of a key exchange. Senders stop earlier, see
/// [`Transport::can_send`].
const MAX_QUEUED: usize = 4 * 1024 * 1024;

/// The most bytes that wait to be sent. Senders of data stop earlier, so a peer that exceeds this
/// limit sends requests and does not read the answers.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;

/// A host key of a server.
pub trait HostKey: Send + Sync {
    /// Returns the public key.
    fn public_key(&self) -> &PublicKey;

    /// Signs with an algorithm of the key. Returns the signature with its algorithm (RFC 4253
    /// §6.6); `None` if that fails.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>>;
}

/// Shows no fields: those of every implementation would make the program larger, and its start
/// slower.
impl fmt::Debug for dyn HostKey + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKey")
    }
}

/// The settings of a transport.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The algorithms to offer.
    pub offer: Offer,
    /// The host keys of a server; empty for a client.
    pub host_keys: Vec<Arc<dyn HostKey>>,
    /// The software version in the identification, without blanks.
    pub software: &'static str,
    /// When to exchange keys again.
    pub limits: Limits,
    /// Keep a log of the messages, see [`Transport::take_log`].
    pub is_logged: bool,
}

/// An event on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server has proved that it owns a key, see [`Transport::host_key`]. The client calls
    /// [`Transport::trust_host_key`] to go on. Not reported for later key exchanges.
    HostKey,
    /// The first key exchange is over: messages may be sent.
    Established,
    /// The peer has sent its extensions (RFC 8308); see [`Transport::signature_algorithms`].
    Extensions,
    /// A message for a layer above; see [`Transport::message`].
    Message,
}

/// One side of a connection, without I/O: takes the bytes received, and holds those to be sent.
#[derive(Debug)]
pub struct Transport {
    role: Role,
    settings: Settings,
    random: Random,
    opener: Opener,
    sealer: Sealer,
    /// Received bytes. Those before `start` are processed.
    input: Vec<u8>,
    start: usize,
    /// The place of the current message in `input`, and the sequence number of its packet.
    current: (std::ops::Range<usize>, u32),
    output: Vec<u8>,
    identification: Identification,
    exchange: Exchange,
    /// Messages that wait for the end of a key exchange.
    queued: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    algorithms: Option<Algorithms>,
    session_id: Option<Vec<u8>>,
    host_key: Option<HostKeyProof>,
    /// Both sides use strict key exchange.
    is_strict: bool,
    peer_accepts_extensions: bool,
    signature_algorithms: Option<String>,
    usage: rekey::Usage,
    compression: Compression,
    /// The current message, if it was compressed.
    expanded: Option<Vec<u8>>,
    /// The messages since the last call of [`Transport::take_log`]; `None` if logging is off.
    log: Option<Vec<LogEntry>>,
}

/// A message that was sent or received, for the debug log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// This side has sent the message.
    pub is_sent: bool,
    /// The number of the message.
    pub number: u8,
    /// The length of the message.
    pub length: usize,
}

impl Transport {
    /// Creates a side of a connection. Its identification and its offer can be sent at once.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new(role: Role, settings: Settings, random: Random) -> Result<Self, Error> {
        let is_logged = settings.is_logged;
        let identification = Identification::new(role, settings.software);
        let mut transport = Self {
            role,
            settings,
            random,
            opener: Opener::default(),
            sealer: Sealer::default(),
            input: Vec::new(),
            start: 0,
            current: (0..0, 0),
            output: identification.line(),
            identification,
            exchange: Exchange::Idle,
            queued: VecDeque::new(),
            queued_bytes: 0,
            algorithms: None,
            session_id: None,
            host_key: None,
            is_strict: false,
            peer_accepts_extensions: false,
            signature_algorithms: None,
            usage: rekey::Usage::default(),
            compression: Compression::default(),
            expanded: None,
            log: is_logged.then(Vec::new),
        };
        transport.start_exchange()?;
        Ok(transport)
    }

    /// Returns the bytes to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Removes the first `count` bytes of the output, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.output.drain(..count);
    }

    /// Takes the log of the messages that were sent and received. Empty unless
    /// [`Settings::is_logged`] is set.
    pub fn take_log(&mut self) -> Vec<LogEntry> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Stops keeping a log.
    pub fn stop_log(&mut self) {
        self.log = None;
    }

    /// Returns the identification of the peer, once it is known.
    #[must_use]
    pub fn peer_identification(&self) -> Option<&[u8]> {
        self.identification.peer()
    }

    /// Returns the exchange hash of the first key exchange; empty before it is known.
    #[must_use]
    pub fn session_id(&self) -> &[u8] {
        self.session_id.as_deref().unwrap_or_default()
    }

    /// Returns the algorithms of the latest key exchange.
    #[must_use]
    pub fn algorithms(&self) -> Option<&Algorithms> {
        self.algorithms.as_ref()
    }

    /// Returns `true` if both sides use strict key exchange (CVE-2023-48795).
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Returns the server's host key, once it has proved that it owns it.
    #[must_use]
    pub fn host_key(&self) -> Option<Presented<'_>> {
        self.host_key.as_ref().map(|proof| match proof {
            HostKeyProof::Key(key) => Presented::Key(key),
            HostKeyProof::Certificate(certificate) => Presented::Certificate(certificate),
        })
    }

    /// Returns the signature algorithms that the server accepts for user authentication; `None` if
    /// it has not sent them (`server-sig-algs`, RFC 8308 §3.1).
    #[must_use]
    pub fn signature_algorithms(&self) -> Option<&str> {
        self.signature_algorithms.as_deref()
    }

    /// Returns the current message, until the next call of [`Self::next_event`].
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.expanded.as_deref().unwrap_or(&self.input[self.current.0.clone()])
    }

    /// Returns `true` if messages can be sent now. Otherwise they wait in memory for the end of the
    /// key exchange.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.session_id.is_some() && matches!(self.exchange, Exchange::Idle | Exchange::Switching(_))
    }

    /// Adds received bytes. Call [`Self::next_event`] until it returns `None`.
    pub fn receive(&mut self, bytes: &[u8]) {
        // Move what is left to the front only when nothing refers to it.
        if self.start == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..self.start);
        }
        self.start = 0;
        self.current.0 = 0..0;
        self.expanded = None;
        self.input.extend_from_slice(bytes);
    }

    /// Returns the next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// The peer has broken a rule, or has ended the connection.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if self.exchange.awaits_trust() {
            return Ok(None);
        }
        if self.identification.peer().is_none() {
            let taken = self.identification.receive(&self.input[self.start..])?;
            self.start += taken;
            if self.identification.peer().is_none() {
                return Ok(None);
            }
        }
        loop {
            let opened = self.opener.open(&mut self.input[self.start..])?;
            let Opened::Packet { payload, length, sequence } = opened else { return Ok(None) };
            self.current = (self.start + payload.start..self.start + payload.end, sequence);
            self.start += length;
            self.usage.received(length);
            self.expanded = self.compression.expand(&self.input[self.current.0.clone()])?;
            let (number, length) = (self.message()[0], self.message().len());
            if let Some(log) = &mut self.log {
                log.push(LogEntry { is_sent: false, number, length });
            }
            if number == message::USERAUTH_SUCCESS && self.role == Role::Client {
                self.compression.start(true);
            }
            if let Some(event) = self.dispatch()? {
                return Ok(Some(event));
            }
        }
    }

    /// Processes the current message. Returns `None` if the caller has nothing to do for it.
    fn dispatch(&mut self) -> Result<Option<Event>, Error> {
        let number = self.message()[0];
        let is_first_exchange = self.algorithms.is_none();
        match number {
            message::DISCONNECT => Err(self.disconnected()),
            message::KEXINIT..=49 => self.exchange_message(number),
            // Strict key exchange allows no other message in the first exchange.
            _ if is_first_exchange && self.is_strict => Err(Error::Unexpected(number)),
            message::IGNORE | message::DEBUG => Ok(None),
            // In a later exchange, asyncssh sends data after its KEXINIT, although RFC 4253 §7.1
            // forbids it. The keys still protect these messages, so no attacker can add any.
            _ if is_first_exchange => Err(Error::Unexpected(number)),
            message::EXT_INFO => {
                if let Some(names) = self.read_extensions().map_err(Error::malformed(number))? {
                    self.signature_algorithms = Some(names);
                }
                Ok(Some(Event::Extensions))
            }
            message::PING => {
                let data = Reader::new(&self.message()[1..]).string().map_err(Error::malformed(number))?;
                let mut pong = vec![message::PONG];
                pong.put_string(data);
                self.send(&[&pong])?;
                Ok(None)
            }
            _ => Ok(Some(Event::Message)),
        }
    }

    fn disconnected(&self) -> Error {
        let mut reader = Reader::new(&self.message()[1..]);
        match (reader.u32(), reader.string()) {
            (Ok(reason), Ok(text)) => Error::Disconnected { reason, text: printable(text) },
            _ => Error::Malformed(message::DISCONNECT),
        }
    }

    /// Returns the value of `server-sig-algs`, if the current message contains it.
    fn read_extensions(&self) -> Result<Option<String>, super::wire::Malformed> {
        let mut reader = Reader::new(&self.message()[1..]);
        let mut algorithms = None;
        for _ in 0..reader.u32()? {
            let (name, value) = (reader.string()?, reader.string()?);
            if name == b"server-sig-algs" {
                algorithms = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
        reader.end()?;
        Ok(algorithms)
    }

    /// Answers the current message, whose number is not known (RFC 4253 §11.4).
    ///
    /// # Errors
    /// See [`Self::send`].
    pub fn unimplemented(&mut self) -> Result<(), Error> {
        let mut answer = vec![message::UNIMPLEMENTED];
        answer.put_u32(self.current.1);
        self.send(&[&answer])
    }

    /// Sends a message that consists of `parts`. During a key exchange, it waits for the end.
    ///
    /// # Errors
    /// Too many messages wait, or the system has no random bytes.
    pub fn send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        if self.output.len() > MAX_OUTPUT {
            return Err(Error::Violation("the answers to requests are not read"));
        }
        if self.can_send() {
            return self.seal(parts);
        }
        let message = parts.concat();
        self.queued_bytes += message.len();
        if self.queued_bytes > MAX_QUEUED {
            return Err(Error::Violation("the key exchange takes too long"));
        }
        self.queued.push_back(message);
        Ok(())
    }

    /// Sends DISCONNECT, ahead of messages that wait. Nothing may be sent after it.
    pub fn disconnect(&mut self, reason: u32, text: &str) {
        let mut last = vec![message::DISCONNECT];
        last.put_u32(reason).put_string(text).put_string("");
        self.queued.clear();
        // Sealing fails without random bytes; closing the connection then has to be enough.
        let _ = self.seal(&[&last]);
    }

    fn seal(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let before = self.output.len();
        match self.compression.compress(parts)? {
            None => self.sealer.seal(parts, &mut self.output, self.random)?,
            Some(compressed) => self.sealer.seal(&[compressed], &mut self.output, self.random)?,
        }
        self.usage.sent(self.output.len() - before);
        let number = parts.iter().find_map(|part| part.first()).copied().unwrap_or_default();
        if let Some(log) = &mut self.log {
            let length = parts.iter().map(|part| part.len()).sum();
            log.push(LogEntry { is_sent: true, number, length });
        }
        if number == message::USERAUTH_SUCCESS && self.role == Role::Server {
            // A client whose NEWKEYS is under way sends it before it learns of the success.
            self.compression.start(!matches!(self.exchange, Exchange::Switching(_)));
        }
        Ok(())
    }

    /// Sends the messages that waited for the end of a key exchange.
    fn flush_queue(&mut self) -> Result<(), Error> {
        self.queued_bytes = 0;
        while let Some(message) = self.queued.pop_front() {
            self.seal(&[&message])?;
        }
        Ok(())
    }

    /// Returns the error for the end of the connection.
    #[must_use]
    pub fn closed(&self) -> Error {
        if self.identification.peer().is_some() {
            return Error::Closed;
        }
        let rest = &self.input[self.start..];
        if rest.is_empty() { self.identification.closed() } else { self.identification.not_ssh(rest) }
    }

    /// Starts a key exchange if the keys have been used for long enough. `now` is the time since
    /// the connection was opened.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn rekey_if_due(&mut self, now: Duration) -> Result<(), Error> {
        let is_due = self.usage.is_spent(&self.settings.limits, now);
        if !matches!(self.exchange, Exchange::Idle) || !is_due {
            return Ok(());
        }
        self.start_exchange()
    }
}

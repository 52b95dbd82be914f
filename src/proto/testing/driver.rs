//! Drives a negotiation as the program does, and holds it to the contract of [`Negotiation`].
//!
//! The fuzz targets also include this file, so it uses only the crate's public interface.

#![allow(clippy::panic)]

use std::fmt::Debug;

use crate::proto::{Credentials, Error, Learned, Limit, Negotiation, Step, Wire};
use crate::secret::Secret;

/// Maximum number of bytes that the program passes to a negotiation at once.
pub(crate) const PEEK_SIZE: usize = 4096;

/// Maximum number of steps that neither consume bytes nor reconnect: requests, credentials and
/// EOFs.
const MAX_OTHER_STEPS: usize = 32;

/// The proxy and the user, as a negotiation sees them.
pub(crate) trait Peers {
    /// Takes a message that the negotiation sends to the proxy.
    fn send(&mut self, message: &Wire);

    /// Returns the next bytes from the proxy, or `None` at EOF.
    ///
    /// `optional` means that the negotiation does not need more bytes ([`Step::ReceiveRest`]).
    fn receive(&mut self, optional: bool) -> Option<Vec<u8>>;

    /// Returns further bytes that arrive before the negotiation peeks again, if any.
    fn receive_more(&mut self) -> Vec<u8>;

    /// Returns the credentials that the user enters.
    fn credentials(&mut self) -> Credentials;

    /// Returns the user's answer to a question, or the reason why there is none.
    fn answer(&mut self, prompt: &str, is_visible: bool) -> Result<Secret, String> {
        panic!("unexpected question: {prompt:?}, visible: {is_visible}")
    }

    /// Accepts a new connection. Undelivered bytes on the old connection are lost.
    fn reconnect(&mut self);

    /// Maximum number of bytes that the negotiation may consume from one connection.
    fn max_bytes(&self) -> usize {
        usize::MAX
    }

    /// Calls a method of the negotiation. Implementations can override this to measure the cost.
    fn call<T>(&mut self, method: impl FnOnce() -> T) -> T {
        method()
    }

    /// Inspects the negotiation before each step and at the end.
    fn inspect(&mut self, _negotiation: &impl Debug) {}
}

/// The result of a negotiation.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<(), Error>,
    /// The number of abandoned connections.
    pub(crate) reconnects: usize,
    /// The number of bytes consumed from the last connection.
    pub(crate) consumed: usize,
    /// Bytes that arrived on the last connection and were not consumed: they belong to the tunnel.
    pub(crate) unread: Vec<u8>,
    /// The login method that the negotiation has learned.
    pub(crate) learned: Option<Learned>,
}

/// Runs a negotiation to completion.
///
/// # Panics
/// If the negotiation breaks its contract.
pub(crate) fn drive<N: Negotiation + Debug, P: Peers>(negotiation: N, peers: &mut P) -> Outcome {
    let mut driver = Driver { negotiation, peers, reconnects: 0, consumed: 0, unread: Vec::new() };
    let mut other_steps = 0;
    let result = loop {
        driver.peers.inspect(&driver.negotiation);
        let before = (driver.reconnects, driver.consumed, driver.unread.len());
        match driver.step() {
            Ok(false) => {}
            Ok(true) => break Ok(()),
            Err(error) => break Err(error),
        }
        let after = (driver.reconnects, driver.consumed, driver.unread.len());
        other_steps += usize::from(before == after);
        assert!(other_steps <= MAX_OTHER_STEPS, "does not end: {:?}", driver.negotiation);
    };
    driver.peers.inspect(&driver.negotiation);
    let Driver { negotiation, reconnects, consumed, unread, .. } = driver;
    Outcome { result, reconnects, consumed, unread, learned: negotiation.learned() }
}

struct Driver<'a, N, P> {
    negotiation: N,
    peers: &'a mut P,
    reconnects: usize,
    consumed: usize,
    unread: Vec<u8>,
}

impl<N: Negotiation + Debug, P: Peers> Driver<'_, N, P> {
    /// Performs one step. Returns `true` if it was the last.
    fn step(&mut self) -> Result<bool, Error> {
        assert!(!self.negotiation.waiting_for().as_str().is_empty());
        match self.call(N::step)? {
            Step::Send(message) => {
                assert!(!message.bytes().is_empty(), "sends nothing");
                self.peers.send(&message);
            }
            Step::Receive(limit) => self.receive(limit, false)?,
            Step::ReceiveRest | Step::ReceiveFor(_) => self.receive(Limit::Unknown, true)?,
            Step::Peek(seen) => self.peek(seen)?,
            Step::Credentials => {
                let credentials = self.peers.credentials();
                self.call(|negotiation| negotiation.credentials(credentials))?;
            }
            Step::Ask { prompt, is_visible, is_new: _ } => {
                let answer = self.peers.answer(&prompt, is_visible);
                self.call(|negotiation| negotiation.answered(answer.clone()))?;
            }
            Step::Pause(_) => {}
            Step::Reconnect => {
                self.peers.reconnect();
                self.unread.clear();
                (self.reconnects, self.consumed) = (self.reconnects + 1, 0);
                self.call(N::restart);
            }
            Step::Done => {
                assert_eq!(
                    self.negotiation.step(),
                    Ok(Step::Done),
                    "an established tunnel stays established"
                );
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn receive(&mut self, limit: Limit, optional: bool) -> Result<(), Error> {
        if self.unread.is_empty() {
            match self.peers.receive(optional) {
                Some(bytes) => self.unread = bytes,
                None => return self.call(N::closed),
            }
        }
        let max = match limit {
            Limit::Bytes(max) => max.min(PEEK_SIZE),
            Limit::Unknown => PEEK_SIZE,
        };
        assert!(max > 0, "asks for no bytes");
        let offered = max.min(self.unread.len());
        let unread = std::mem::take(&mut self.unread);
        let consumed = self.call(|negotiation| negotiation.receive(&unread[..offered]));
        self.unread = unread;
        let consumed = consumed?;
        match limit {
            Limit::Bytes(_) => assert_eq!(consumed, offered, "leaves bytes that it asked for"),
            Limit::Unknown => assert!((1..=offered).contains(&consumed), "consumed {consumed} of {offered}"),
        }
        self.unread.drain(..consumed);
        self.consumed += consumed;
        assert!(self.consumed <= self.peers.max_bytes(), "consumed {} bytes", self.consumed);
        // The next peek returns the remaining bytes again, plus any that have arrived since.
        if limit == Limit::Unknown && !self.unread.is_empty() {
            self.unread.extend(self.peers.receive_more());
        }
        Ok(())
    }

    fn peek(&mut self, seen: usize) -> Result<(), Error> {
        while self.unread.len() <= seen {
            match self.peers.receive(true) {
                Some(bytes) => self.unread.extend(bytes),
                None => return self.call(N::closed),
            }
        }
        let offered = self.unread.len().min(PEEK_SIZE);
        if offered <= seen {
            return self.call(N::closed);
        }
        let unread = std::mem::take(&mut self.unread);
        let consumed = self.call(|negotiation| negotiation.receive(&unread[..offered]));
        self.unread = unread;
        assert_eq!(consumed?, 0, "consumes bytes that may belong to the tunnel");
        Ok(())
    }

    fn call<T>(&mut self, method: impl FnOnce(&mut N) -> T) -> T {
        let negotiation = &mut self.negotiation;
        self.peers.call(|| method(negotiation))
    }
}

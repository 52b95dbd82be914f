//! Helpers for the protocol tests, which play each conversation once per fragmentation and check
//! the result.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::fmt::Debug;

use super::{Credentials, Error, Learned, Negotiation, Wire};
use crate::addr::{Endpoint, Host, parse_port};
use crate::secret::Secret;
use driver::{Peers, drive};

mod driver;

pub(super) const USER: &str = "alice";
pub(super) const PASSWORD: &str = "hunter2-opensesame";
/// `alice:hunter2-opensesame` in base64.
pub(super) const BASIC: &str = "YWxpY2U6aHVudGVyMi1vcGVuc2VzYW1l";
/// Bytes that a target sends before any request. Every negotiation must leave them unread.
pub(super) const BANNER: &[u8] = b"SSH-2.0-early\r\n\r\n\0\x05\x00";

pub(super) fn endpoint(host: &str, port: &str) -> Endpoint {
    Endpoint { host: Host::parse(host).unwrap(), port: parse_port(port).unwrap() }
}

pub(super) fn login(user: &str, password: &str) -> Credentials {
    Credentials { user: user.into(), password: Secret::from(password) }
}

pub(super) fn alice() -> Credentials {
    login(USER, PASSWORD)
}

/// One turn of a conversation between a negotiation and its peers.
#[derive(Clone, Debug)]
pub(super) enum Turn<'a> {
    /// The negotiation sends exactly this.
    Sends(&'a [u8]),
    /// The proxy sends this.
    Proxy(&'a [u8]),
    /// The proxy sends nothing while the negotiation waits for bytes that are not essential.
    Pauses,
    /// The proxy closes the connection.
    Closes,
    /// The negotiation asks for credentials and gets these.
    Asks(Credentials),
    /// The negotiation asks for a new connection and gets one.
    Reconnects,
}

impl Turn<'_> {
    /// Returns how many bytes the proxy sends.
    fn size(&self) -> usize {
        if let Self::Proxy(bytes) = self { bytes.len() } else { 0 }
    }
}

/// The fragmentation of the proxy's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    InOneLump,
    ByteByByte,
    /// In two parts, split after this many bytes.
    At(usize),
}

impl Cut {
    fn parts(self, bytes: &[u8]) -> VecDeque<Vec<u8>> {
        let parts: Vec<&[u8]> = match self {
            Self::InOneLump => vec![bytes],
            Self::ByteByByte => bytes.chunks(1).collect(),
            Self::At(at) => <[_; 2]>::from(bytes.split_at(at.min(bytes.len()))).to_vec(),
        };
        parts.into_iter().filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// Returns all fragmentations of a short conversation, or a sample for a long one.
    fn all(turns: &[Turn<'_>]) -> Vec<Self> {
        let longest = turns.iter().map(Turn::size).max().unwrap_or(0);
        let stride = if longest <= 1000 { 1 } else { longest / 23 };
        let cuts = (1..longest).step_by(stride).map(Self::At);
        [Self::InOneLump, Self::ByteByByte].into_iter().chain(cuts).collect()
    }
}

/// The result of a conversation.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<(), Error>,
    /// Bytes from the proxy that the negotiation did not consume.
    pub(super) unread: Vec<u8>,
    /// The login method that the negotiation has learned.
    pub(super) learned: Option<Learned>,
}

/// Plays a conversation once for each [`Cut`]. Each time, the tunnel must open, and a banner after
/// the last answer must be left unread.
pub(super) fn opens<N: Negotiation + Debug>(make: impl Fn() -> N, turns: &[Turn<'_>]) {
    for early in [&b""[..], BANNER] {
        let mut turns = turns.to_vec();
        let Some(Turn::Proxy(last)) = turns.pop() else { panic!("a tunnel opens after the proxy's answer") };
        let last = [last, early].concat();
        turns.push(Turn::Proxy(&last));
        for cut in Cut::all(&turns) {
            let Outcome { result, unread, .. } = run(make(), &turns, cut);
            assert_eq!(result, Ok(()), "{cut:?}");
            assert_eq!(unread.escape_ascii().to_string(), early.escape_ascii().to_string(), "{cut:?}");
        }
    }
}

/// Plays a conversation once for each [`Cut`]. It must fail with the same error each time.
pub(super) fn fails<N: Negotiation + Debug>(make: impl Fn() -> N, turns: &[Turn<'_>]) -> Error {
    let failure = |cut| run(make(), turns, cut).result.unwrap_err();
    let first = failure(Cut::InOneLump);
    for cut in Cut::all(turns) {
        assert_eq!(failure(cut), first, "{cut:?}");
    }
    first
}

/// Plays a conversation once.
pub(super) fn run<N: Negotiation + Debug>(negotiation: N, turns: &[Turn<'_>], cut: Cut) -> Outcome {
    let size: usize = turns.iter().map(Turn::size).sum();
    let mut script = Script {
        turns: turns.iter().cloned().collect(),
        cut,
        parts: VecDeque::new(),
        // Formatting a large state would take longer than the conversation itself.
        inspects: size < 1000,
    };
    let driver::Outcome { result, reconnects, consumed, unread, learned } = drive(negotiation, &mut script);
    if let Err(error) = &result {
        is_fit_to_be_shown(error);
    }
    shows_no_password(&learned);
    assert!(script.turns.is_empty(), "ended with {result:?} before {:?}", script.turns);
    let unread = [unread, script.parts.into_iter().flatten().collect()].concat();
    let last = turns.iter().rposition(|turn| matches!(turn, Turn::Reconnects)).unwrap_or(0);
    assert_eq!(reconnects, turns.iter().filter(|turn| matches!(turn, Turn::Reconnects)).count());
    assert_eq!(consumed + unread.len(), turns[last..].iter().map(Turn::size).sum::<usize>());
    Outcome { result, unread, learned }
}

/// The peers of a scripted conversation.
struct Script<'a> {
    turns: VecDeque<Turn<'a>>,
    cut: Cut,
    /// Fragments that the proxy has sent but that have not arrived yet.
    parts: VecDeque<Vec<u8>>,
    inspects: bool,
}

impl Peers for Script<'_> {
    fn send(&mut self, message: &Wire) {
        shows_no_password(message);
        let Some(Turn::Sends(expected)) = self.turns.pop_front() else { panic!("unexpected {message:?}") };
        assert_eq!(message.bytes().escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(message.bytes(), expected);
    }

    fn receive(&mut self, optional: bool) -> Option<Vec<u8>> {
        while self.parts.is_empty() {
            match self.turns.pop_front() {
                Some(Turn::Proxy(bytes)) => self.parts = self.cut.parts(bytes),
                Some(Turn::Closes) => return None,
                Some(Turn::Pauses) | None if optional => return None,
                other => panic!("expected {other:?}, but the negotiation receives"),
            }
        }
        self.parts.pop_front()
    }

    fn receive_more(&mut self) -> Vec<u8> {
        self.parts.pop_front().unwrap_or_default()
    }

    fn credentials(&mut self) -> Credentials {
        match self.turns.pop_front() {
            Some(Turn::Asks(credentials)) => credentials,
            other => panic!("expected {other:?}, but the negotiation asks for credentials"),
        }
    }

    fn reconnect(&mut self) {
        let turn = self.turns.pop_front();
        assert!(matches!(turn, Some(Turn::Reconnects)), "expected {turn:?}, but the negotiation reconnects");
        self.parts.clear();
    }

    fn inspect(&mut self, negotiation: &impl Debug) {
        if self.inspects {
            shows_no_password(negotiation);
        }
    }
}

/// Checks that an error contains neither control characters nor the password.
pub(super) fn is_fit_to_be_shown(error: &Error) {
    shows_no_password(error);
    let text = error.to_string();
    assert!(!text.is_empty());
    assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    assert!(!text.contains(PASSWORD) && !text.contains(BASIC), "{text:?}");
    assert!(!text.ends_with(' '), "{text:?}");
    assert!(text.chars().count() < 700, "{text:?}");
}

fn shows_no_password(thing: &impl Debug) {
    let shown = format!("{thing:?} {thing:#?}");
    let as_numbers = format!("{:?}", PASSWORD.as_bytes());
    for secret in [PASSWORD, BASIC, as_numbers.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

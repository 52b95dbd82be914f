//! A driver for the machines' tests: it plays a conversation in every fragmentation, and holds the machine to its contract.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::fmt::Debug;

use super::{Credentials, Error, Limit, Negotiation, Step};
use crate::addr::{Endpoint, Host, parse_port};
use crate::secret::Secret;

pub(super) const USER: &str = "alice";
pub(super) const PASSWORD: &str = "hunter2-opensesame";
/// `alice:hunter2-opensesame` in base64.
pub(super) const BASIC: &str = "YWxpY2U6aHVudGVyMi1vcGVuc2VzYW1l";
/// What a target says before anyone asks it: it must survive every negotiation.
pub(super) const BANNER: &[u8] = b"SSH-2.0-early\r\n\r\n\0\x05\x00";

pub(super) fn endpoint(host: &str, port: &str) -> Endpoint {
    Endpoint { host: Host::parse(host).unwrap(), port: parse_port(port).unwrap() }
}

pub(super) fn login(user: &str, password: &str) -> Credentials {
    Credentials { user: user.to_owned(), password: Secret::from(password) }
}

pub(super) fn alice() -> Credentials {
    login(USER, PASSWORD)
}

/// One turn of a conversation, from the driver's place between machine and proxy.
#[derive(Clone, Debug)]
pub(super) enum Turn<'a> {
    /// The machine sends exactly this.
    Sends(&'a [u8]),
    /// The proxy sends this.
    Proxy(&'a [u8]),
    /// The proxy closes the connection.
    Closes,
    /// The machine asks for credentials and gets these.
    Asks(Credentials),
    /// The machine asks for a new connection and gets one.
    Reconnects,
}

/// How the proxy's bytes arrive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    InOneLump,
    ByteByByte,
    /// In two parts, the first of so many bytes.
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

    /// Every position, for conversations of a size at which that is quick; a spread of them for others.
    fn all(turns: &[Turn<'_>]) -> Vec<Self> {
        let longest = turns.iter().map(|turn| if let Turn::Proxy(bytes) = turn { bytes.len() } else { 0 });
        let longest = longest.max().unwrap_or(0);
        let stride = if longest <= 1000 { 1 } else { longest / 23 };
        let cuts = (1..longest).step_by(stride).map(Self::At);
        [Self::InOneLump, Self::ByteByByte].into_iter().chain(cuts).collect()
    }
}

/// How a conversation ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<(), Error>,
    /// The bytes that the proxy sent and the machine did not take.
    pub(super) left: Vec<u8>,
}

/// Plays a conversation in every fragmentation: the tunnel must stand at its end, and `BANNER` behind the last
/// answer must be untouched.
pub(super) fn opens<M: Negotiation + Debug>(make: impl Fn() -> M, turns: &[Turn<'_>]) {
    for early in [&b""[..], BANNER] {
        let mut turns = turns.to_vec();
        let Some(Turn::Proxy(last)) = turns.pop() else { panic!("a tunnel begins with the proxy's answer") };
        let last = [last, early].concat();
        turns.push(Turn::Proxy(&last));
        for cut in Cut::all(&turns) {
            let Outcome { result, left } = run(make(), &turns, cut);
            assert_eq!(result, Ok(()), "{cut:?}");
            assert_eq!(left.escape_ascii().to_string(), early.escape_ascii().to_string(), "{cut:?}");
        }
    }
}

/// Plays a conversation in every fragmentation: it must fail each time, and for the same reason.
pub(super) fn fails<M: Negotiation + Debug>(make: impl Fn() -> M, turns: &[Turn<'_>]) -> Error {
    let failure = |cut| run(make(), turns, cut).result.unwrap_err();
    let first = failure(Cut::InOneLump);
    for cut in Cut::all(turns) {
        assert_eq!(failure(cut), first, "{cut:?}");
    }
    first
}

/// Plays a conversation once.
pub(super) fn run<M: Negotiation + Debug>(machine: M, turns: &[Turn<'_>], cut: Cut) -> Outcome {
    let size: usize = turns.iter().map(|t| if let Turn::Proxy(bytes) = t { bytes.len() } else { 0 }).sum();
    let mut driver = Driver {
        machine,
        turns: turns.iter().cloned().collect(),
        cut,
        parts: VecDeque::new(),
        there: Vec::new(),
    };
    // A step that takes no byte moves the conversation on.
    for _ in 0..2 * size + 4 * turns.len() + 4 {
        // A big machine's Debug would cost more than the conversation.
        if size < 1000 {
            shows_no_password(&driver.machine);
        }
        match driver.go_on() {
            Ok(false) => {}
            Ok(true) => return driver.ended(Ok(())),
            Err(error) => return driver.ended(Err(error)),
        }
    }
    panic!("no end in sight, {cut:?}: {:?}", driver.machine);
}

struct Driver<'a, M> {
    machine: M,
    turns: VecDeque<Turn<'a>>,
    cut: Cut,
    /// What the proxy has sent and has yet to arrive.
    parts: VecDeque<Vec<u8>>,
    /// What has arrived and was not taken.
    there: Vec<u8>,
}

impl<M: Negotiation + Debug> Driver<'_, M> {
    /// Carries one step out; true when it was the last.
    fn go_on(&mut self) -> Result<bool, Error> {
        assert!(!self.machine.waiting_for().as_str().is_empty());
        match self.machine.step()? {
            Step::Send(wire) => {
                shows_no_password(&wire);
                let Some(Turn::Sends(due)) = self.turns.pop_front() else {
                    panic!("did not expect it to send {wire:?}")
                };
                assert_eq!(wire.bytes().escape_ascii().to_string(), due.escape_ascii().to_string());
                assert_eq!(wire.bytes(), due);
            }
            Step::Receive(limit) => self.receive(limit, false)?,
            Step::ReceiveRest => self.receive(Limit::Unknown, true)?,
            Step::Credentials => match self.turns.pop_front() {
                Some(Turn::Asks(credentials)) => self.machine.credentials(credentials)?,
                other => panic!("did not expect it to ask for credentials but {other:?}"),
            },
            Step::Reconnect => {
                let turn = self.turns.pop_front();
                assert!(
                    matches!(turn, Some(Turn::Reconnects)),
                    "did not expect it to reconnect but {turn:?}"
                );
                self.parts.clear();
                self.there.clear();
                self.machine.restart();
            }
            Step::Done => {
                assert_eq!(self.machine.step(), Ok(Step::Done), "a tunnel that stands stays");
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn receive(&mut self, limit: Limit, silence_ends_it: bool) -> Result<(), Error> {
        if self.there.is_empty() {
            self.there = match self.parts.pop_front() {
                Some(part) => part,
                None => return self.next_turn_of_the_proxy(silence_ends_it),
            };
        }
        let offered = match limit {
            Limit::Bytes(limit) => limit.min(self.there.len()),
            Limit::Unknown => self.there.len(),
        };
        assert!(offered > 0, "asked for nothing");
        let taken = self.machine.receive(&self.there[..offered])?;
        match limit {
            Limit::Bytes(_) => assert_eq!(taken, offered, "what it asked for is its own"),
            Limit::Unknown => assert!((1..=offered).contains(&taken), "took {taken} of {offered}"),
        }
        self.there.drain(..taken);
        // What was only looked at is looked at again, with what has come behind it.
        if limit == Limit::Unknown && !self.there.is_empty() {
            self.there.extend(self.parts.pop_front().unwrap_or_default());
        }
        Ok(())
    }

    fn next_turn_of_the_proxy(&mut self, silence_ends_it: bool) -> Result<(), Error> {
        match self.turns.pop_front() {
            Some(Turn::Proxy(bytes)) => self.parts = self.cut.parts(bytes),
            Some(Turn::Closes) => self.machine.closed()?,
            None if silence_ends_it => self.machine.closed()?,
            other => panic!("did not expect it to receive but {other:?}"),
        }
        Ok(())
    }

    fn ended(self, result: Result<(), Error>) -> Outcome {
        shows_no_password(&self.machine);
        if let Err(error) = &result {
            is_fit_to_be_shown(error);
        }
        assert!(self.turns.is_empty(), "ended with {result:?} before {:?}", self.turns);
        Outcome { result, left: [self.there, self.parts.into_iter().flatten().collect()].concat() }
    }
}

/// An error must neither write to the user's terminal nor tell the password.
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

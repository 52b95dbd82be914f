//! Helpers for the tests of the servers, which play each handshake once per fragmentation.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use super::{Logins, Refusal, Rejection, Server, find};
pub(super) use driver::filtered;
use driver::{Decision, End, drive};

pub(crate) mod driver;

/// The user name and password that the tests' listeners accept.
pub(super) fn logins() -> Arc<Logins> {
    Arc::new(Logins::parse(b"alice:hunter2-opensesame").unwrap())
}

/// The result of a handshake, as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) target: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) ending: Ending,
    /// The bytes for the target, or the bytes after a failed handshake.
    pub(crate) rest: Vec<u8>,
}

/// The end of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The session was established.
    Session,
    /// The target was not connected.
    Refused,
    /// The server rejected the client.
    Rejected(Rejection),
}

impl Played {
    pub(crate) fn sent(&self) -> String {
        String::from_utf8(self.sent.clone()).unwrap()
    }

    pub(super) fn rest(&self) -> String {
        String::from_utf8(self.rest.clone()).unwrap()
    }
}

/// Plays a handshake in each fragmentation of `input`, after which the client closes its end. The
/// result must be the same each time.
pub(super) fn play(scheme: &str, logins: Option<&Arc<Logins>>, input: &[u8], decision: Decision) -> Played {
    let whole = play_once(scheme, logins, &[input], decision);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(play_once(scheme, logins, &bytes, decision), whole, "byte by byte");
    let stride = if input.len() < 1000 { 1 } else { input.len() / 23 };
    for at in (1..input.len()).step_by(stride) {
        let (before, after) = input.split_at(at);
        assert_eq!(play_once(scheme, logins, &[before, after], decision), whole, "cut after {at}");
    }
    whole
}

pub(super) fn connects(scheme: &str, input: &[u8]) -> Played {
    play(scheme, None, input, Decision::Connected(None))
}

pub(super) fn refuses(scheme: &str, input: &[u8], why: Refusal) -> Played {
    play(scheme, None, input, Decision::Refused(why))
}

fn play_once(scheme: &str, logins: Option<&Arc<Logins>>, parts: &[&[u8]], decision: Decision) -> Played {
    play_with((find(scheme).unwrap().make)(logins.cloned()), parts, decision)
}

/// Plays a handshake with this server once.
pub(crate) fn play_with(server: Box<dyn Server>, parts: &[&[u8]], decision: Decision) -> Played {
    let mut left = parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>().into_iter();
    let outcome = drive(server, &mut || left.next(), decision);
    let mut rest: Vec<Vec<u8>> = vec![outcome.unread];
    rest.extend(left);
    let lengths = |parts: &mut dyn Iterator<Item = usize>| parts.sum::<usize>();
    let unconsumed = lengths(&mut rest.iter().map(Vec::len));
    assert_eq!(outcome.consumed + unconsumed, lengths(&mut parts.iter().map(|part| part.len())));
    let (ending, rest) = match outcome.end {
        End::Relay => (Ending::Session, rest.concat()),
        End::Close(why) => (why.map_or(Ending::Refused, Ending::Rejected), rest.concat()),
        End::Forward(mut filters) => {
            let parts: Vec<&[u8]> = rest.iter().map(Vec::as_slice).collect();
            let (mut output, _) = filtered(&mut *filters.request, &parts);
            output.splice(0..0, filters.head.bytes().iter().copied());
            (Ending::Session, output)
        }
    };
    Played { target: outcome.target.unwrap_or_default(), sent: outcome.sent, ending, rest }
}

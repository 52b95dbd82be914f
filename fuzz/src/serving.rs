//! Runs a server (the protocol of a listener) with a client whose bytes come from the fuzzer's
//! input.

use std::sync::Arc;

use connect::proto::server::{Logins, Refusal, Rejection, Server, find};

use crate::server_driver::{Decision, End, drive, filtered};
use crate::{MEMORY, PASSWORD, USER};

/// The ASCII record separator, which separates the client's bytes from the target's.
const TARGET: u8 = 0x1e;

/// Maximum memory use: a head of 64 KiB that is parsed and written anew, a chunk of output, and
/// copies of the input.
const MAX_MEMORY: usize = 1024 * 1024;

/// The result of a session, which must not depend on how the input is fragmented.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The target that the client named.
    pub target: Option<String>,
    /// The bytes that the server sent.
    pub sent: Vec<u8>,
    /// The number of the client's bytes that belong to the handshake.
    pub consumed: usize,
    /// The end of the handshake.
    pub end: Ending,
}

/// The end of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// A tunnel.
    Tunnel,
    /// A forwarded request: the head for the target, the body, and the response for the client.
    Forwarded {
        /// The head.
        head: Vec<u8>,
        /// The body, as the target receives it; `None` if it is malformed or incomplete.
        body: Option<Vec<u8>>,
        /// The response, as the client receives it.
        response: Vec<u8>,
    },
    /// No session.
    Closed(Option<Rejection>),
}

/// Plays the session in several fragmentations, and checks that the outcome is the same each time.
/// The first byte of the input selects the variant: whether a login is required, and whether the
/// target is connected.
///
/// # Panics
/// Panics if the server breaks its contract.
#[must_use]
pub fn play(scheme: &str, input: &[u8]) -> Option<(Outcome, bool)> {
    let [variant, input @ ..] = input else { return None };
    let at = input.iter().position(|&byte| byte == TARGET).unwrap_or(input.len());
    let (client, target) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let (has_login, is_refused) = (variant & 1 == 1, variant & 2 == 2);
    let decision = if is_refused { Decision::Refused(Refusal::TimedOut) } else { Decision::Connected(None) };
    let whole = play_once(scheme, has_login, client, target, decision, usize::MAX);
    for size in [1, 1 + usize::from(*variant)] {
        let other = play_once(scheme, has_login, client, target, decision, size);
        assert_eq!(other, whole, "fragments of {size} bytes");
    }
    Some((whole, has_login))
}

/// Plays the handshake of a server that forwards nothing, as [`play`] does. The first byte of the
/// input selects whether the target is connected.
///
/// # Panics
/// Panics if the server breaks its contract.
#[must_use]
pub fn play_with(make: &dyn Fn() -> Box<dyn Server>, input: &[u8]) -> Option<Outcome> {
    let [variant, input @ ..] = input else { return None };
    let decision =
        if variant & 2 == 2 { Decision::Refused(Refusal::TimedOut) } else { Decision::Connected(None) };
    let play_once = |size: usize| {
        let mut parts = input.chunks(size.min(input.len().max(1)));
        let played = drive(make(), &mut || parts.next().map(<[u8]>::to_vec), decision);
        let end = match played.end {
            End::Relay => Ending::Tunnel,
            End::Close(why) => Ending::Closed(why),
            End::Forward(_) => panic!("forwards a request"),
        };
        Outcome { target: played.target, sent: played.sent, consumed: played.consumed, end }
    };
    let whole = play_once(usize::MAX);
    for size in [1, 1 + usize::from(*variant)] {
        assert_eq!(play_once(size), whole, "fragments of {size} bytes");
    }
    Some(whole)
}

fn play_once(
    scheme: &str,
    has_login: bool,
    client: &[u8],
    target: &[u8],
    decision: Decision,
    size: usize,
) -> Outcome {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let kind = find(scheme).expect("a known scheme");
    let logins = has_login.then(|| Logins::parse(format!("{USER}:{PASSWORD}").as_bytes()).expect("valid"));
    let mut parts = client.chunks(size.min(client.len().max(1)));
    let mut receive = || parts.next().map(<[u8]>::to_vec);
    let played = drive((kind.make)(logins.map(Arc::new)), &mut receive, decision);
    let end = match played.end {
        End::Relay => Ending::Tunnel,
        End::Close(why) => Ending::Closed(why),
        End::Forward(mut filters) => {
            let rest = &client[played.consumed..];
            let body: Vec<_> = rest.chunks(size.min(rest.len().max(1))).collect();
            let response: Vec<_> = target.chunks(size.min(target.len().max(1))).collect();
            let (body, failed) = filtered(&mut *filters.request, &body);
            let (response, _) = filtered(&mut *filters.response, &response);
            let head = filters.head.bytes().to_vec();
            Ending::Forwarded { head, body: failed.is_none().then_some(body), response }
        }
    };
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(peak <= MAX_MEMORY + 8 * (client.len() + target.len()), "needs {peak} bytes of memory");
    assert!(played.unread.len() <= client.len());
    Outcome { target: played.target, sent: played.sent, consumed: played.consumed, end }
}

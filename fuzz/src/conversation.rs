//! Runs a negotiation against a proxy whose bytes come from the fuzzer's input, and splits these
//! bytes into fragments in several ways.

use std::fmt::Debug;

use connect::addr::{Endpoint, Host, parse_port};
use connect::proto::{Credentials, Error, Learned, Negotiation, Wire};
use connect::secret::Secret;

use crate::driver::{PEEK_SIZE, Peers, drive};
use crate::{BASIC, MEMORY, PASSWORD, USER, display};

/// Minimum length of an "endless" response. No negotiation reads this much of one response.
const ENDLESS: usize = 300 * 1024;
/// The ASCII record separator, which separates the proxy's bytes on one connection from those on
/// the next.
const NEXT_CONNECTION: u8 = 0x1e;

/// The fuzzer's input: a byte that selects a variant of the negotiation, a byte that selects the
/// fragmentation, and the bytes from the proxy.
#[derive(Debug)]
pub struct Input<'a> {
    /// The variant, 0 to 7: the low three bits of the first byte. Seeds use the ASCII digits `0` to
    /// `7`. A first byte from `8` to `?`, followed by a fragmentation byte of `~`, makes the last
    /// response endless.
    pub variant: u8,
    /// The maximum fragment size for the uneven fragmentation, minus one.
    pub fragmentation: u8,
    /// All bytes from the proxy.
    pub bytes: &'a [u8],
    /// `true` if the proxy's bytes contain the password in the clear, or the start of the Basic
    /// credentials without the rest. The program does not always recognize these, and may show
    /// them in errors.
    leaks_password: bool,
    connections: Vec<Vec<u8>>,
}

impl<'a> Input<'a> {
    /// Parses the input; `None` if it is too short.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Option<Self> {
        let [setup, fragmentation, bytes @ ..] = input else { return None };
        let mut connections: Vec<_> =
            bytes.split(|&byte| byte == NEXT_CONNECTION).map(<[u8]>::to_vec).collect();
        let endless = (b'8'..=b'?').contains(setup) && *fragmentation == b'~';
        if let (true, Some(last)) = (endless, connections.last_mut())
            && !last.is_empty()
        {
            *last = last.repeat(ENDLESS / last.len() + 1);
        }
        let parts = [PASSWORD, &BASIC[..8]].map(|part| occurrences(bytes, part));
        let leaks_password = parts != [0, occurrences(bytes, BASIC)];
        Some(Self { variant: setup & 7, fragmentation: *fragmentation, bytes, leaks_password, connections })
    }

    /// Creates an input from the proxy's bytes on each connection.
    #[must_use]
    pub fn from_connections(connections: Vec<Vec<u8>>, fragmentation: u8) -> Self {
        Self { variant: 0, fragmentation, bytes: &[], leaks_password: false, connections }
    }

    /// Returns the proxy's bytes on the first connection.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        &self.connections[0]
    }

    /// Returns the proxy's bytes on this connection; empty if the input has fewer connections.
    #[must_use]
    pub fn connection(&self, index: usize) -> &[u8] {
        self.connections.get(index).map_or(&[], Vec::as_slice)
    }
}

/// Limits on the resources that a negotiation may consume.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes consumed from one connection.
    pub bytes: usize,
    /// Peak memory use, in bytes.
    pub memory: usize,
}

/// The result of a conversation.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// `Ok` if the tunnel is established.
    pub result: Result<(), Error>,
    /// The index of the last connection.
    pub connection: usize,
    /// The number of bytes that the negotiation consumed from the last connection. The rest belongs
    /// to the tunnel.
    pub consumed: usize,
}

/// The fragmentation of the proxy's bytes.
#[derive(Clone, Copy, Debug)]
enum Fragmentation {
    None,
    ByteByByte,
    /// In fragments of different sizes, the largest of which is one byte longer than this.
    Uneven(u8),
}

impl Fragmentation {
    /// Returns the size of the next fragment, after this many bytes.
    fn next(self, before: usize) -> usize {
        match self {
            Self::None => PEEK_SIZE,
            // Delivering an endless response in small fragments would take too long.
            Self::ByteByByte | Self::Uneven(_) if before > PEEK_SIZE => PEEK_SIZE - 251,
            Self::ByteByByte => 1,
            Self::Uneven(max) => 1 + before.wrapping_mul(0x9e37_79b1) % (usize::from(max) + 1),
        }
    }
}

/// Plays the conversation with several fragmentations, and checks that the outcome is the same each
/// time. Then plays it with a negotiation that recalls the login method of the first one, and whose
/// outcome may differ.
///
/// # Panics
/// Panics if the negotiation breaks its contract.
pub fn play<N: Negotiation + Debug>(make: impl Fn() -> N, input: &Input<'_>, bounds: Bounds) -> Outcome {
    let (outcome, learned) = play_once(make(), input, Fragmentation::None, bounds);
    for fragmentation in [Fragmentation::ByteByByte, Fragmentation::Uneven(input.fragmentation)] {
        let (other, _) = play_once(make(), input, fragmentation, bounds);
        assert_eq!(essence(&other), essence(&outcome), "{fragmentation:?}");
    }
    if let Some(learned) = learned {
        let mut next = make();
        next.recall(&learned, Some(alice()));
        play_once(next, input, Fragmentation::None, bounds);
    }
    outcome
}

/// Reduces an outcome to the parts that must not depend on how the input is fragmented. Only the
/// excerpt that an error quotes from a malformed response and the number of bytes consumed before
/// an error may depend on it.
fn essence(outcome: &Outcome) -> (Result<usize, Error>, usize) {
    let result = match &outcome.result {
        Ok(()) => Ok(outcome.consumed),
        Err(Error::MalformedHttp(_)) => Err(Error::MalformedHttp(String::new())),
        Err(Error::NotHttp { is_tls, .. }) => Err(Error::NotHttp { start: String::new(), is_tls: *is_tls }),
        Err(error) => Err(error.clone()),
    };
    (result, outcome.connection)
}

fn play_once<N: Negotiation + Debug>(
    negotiation: N,
    input: &Input<'_>,
    fragmentation: Fragmentation,
    bounds: Bounds,
) -> (Outcome, Option<Learned>) {
    let mut peers = FuzzedPeers {
        input,
        fragmentation,
        bounds,
        connection: 0,
        arrived: 0,
        memory: 0,
        password_sent: false,
    };
    let outcome = drive(negotiation, &mut peers);
    if let Err(error) = &outcome.result {
        let line = display::refusal(error, &endpoint("proxy.example", "1080"));
        if peers.password_sent && !input.leaks_password {
            display::check_password(&format!("{line} {error:?}"));
            display::check_encoded_password(&line);
        }
    }
    let (connection, consumed) = (outcome.reconnects, outcome.consumed);
    assert!(input.connection(connection)[consumed..].starts_with(&outcome.unread));
    (Outcome { result: outcome.result, connection, consumed }, outcome.learned)
}

/// A proxy whose bytes come from the fuzzer, and a user who enters a fixed password.
struct FuzzedPeers<'a> {
    input: &'a Input<'a>,
    fragmentation: Fragmentation,
    bounds: Bounds,
    connection: usize,
    /// The number of bytes that have arrived on this connection.
    arrived: usize,
    /// The memory that the negotiation holds, in bytes.
    memory: usize,
    password_sent: bool,
}

impl Peers for FuzzedPeers<'_> {
    fn send(&mut self, message: &Wire) {
        assert_eq!(occurrences(&message.masked("****"), PASSWORD), 0);
        self.password_sent |= message.is_secret();
    }

    fn receive(&mut self, _optional: bool) -> Option<Vec<u8>> {
        Some(self.receive_more()).filter(|bytes| !bytes.is_empty())
    }

    fn receive_more(&mut self) -> Vec<u8> {
        let all = self.input.connection(self.connection);
        let start = self.arrived;
        self.arrived = (start + self.fragmentation.next(start)).min(all.len());
        all[start..self.arrived].to_vec()
    }

    fn credentials(&mut self) -> Credentials {
        alice()
    }

    fn reconnect(&mut self) {
        (self.connection, self.arrived) = (self.connection + 1, 0);
    }

    fn max_bytes(&self) -> usize {
        self.bounds.bytes
    }

    /// Calls the method and checks the negotiation's peak memory use during the call.
    fn call<T>(&mut self, method: impl FnOnce() -> T) -> T {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let result = method();
        let peak = self.memory + MEMORY.peak_usage().saturating_sub(before);
        assert!(peak <= self.bounds.memory, "needs {peak} bytes of memory");
        self.memory = (self.memory + MEMORY.current_usage()).saturating_sub(before);
        result
    }
}

/// Returns the user's credentials.
#[must_use]
pub fn alice() -> Credentials {
    Credentials { user: USER.into(), password: Secret::from(PASSWORD) }
}

/// Parses a host and a port.
///
/// # Panics
/// Panics if the host or the port is invalid.
#[must_use]
pub fn endpoint(host: &str, port: &str) -> Endpoint {
    let (Ok(host), Some(port)) = (Host::parse(host), parse_port(port)) else { panic!("{host}:{port}") };
    Endpoint { host, port }
}

fn occurrences(bytes: &[u8], part: &str) -> usize {
    bytes.windows(part.len()).filter(|window| *window == part.as_bytes()).count()
}

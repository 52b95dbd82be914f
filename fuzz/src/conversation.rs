//! A driver for the protocol machines that plays the same conversation in several fragmentations.

use std::fmt::Debug;

use connect::addr::{Endpoint, Host, parse_port};
use connect::proto::{Credentials, Error, Limit, Negotiation, Step};
use connect::secret::Secret;

use crate::{BASIC, MEMORY, PASSWORD, USER, shown};

/// The most that the program looks at in one go.
const LOOK: usize = 4096;
/// What a proxy says that never stops: more than any machine listens to.
const ENDLESS: usize = 300 * 1024;
/// Separates what the proxy says on one connection from what it says on the next: ASCII's record separator.
const NEXT_CONNECTION: u8 = 0x1e;
/// The steps that take no byte, on all connections: requests, passwords, new connections and ends.
const MOST_OTHER_STEPS: usize = 32;

/// The fuzzer's input, taken apart: a byte that chooses among the machines, one for the fragmentation, and the proxy's
/// bytes.
#[derive(Debug)]
pub struct Input<'a> {
    /// 0 to 7, for the target to choose a machine by: `0` to `7` in a seed, or `8` to `?` and a cut of `~` for a proxy without
    /// an end.
    pub variant: u8,
    /// The largest of the uneven pieces in which it comes, less one.
    pub cut: u8,
    /// All that the proxy says.
    pub bytes: &'a [u8],
    /// The proxy tells the password in other words than ours, or a part of it: that is not known for what it is.
    tells_password: bool,
    connections: Vec<Vec<u8>>,
}

impl<'a> Input<'a> {
    /// Takes it apart, if there is enough of it.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Option<Self> {
        let [setup, cut, bytes @ ..] = input else { return None };
        let mut connections: Vec<_> =
            bytes.split(|&byte| byte == NEXT_CONNECTION).map(<[u8]>::to_vec).collect();
        let endless = (b'8'..=b'?').contains(setup) && *cut == b'~';
        if let (true, Some(last)) = (endless, connections.last_mut())
            && !last.is_empty()
        {
            *last = last.repeat(ENDLESS / last.len() + 1);
        }
        let parts = [PASSWORD, &BASIC[..8]].map(|part| occurrences(bytes, part));
        let tells_password = parts != [0, occurrences(bytes, BASIC)];
        Some(Self { variant: setup & 7, cut: *cut, bytes, tells_password, connections })
    }

    /// One of this target's own making.
    #[must_use]
    pub fn of(connections: Vec<Vec<u8>>, cut: u8) -> Self {
        Self { variant: 0, cut, bytes: &[], tells_password: false, connections }
    }

    /// What the proxy says on its first connection.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        &self.connections[0]
    }

    /// What the proxy says on this connection: nothing, where the fuzzer had no more in mind.
    #[must_use]
    pub fn connection(&self, index: usize) -> &[u8] {
        self.connections.get(index).map_or(&[], Vec::as_slice)
    }
}

/// What a machine may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes that it takes off one connection.
    pub bytes: usize,
    /// The most memory that it has at any moment.
    pub memory: usize,
}

/// How a conversation ended.
#[derive(Debug, PartialEq)]
pub struct Ending {
    /// The tunnel, or why there is none.
    pub verdict: Result<(), Error>,
    /// How many connections were given up before.
    pub connection: usize,
    /// How many bytes were taken off the last one. All the others are the tunnel's.
    pub taken: usize,
}

/// How the proxy's bytes arrive.
#[derive(Clone, Copy, Debug)]
enum Cut {
    InOneLump,
    ByteByByte,
    /// In pieces of different sizes, up to this one.
    Uneven(u8),
}

impl Cut {
    /// The size of the next piece, for the bytes that have come before it.
    fn piece(self, before: usize) -> usize {
        match self {
            Self::InOneLump => usize::MAX,
            // What never ends would take too long.
            Self::ByteByByte | Self::Uneven(_) if before > LOOK => LOOK - 251,
            Self::ByteByByte => 1,
            Self::Uneven(most) => 1 + before.wrapping_mul(0x9e37_79b1) % (usize::from(most) + 1),
        }
    }
}

/// Plays the conversation in several fragmentations. It must end the same way in each of them.
///
/// # Panics
/// The machine breaks its contract.
pub fn play<M: Negotiation + Debug>(make: impl Fn() -> M, input: &Input<'_>, bounds: Bounds) -> Ending {
    let ending = Play::new(make(), input, Cut::InOneLump, bounds).run();
    for cut in [Cut::ByteByByte, Cut::Uneven(input.cut)] {
        let other = Play::new(make(), input, cut, bounds).run();
        assert_eq!(essence(&other), essence(&ending), "{cut:?}");
    }
    ending
}

/// What does not depend on the fragmentation. How much of something that is no HTTP is quoted does; and where an error
/// struck, nobody takes another byte.
fn essence(ending: &Ending) -> (Result<usize, Error>, usize) {
    let verdict = match &ending.verdict {
        Ok(()) => Ok(ending.taken),
        Err(Error::MalformedHttp(_)) => Err(Error::MalformedHttp(String::new())),
        Err(Error::NotHttp { is_tls, .. }) => Err(Error::NotHttp { start: String::new(), is_tls: *is_tls }),
        Err(error) => Err(error.clone()),
    };
    (verdict, ending.connection)
}

struct Play<'a, M> {
    machine: M,
    input: &'a Input<'a>,
    cut: Cut,
    bounds: Bounds,
    connection: usize,
    /// How many bytes of this connection have arrived, and how many of them are taken.
    arrived: usize,
    taken: usize,
    /// What the machine holds, in bytes.
    held: usize,
    /// The proxy has been told the password.
    has_password: bool,
}

impl<'a, M: Negotiation + Debug> Play<'a, M> {
    fn new(machine: M, input: &'a Input<'a>, cut: Cut, bounds: Bounds) -> Self {
        Self {
            machine,
            input,
            cut,
            bounds,
            connection: 0,
            arrived: 0,
            taken: 0,
            held: 0,
            has_password: false,
        }
    }

    fn run(mut self) -> Ending {
        // A step that receives takes a byte, or comes upon the end.
        let mut others = 0;
        loop {
            let before = (self.connection, self.taken);
            match self.step() {
                Ok(false) => {}
                Ok(true) => return self.ended(Ok(())),
                Err(error) => return self.ended(Err(error)),
            }
            others += usize::from(before == (self.connection, self.taken));
            assert!(others <= MOST_OTHER_STEPS, "no end in sight: {:?}", self.machine);
        }
    }

    fn ended(self, verdict: Result<(), Error>) -> Ending {
        if let Err(error) = &verdict {
            let line = shown::refusal(error, &endpoint("proxy.example", "1080"));
            if self.has_password && !self.input.tells_password {
                shown::check_password(&format!("{line} {error:?}"));
                shown::check_sent_password(&line);
            }
        }
        Ending { verdict, connection: self.connection, taken: self.taken }
    }

    /// Carries one step out; true when it was the last.
    fn step(&mut self) -> Result<bool, Error> {
        match self.call(M::step)? {
            Step::Send(wire) => {
                assert!(!wire.bytes().is_empty());
                assert_eq!(occurrences(&wire.masked("****"), PASSWORD), 0);
                self.has_password |= wire.is_secret();
            }
            Step::Receive(limit) => self.receive(limit)?,
            Step::ReceiveRest => self.receive(Limit::Unknown)?,
            Step::Credentials => self.call(|machine| machine.credentials(alice()))?,
            Step::Reconnect => {
                (self.connection, self.arrived, self.taken) = (self.connection + 1, 0, 0);
                self.call(M::restart);
            }
            Step::Done => {
                assert_eq!(self.machine.step(), Ok(Step::Done), "a tunnel that stands stays");
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn receive(&mut self, limit: Limit) -> Result<(), Error> {
        let all = self.input.connection(self.connection);
        if self.arrived == self.taken {
            self.let_arrive(all);
        }
        let most = match limit {
            Limit::Bytes(most) => most.min(LOOK),
            Limit::Unknown => LOOK,
        };
        assert!(most > 0, "asked for nothing");
        let offered = &all[self.taken..self.arrived.min(self.taken + most)];
        if offered.is_empty() {
            return self.call(M::closed);
        }
        let taken = self.call(|machine| machine.receive(offered))?;
        match limit {
            Limit::Bytes(_) => assert_eq!(taken, offered.len(), "what it asked for is its own"),
            Limit::Unknown => assert!((1..=offered.len()).contains(&taken), "took {taken}"),
        }
        self.taken += taken;
        assert!(self.taken <= self.bounds.bytes, "has taken {} bytes", self.taken);
        // What was only looked at is looked at again, with what has come behind it.
        if limit == Limit::Unknown && self.taken < self.arrived {
            self.let_arrive(all);
        }
        Ok(())
    }

    fn let_arrive(&mut self, all: &[u8]) {
        self.arrived = self.arrived.saturating_add(self.cut.piece(self.arrived)).min(all.len());
    }

    /// Has the machine do something, and watches its memory meanwhile.
    fn call<T>(&mut self, act: impl FnOnce(&mut M) -> T) -> T {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let result = act(&mut self.machine);
        let peak = self.held + MEMORY.peak_usage().saturating_sub(before);
        assert!(peak <= self.bounds.memory, "has {peak} bytes of memory");
        self.held = (self.held + MEMORY.current_usage()).saturating_sub(before);
        result
    }
}

/// Whom the machines speak for.
#[must_use]
pub fn alice() -> Credentials {
    Credentials { user: USER.to_owned(), password: Secret::from(PASSWORD) }
}

/// A host and a port that make sense.
///
/// # Panics
/// They do not.
#[must_use]
pub fn endpoint(host: &str, port: &str) -> Endpoint {
    let (Ok(host), Some(port)) = (Host::parse(host), parse_port(port)) else { panic!("{host}:{port}") };
    Endpoint { host, port }
}

fn occurrences(bytes: &[u8], part: &str) -> usize {
    bytes.windows(part.len()).filter(|window| *window == part.as_bytes()).count()
}

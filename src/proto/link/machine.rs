//! The state of a link, and its pipes: HELLO, resumption, and the end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::decoder::Decoder;
use super::frame::{Hello, Kind, LinkId, reset_payload};
use super::outbox::Outbox;
use super::stream::Stream;
use super::timing::{AckTimer, RoundTrip};
use super::violation::Violation;
use super::window::MIN_WINDOW;
use crate::proto::post::{Reset, ResetCode};

/// Maximum time from the start of a pipe to the peer's HELLO.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of streams of a link at a time.
pub const MAX_STREAMS: usize = 1024;

/// The settings of one end of a link.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Maximum window of a stream, and of unacknowledged bytes; at least [`MIN_WINDOW`].
    pub window: u32,
    /// The time for which the link survives without a pipe.
    pub resume: Duration,
    /// Maximum number of streams that the peer may have open at a time.
    pub max_streams: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: 1024 * 1024, resume: Duration::from_secs(60), max_streams: MAX_STREAMS }
    }
}

/// The end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed the last pipe after GOAWAY.
    Closed,
    /// The peer ended the link.
    Reset(Reset),
    /// No pipe resumed the link in time.
    NotResumed,
}

/// The role of this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Dest,
    Origin,
}

/// The state of the current pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pipe {
    None,
    /// A dest waits for the HELLO of the origin until this time.
    Greeting(Duration),
    Running,
    /// The link has ended. The pipe, if there is one, takes the rest of the bytes.
    Ended,
}

/// One end of a link, without its pipe. The driver owns the pipe and the local sides of the
/// streams:
///
/// - It passes the bytes of the pipe to [`receive`](Self::receive), until no event is left.
/// - When a local side has data, it calls [`set_ready`](Self::set_ready). While
///   [`next_turn`](Self::next_turn) returns a stream, it reads from the local side of that stream
///   and passes the bytes to [`send`](Self::send).
/// - It writes [`pending`](Self::pending) to the pipe and reports the result with
///   [`written`](Self::written).
/// - It calls [`advance`](Self::advance) at the [`deadline`](Self::deadline).
///
/// All times are since the same arbitrary start.
#[derive(Debug)]
pub struct Link {
    pub(super) role: Role,
    pub(super) settings: Settings,
    pub(super) id: LinkId,
    /// The number of the latest pipe. `None` before the first one.
    epoch: Option<u32>,
    pub(super) pipe: Pipe,
    /// The end of the time in which a pipe has to resume the link.
    lost_at: Option<Duration>,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    /// The counted bytes that may be unacknowledged.
    pub(super) max_unacknowledged: usize,
    pub(super) streams: BTreeMap<u32, Stream>,
    /// The highest number of a stream so far.
    pub(super) last_opened: u32,
    /// The streams whose local sides have data to send, in the order of their turns.
    pub(super) turns: VecDeque<u32>,
    /// The streams with frames other than DATA to send.
    pub(super) due: VecDeque<u32>,
    pub(super) go_away: GoAway,
    pub(super) ack: AckTimer,
    pub(super) round_trip: RoundTrip,
    /// The PONG to send.
    pub(super) pong: Option<[u8; 8]>,
}

/// GOAWAY in both directions.
#[derive(Debug, Default)]
pub(super) struct GoAway {
    /// GOAWAY has to be sent.
    pub(super) due: Option<Reset>,
    pub(super) is_sent: bool,
    pub(super) is_received: bool,
}

impl Link {
    fn new(role: Role, settings: Settings, id: LinkId) -> Self {
        Self {
            role,
            settings,
            id,
            epoch: None,
            pipe: Pipe::None,
            lost_at: None,
            decoder: Decoder::default(),
            outbox: Outbox::default(),
            max_unacknowledged: MIN_WINDOW as usize,
            streams: BTreeMap::new(),
            last_opened: 0,
            turns: VecDeque::new(),
            due: VecDeque::new(),
            go_away: GoAway::default(),
            ack: AckTimer::default(),
            round_trip: RoundTrip::default(),
            pong: None,
        }
    }

    /// Creates the dest's end. The id is random.
    #[must_use]
    pub fn dest(settings: Settings, id: LinkId) -> Self {
        Self::new(Role::Dest, settings, id)
    }

    /// Creates the origin's end after the dest's HELLO, which the driver has parsed with a
    /// [`Decoder`] of its own.
    ///
    /// # Errors
    /// The HELLO does not start a new link.
    pub fn origin(settings: Settings, hello: &Hello, now: Duration) -> Result<Self, Violation> {
        if hello.resumes || hello.epoch != 0 || hello.received != 0 {
            return Err(Violation::Hello);
        }
        let mut link = Self::new(Role::Origin, settings, hello.id);
        link.accept(hello, now)?;
        Ok(link)
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// Starts a pipe of a dest, which replaces an earlier one. Returns `false` if the link has
    /// ended.
    pub fn connect(&mut self, now: Duration) -> bool {
        let epoch = self.epoch.map_or(Some(0), |epoch| epoch.checked_add(1));
        let (Some(epoch), false) = (epoch, self.pipe == Pipe::Ended) else { return false };
        let is_first = self.epoch.is_none();
        self.break_pipe(now, is_first);
        self.start_pipe(epoch, !is_first, false, now);
        if is_first {
            // The origin has received nothing, so OPEN and DATA may follow at once.
            self.outbox.open(0);
        }
        self.pipe = Pipe::Greeting(now + HELLO_TIMEOUT);
        true
    }

    /// Continues the origin's end with a new pipe, which replaces the earlier one. The driver has
    /// parsed the dest's HELLO with a [`Decoder`] of its own.
    ///
    /// # Errors
    /// The pipe must be refused. The link continues with the earlier pipe, if there is one.
    pub fn resume(&mut self, hello: &Hello, now: Duration) -> Result<(), Violation> {
        if !hello.resumes || hello.id != self.id || self.pipe == Pipe::Ended {
            return Err(Violation::Hello);
        }
        self.accept(hello, now)
    }

    fn accept(&mut self, hello: &Hello, now: Duration) -> Result<(), Violation> {
        if self.epoch.is_some_and(|epoch| hello.epoch <= epoch) {
            return Err(Violation::Epoch);
        }
        self.set_peer_window(hello)?;
        if !self.outbox.accepts(hello.received) {
            return Err(Violation::Acknowledgement);
        }
        self.start_pipe(hello.epoch, hello.resumes, true, now);
        self.outbox.open(hello.received);
        self.lost_at = None;
        self.pipe = Pipe::Running;
        Ok(())
    }

    /// Handles the HELLO of the origin.
    pub(super) fn greet(&mut self, hello: &Hello) -> Result<(), Violation> {
        let resumes = self.epoch != Some(0);
        if hello.id != self.id || Some(hello.epoch) != self.epoch || hello.resumes != resumes {
            return Err(Violation::Hello);
        }
        self.set_peer_window(hello)?;
        let is_valid = if self.outbox.is_open() {
            self.outbox.acknowledge(hello.received)
        } else {
            self.outbox.open(hello.received)
        };
        if !is_valid {
            return Err(Violation::Acknowledgement);
        }
        self.lost_at = None;
        self.pipe = Pipe::Running;
        Ok(())
    }

    fn set_peer_window(&mut self, hello: &Hello) -> Result<(), Violation> {
        if hello.window < MIN_WINDOW {
            return Err(Violation::Hello);
        }
        let window = hello.window.min(self.settings.window.max(MIN_WINDOW));
        self.max_unacknowledged = window as usize;
        Ok(())
    }

    fn start_pipe(&mut self, epoch: u32, resumes: bool, has_hello: bool, now: Duration) {
        self.decoder.restart(has_hello);
        self.epoch = Some(epoch);
        let received = self.decoder.received();
        let window = self.settings.window.max(MIN_WINDOW);
        self.outbox.restart(Hello { resumes, id: self.id, epoch, received, window }.encode());
        self.ack = AckTimer::new(received);
        self.round_trip.restart(now);
        self.pong = None;
    }

    /// Records that the pipe broke. The link waits for another one.
    pub fn broken(&mut self, now: Duration) {
        self.break_pipe(now, false);
    }

    fn break_pipe(&mut self, now: Duration, is_first: bool) {
        if self.pipe == Pipe::Ended {
            return;
        }
        self.outbox.close();
        self.pipe = Pipe::None;
        if !is_first {
            self.lost_at.get_or_insert(now.saturating_add(self.settings.resume));
        }
    }

    /// Records that the peer closed the pipe normally. Without GOAWAY the pipe is broken.
    pub fn closed(&mut self, now: Duration) -> Option<End> {
        let is_complete = self.streams.values().all(|stream| !stream.is_live() || stream.is_complete());
        let has_ended = (self.go_away.is_received || self.is_finished()) && is_complete;
        if has_ended && self.pipe != Pipe::Ended {
            self.forget_incomplete();
            self.outbox = Outbox::default();
            self.pipe = Pipe::Ended;
            return Some(End::Closed);
        }
        self.broken(now);
        None
    }

    /// Returns the next time for [`advance`](Self::advance) or [`pending`](Self::pending).
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let greeting = match self.pipe {
            Pipe::Greeting(until) => Some(until),
            _ => None,
        };
        let ack = if self.pipe == Pipe::Running { self.ack.due_at() } else { None };
        [greeting, ack, self.lost_at].into_iter().flatten().min()
    }

    /// Applies the time limits. Returns the end of the link, if its time is up.
    pub fn advance(&mut self, now: Duration) -> Option<End> {
        if matches!(self.pipe, Pipe::Greeting(until) if until <= now) {
            self.broken(now);
        }
        if self.lost_at.is_none_or(|lost_at| now < lost_at) {
            return None;
        }
        self.end(None);
        Some(End::NotResumed)
    }

    /// Returns `true` if the driver should have a pipe but has none, or should close the one that
    /// it has.
    #[must_use]
    pub fn needs_pipe(&self) -> bool {
        self.pipe == Pipe::None
    }

    /// Returns `true` if the link has ended. Data that arrived completely can still be read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.pipe == Pipe::Ended
    }

    /// Sends GOAWAY: the link ends after its last stream.
    pub fn go_away(&mut self) {
        if !self.go_away.is_sent {
            self.go_away.due.get_or_insert(Reset::new(ResetCode::GoingAway));
        }
    }

    /// Returns `true` if one of the ends has sent GOAWAY, or is about to.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.go_away.due.is_some() || self.go_away.is_sent || self.go_away.is_received
    }

    /// Returns `true` if no stream is left and the peer has received everything. The dest closes
    /// the pipe then.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.go_away.is_sent
            && self.streams.is_empty()
            && self.outbox.unacknowledged() == 0
            && self.pipe == Pipe::Running
    }

    /// Ends the link with a RESET of stream 0. The driver writes the rest of
    /// [`pending`](Self::pending) and closes the pipe.
    pub fn abort(&mut self, reset: &Reset) {
        self.end(Some(reset));
    }

    /// Ends the link. Keeps only the data of streams that are complete.
    pub(super) fn end(&mut self, reset: Option<&Reset>) {
        if self.pipe == Pipe::Ended {
            return;
        }
        match reset {
            Some(reset) if self.outbox.is_open() => {
                self.outbox.discard_unsent();
                self.outbox.append(Kind::Reset, 0, &reset_payload(reset));
            }
            _ => self.outbox = Outbox::default(),
        }
        self.forget_incomplete();
        self.lost_at = None;
        self.pipe = Pipe::Ended;
    }

    fn forget_incomplete(&mut self) {
        self.streams.retain(|_, stream| stream.is_live() && stream.is_complete());
        self.turns.clear();
        self.due.clear();
    }
}

//! A relay session as a state machine that never blocks.
//!
//! A driver waits for the streams that [`Session::register`] adds to its set, for at most
//! [`Session::timeout`]. It then calls [`Session::on_events`] or [`Session::on_timeout`], and
//! repeats this until [`Session::is_closed`] returns `true`.

use std::io;
use std::time::{Duration, Instant};

use super::drain::{DRAIN_POLL_INTERVAL, Drain, STALL_TIMEOUT};
use super::flow::{Ends, Fault, Flow};
use super::idle::IdleTimer;
use super::transfer::Pool;
use crate::error::{Error, Peer};
use crate::plan::{RelayMode, RelaySettings};
use crate::stream::{Closing, Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel, Ready};
use crate::trace::{self, trace};

/// How long to wait for more local input once some has been sent after the remote's EOF.
const LATE_INPUT_GRACE: Duration = Duration::from_millis(50);
/// During a bulk download, stdout is not polled for hang-up, because every read by its reader would
/// wake us. A vanished reader shows up as `EPIPE` on the next write. Polling resumes after this
/// pause.
const BULK_PAUSE: Duration = Duration::from_millis(50);
/// Grace period for the other direction after stdin or stdout fails.
const HALF_FAILED_GRACE: Duration = Duration::from_secs(1);

/// The local end of a session.
#[derive(Debug)]
pub(super) enum LocalEnd {
    /// Standard input and output; `None` if the descriptor was closed at program start. The
    /// remote's EOF ends the session.
    Stdio { input: Option<Channel>, output: Option<Channel> },
    /// A client. The session lasts until both directions have ended.
    Client(Box<dyn Stream>),
    /// A client. The connection to the remote outlives the client (`-P`).
    PersistentClient(Box<dyn Stream>),
}

impl LocalEnd {
    fn input(&self) -> Option<&(dyn Stream + 'static)> {
        match self {
            Self::Stdio { input, .. } => input.as_ref().map(|input| input as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&**client),
        }
    }

    fn input_mut(&mut self) -> Option<&mut (dyn Stream + 'static)> {
        match self {
            Self::Stdio { input, .. } => input.as_mut().map(|input| input as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&mut **client),
        }
    }

    fn output(&self) -> Option<&(dyn Stream + 'static)> {
        match self {
            Self::Stdio { output, .. } => output.as_ref().map(|output| output as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&**client),
        }
    }

    fn output_mut(&mut self) -> Option<&mut (dyn Stream + 'static)> {
        match self {
            Self::Stdio { output, .. } => output.as_mut().map(|output| output as _),
            Self::Client(client) | Self::PersistentClient(client) => Some(&mut **client),
        }
    }

    /// Returns standard output.
    pub(super) fn into_output(self) -> Option<Channel> {
        match self {
            Self::Stdio { output, .. } => output,
            Self::Client(_) | Self::PersistentClient(_) => None,
        }
    }

    fn is_stdio(&self) -> bool {
        matches!(self, Self::Stdio { .. })
    }

    fn is_persistent(&self) -> bool {
        matches!(self, Self::PersistentClient(_))
    }
}

/// What is left of a session that has ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<Ending, Error>,
    pub(super) local: LocalEnd,
    pub(super) remote: Box<dyn Stream>,
    /// Data from the remote that the client did not receive.
    pub(super) pending: Vec<u8>,
    /// The remote sent EOF and did not fail.
    pub(super) remote_ended: bool,
    /// The remote has sent data.
    pub(super) has_received: bool,
}

/// How a session without an error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The remote sent data, or the local end closed the session.
    Normal,
    /// The remote sent EOF without any data.
    Silent {
        /// The local end sent EOF first.
        after_local: bool,
        /// The local end sent data.
        has_sent: bool,
    },
}

/// One of the two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Local,
    Remote,
}

/// The phase of a session. Transitions only go down this list.
enum State {
    /// Both directions may carry data. A session with a client's socket stays in this state until
    /// it ends, even with one direction closed.
    Open,
    /// Stdin failed. Data that has already been received is still written to stdout.
    OutputOnly {
        since: Instant,
    },
    /// The remote sent EOF and all data was written to stdout, or stdout failed. Local input that
    /// is already available is still sent; the first pause in it ends the session.
    InputOnly {
        /// Local input was sent after the download ended, so more may follow.
        sent_after_eof: bool,
        /// When stdout failed. `None` after a regular EOF.
        failed_since: Option<Instant>,
    },
    /// The session failed. Data that was already written gets time to arrive before the reset.
    Draining(Vec<(End, Drain)>),
    /// The session is over, but the layers of an end still hold data for it.
    Closing(Vec<(End, Closing)>),
    Closed,
}

/// A value for each stream of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerStream<T> {
    pub(super) input: T,
    pub(super) remote: T,
    pub(super) output: T,
}

/// Both directions of one session.
pub(super) struct Session {
    state: State,
    local: LocalEnd,
    remote: Box<dyn Stream>,
    peer: Peer,
    /// From the local end to the remote.
    up: Flow,
    /// From the remote to the local end.
    down: Flow,
    /// Whether to half-close the connection to the remote after local EOF.
    half_close: bool,
    idle: IdleTimer,
    result: Result<Ending, Error>,
    /// The remote sent EOF and did not fail.
    remote_ended: bool,
    /// Whether the local end had sent EOF before the remote did; `None` before the remote's EOF.
    local_ended_first: Option<bool>,
    /// What the current wait was for.
    wanted: PerStream<Interest>,
}

impl Session {
    /// Creates a session with `peer`, the other end of `remote`.
    pub(super) fn new(local: LocalEnd, remote: Box<dyn Stream>, peer: Peer, settings: RelaySettings) -> Self {
        let mut up = Flow::new(">>>", local.input().is_some());
        let mut down = Flow::new("<<<", true);
        // A dump (`-dd`) needs the bytes in memory.
        if settings.mode == RelayMode::Splice && !trace::shows_data() {
            up.splice_if_possible(local.input(), Some(&*remote));
            down.splice_if_possible(Some(&*remote), local.output());
            trace!("relaying: up {}, down {}", up.description(), down.description());
        }
        let mut session = Self {
            state: State::Open,
            local,
            remote,
            peer,
            up,
            down,
            half_close: settings.half_close,
            idle: IdleTimer::new(settings.idle),
            result: Ok(Ending::Normal),
            remote_ended: false,
            local_ended_first: None,
            wanted: PerStream::default(),
        };
        if session.up.is_finished() && session.half_close {
            half_close(&mut *session.remote);
        }
        session
    }

    /// Queues data that an earlier client of the same remote connection did not receive.
    pub(super) fn queue_for_client(&mut self, bytes: Vec<u8>) {
        self.down.queue(bytes);
    }

    /// Returns `true` once nothing is left to do. The driver must then stop.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Returns the result of a closed session, and its two ends.
    pub(super) fn into_outcome(self) -> Outcome {
        let has_received = self.has_received();
        let Self { result, local, remote, remote_ended, down, .. } = self;
        Outcome { result, local, remote, pending: down.pending().to_vec(), remote_ended, has_received }
    }

    /// Adds the streams to poll, and remembers what for.
    pub(super) fn register<'a>(&'a mut self, polls: &mut PollSet<'a>) {
        self.wanted = self.interest();
        let PerStream { input, remote, output } = self.wanted;
        let session = &*self;
        if let Some(stream) = session.local.input() {
            stream.register(input, polls);
        }
        session.remote.register(remote, polls);
        if let Some(stream) = session.local.output() {
            stream.register(output, polls);
        }
    }

    /// Handles the events after a wait for the streams that [`register`](Self::register) added.
    pub(super) fn on_events(&mut self, mut events: Events, pool: &Pool) {
        let PerStream { input, remote, output } = self.wanted;
        let mut ready = |stream: Option<&(dyn Stream + 'static)>, want| {
            stream.map(|stream| stream.ready(want, &mut events)).unwrap_or_default()
        };
        let input = ready(self.local.input(), input);
        let remote = ready(Some(&*self.remote), remote);
        let output = ready(self.local.output(), output);
        self.on_ready(PerStream { input, remote, output }, pool);
    }

    /// Returns the events to poll each stream for. A stream without any interest must not be
    /// polled: poll always reports hang-ups, so after one it would return at once each time.
    fn interest(&self) -> PerStream<Interest> {
        match &self.state {
            State::Draining(_) | State::Closed => PerStream::default(),
            State::Closing(closings) => {
                let want = |end| {
                    let closing = closings.iter().find(|(closing, _)| *closing == end);
                    closing.map(|(_, closing)| closing.interest()).unwrap_or_default()
                };
                PerStream { input: Interest::default(), remote: want(End::Remote), output: want(End::Local) }
            }
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } => {
                let read = |wants| Interest { read: wants, ..Interest::default() };
                let input = read(self.up.wants_data());
                let remote = Interest { write: self.up.holds_data(), ..read(self.down.wants_data()) };
                let write = self.down.holds_data();
                let hangup = sys::HANGUP_IS_GONE && !self.down.is_bulk();
                let output = Interest { write, hangup, read: false };
                let output = if self.down.is_finished() { Interest::default() } else { output };
                PerStream { input, remote, output }
            }
        }
    }

    /// Returns how long to poll, or `None` for no limit.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let bulk_pause = || self.down.is_bulk().then_some(BULK_PAUSE);
        let limits = match self.state {
            State::Open => [bulk_pause(), None, self.idle.remaining()],
            State::OutputOnly { since } => {
                [bulk_pause(), Some(remaining_grace(since)), self.idle.remaining()]
            }
            State::InputOnly { sent_after_eof, failed_since } => {
                let pause = match (self.up.holds_data(), sent_after_eof) {
                    (true, _) => STALL_TIMEOUT,
                    (false, true) => LATE_INPUT_GRACE + sys::STDIN_SETTLE_TIME,
                    (false, false) => sys::STDIN_SETTLE_TIME,
                };
                [Some(pause), failed_since.map(remaining_grace), self.idle.remaining()]
            }
            State::Draining(_) => return Some(DRAIN_POLL_INTERVAL),
            State::Closing(ref closings) => {
                return closings.iter().map(|(_, closing)| closing.timeout()).min();
            }
            State::Closed => return Some(Duration::ZERO),
        };
        limits.into_iter().flatten().min()
    }

    /// Moves data on the streams that are ready, and updates the state.
    pub(super) fn on_ready(&mut self, ready: PerStream<Ready>, pool: &Pool) {
        let PerStream { input, remote, output } = ready;
        match self.state {
            // A layer may have room for the bytes that it holds. Nothing else may move.
            State::Draining(_) => return self.reset_drained(),
            State::Closing(_) => return self.advance_closing(output, remote),
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } | State::Closed => {}
        }
        self.flush(remote, output);
        let was_finished = self.down.is_finished();
        self.advance_down(remote, output, pool);
        if output.gone && !self.half_close && self.up.is_finished() && !self.down.holds_data() {
            // Both local ends are closed. Without a half-close the remote does not know that, and
            // might never end the session.
            trace!("local input and output are closed");
            return self.end(Ok(()));
        }
        if output.gone && !self.down.is_finished() {
            self.down.fail_write(io::ErrorKind::BrokenPipe.into());
        }
        if self.down.is_finished() && !was_finished {
            self.download_finished();
        }

        // Must come before the next read: the kernel reports the error only once (see
        // `source_lost`).
        if let Some(cause) = self.down.lost_connection() {
            self.up.source_lost(cause);
        }
        let was_finished = self.up.is_finished();
        let has_sent = self.advance_up(input, remote, pool);
        if self.up.is_finished() && !was_finished {
            self.upload_finished();
        }
        if let Some(cause) = self.up.lost_connection() {
            self.down.source_lost(cause);
        }

        if self.down.source_ended() {
            self.local_ended_first.get_or_insert(self.up.source_ended());
        }
        self.idle.update(self.up.progress_count() + self.down.progress_count());
        self.update_state(has_sent);
    }

    /// Handles a poll that timed out (see [`timeout`](Self::timeout)).
    pub(super) fn on_timeout(&mut self) {
        self.down.end_bulk();
        match self.state {
            State::Draining(_) => self.reset_drained(),
            State::Closing(_) => self.advance_closing(Ready::default(), Ready::default()),
            State::Closed => {}
            State::InputOnly { .. } if self.idle.expired().is_none() => self.end(Ok(())),
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } => self.update_state(false),
        }
    }

    /// Ends the session because poll failed. A session that has already ended keeps its result, and
    /// waits no longer.
    pub(super) fn fail(&mut self, cause: io::Error) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } => {
                self.end(Err(Error::System { what: "wait for data", cause }));
            }
            State::Draining(drains) => {
                for (end, _) in drains {
                    if let Some(stream) = self.end_mut(end) {
                        stream.reset_on_close();
                    }
                }
            }
            State::Closing(_) | State::Closed => {}
        }
    }

    /// Lets layers pass on what they hold. An error shows up in the next write.
    fn flush(&mut self, remote: Ready, output: Ready) {
        if remote.write {
            let _ = self.remote.flush();
        }
        if let Some(output) = self.local.output_mut().filter(|_| output.write) {
            let _ = output.flush();
        }
    }

    fn advance_down(&mut self, remote: Ready, output: Ready, pool: &Pool) {
        let had_ended = self.down.source_ended();
        let sink = self.local.output_mut();
        let sink_ready = output.write || sink.is_none();
        self.down.advance(Ends { source: Some(&mut *self.remote), sink, pool }, remote.read, sink_ready);
        if self.down.source_ended()
            && !had_ended
            && let Some(cause) = self.remote.fault()
        {
            self.down.eof_was_error(cause);
        }
    }

    /// Moves data from the local end to the remote. Returns `true` if local input was read.
    fn advance_up(&mut self, input: Ready, remote: Ready, pool: &Pool) -> bool {
        let had_ended = self.up.source_ended();
        let ends = Ends { source: self.local.input_mut(), sink: Some(&mut *self.remote), pool };
        let has_read = self.up.advance(ends, input.read, remote.write);
        let client = self.local.output().filter(|_| !self.local.is_stdio());
        if self.up.source_ended()
            && !had_ended
            && let Some(cause) = client.and_then(Stream::fault)
        {
            self.up.eof_was_error(cause);
        }
        has_read
    }

    fn download_finished(&mut self) {
        if !self.down.write_failed() {
            trace!("connection closed by peer");
        }
        if let LocalEnd::Client(client) = &mut self.local
            && !self.down.is_incomplete()
        {
            half_close(&mut **client);
        }
    }

    fn upload_finished(&mut self) {
        if self.up.has_fault() {
            return;
        }
        trace!("local input is EOF");
        if !self.local.is_persistent() && self.half_close {
            half_close(&mut *self.remote);
        }
    }

    /// Updates the state from the two flows. `has_sent` is `true` if local input was just read.
    fn update_state(&mut self, has_sent: bool) {
        if self.has_ended() {
            return self.end(Ok(()));
        }
        if let Some(limit) = self.idle.expired() {
            return self.end(Err(Error::Idle { peer: self.peer.clone(), limit }));
        }
        if !self.local.is_stdio() {
            return;
        }
        match &mut self.state {
            State::Open if self.down.is_finished() => {
                let failed_since = self.down.write_failed().then(Instant::now);
                self.state = State::InputOnly { sent_after_eof: has_sent, failed_since };
            }
            State::Open if self.up.read_failed() => {
                self.state = State::OutputOnly { since: Instant::now() };
            }
            State::InputOnly { sent_after_eof, .. } => *sent_after_eof |= has_sent,
            State::Open
            | State::OutputOnly { .. }
            | State::Draining(_)
            | State::Closing(_)
            | State::Closed => {}
        }
    }

    /// Returns `true` if no more data can move, or if the session must end regardless.
    fn has_ended(&self) -> bool {
        if self.up.sink_failed() {
            return true;
        }
        let (up, down) = (self.up.is_finished(), self.down.is_finished());
        let both_finished = down && (up || self.down.read_failed());
        match &self.local {
            LocalEnd::Stdio { .. } => {
                both_finished || self.up.read_failed() && !self.down.holds_data() || self.grace_has_passed()
            }
            LocalEnd::Client(_) => both_finished || self.up.read_failed() || self.down.sink_failed(),
            // After a client has stopped reading, still forward the data that it sent.
            LocalEnd::PersistentClient(_) => up || down && !self.down.write_failed(),
        }
    }

    fn grace_has_passed(&self) -> bool {
        let since = match self.state {
            State::OutputOnly { since } => Some(since),
            State::InputOnly { failed_since, .. } => failed_since,
            State::Open | State::Draining(_) | State::Closing(_) | State::Closed => None,
        };
        since.is_some_and(|since| remaining_grace(since).is_zero())
    }

    /// Ends the session with `result`, or with the error of a failed flow if `result` is `Ok`.
    /// After an error, resets each end that may be missing data: a FIN would claim that all data
    /// arrived.
    fn end(&mut self, result: Result<(), Error>) {
        self.remote_ended = self.down.source_ended() && !self.down.has_fault();
        // Once a peer has broken the connection, it will not acknowledge any more data.
        let local_is_gone = self.up.read_failed() || self.down.sink_is_gone();
        let remote_is_gone = self.down.read_failed() || self.up.sink_is_gone();
        let (down_is_incomplete, up_is_incomplete) = (self.down.is_incomplete(), self.up.is_incomplete());
        let ending = self.ending();
        self.result = result.and_then(|()| self.take_error()).map(|()| ending);
        let (reset_local, reset_remote) =
            self.result.as_ref().map_or_else(|error| self.resets_after(error), |_| (false, false));
        let (reset_local, reset_remote) =
            (reset_local && down_is_incomplete, reset_remote && up_is_incomplete);
        self.allow_clean_close(!reset_local, !reset_remote);
        let mut drains = Vec::new();
        for (end, reset, is_gone) in
            [(End::Local, reset_local, local_is_gone), (End::Remote, reset_remote, remote_is_gone)]
        {
            match self.end_mut(end) {
                Some(stream) if reset && is_gone => stream.reset_on_close(),
                Some(_) if reset => drains.push((end, Drain::new(self.idle.limit()))),
                _ => {}
            }
        }
        self.state = State::Draining(drains);
        self.reset_drained();
    }

    /// Returns how the session ends if there is no error.
    fn ending(&self) -> Ending {
        if !self.remote_ended || self.has_received() {
            return Ending::Normal;
        }
        let after_local = match self.local {
            // If both ends have sent EOF, chance may decide which one we see first. An EOF that is
            // already available therefore counts as the first.
            LocalEnd::Stdio { .. } => self.up.source_ended(),
            // A client may send EOF because it has seen the remote's, so the order matters.
            LocalEnd::Client(_) => self.local_ended_first == Some(true),
            // The remote does not see the EOF of a client.
            LocalEnd::PersistentClient(_) => false,
        };
        // A write that failed means that the remote did not take what was sent.
        let after_local = after_local && !self.up.has_fault();
        Ending::Silent { after_local, has_sent: self.up.progress_count() > 0 }
    }

    fn has_received(&self) -> bool {
        self.down.progress_count() > 0
    }

    /// Lets those ends of a local port's session close cleanly that are not to be reset. The remote
    /// of a persistent session stays open.
    fn allow_clean_close(&mut self, local: bool, remote: bool) {
        let remote = match &self.local {
            LocalEnd::Stdio { .. } => return,
            LocalEnd::Client(_) => remote,
            LocalEnd::PersistentClient(_) => false,
        };
        for end in [(End::Local, local), (End::Remote, remote)]
            .into_iter()
            .filter_map(|(end, clean)| clean.then_some(end))
        {
            if let Some(stream) = self.end_mut(end) {
                stream.set_reset_on_exit(false);
            }
        }
    }

    /// Resets each stream whose data has arrived or whose wait has timed out. Closes the session
    /// after the last reset.
    fn reset_drained(&mut self) {
        let State::Draining(mut drains) = std::mem::replace(&mut self.state, State::Closed) else { return };
        drains.retain_mut(|(end, drain)| self.end_mut(*end).is_some_and(|stream| !drain.try_reset(stream)));
        self.state = if drains.is_empty() { self.close_layers() } else { State::Draining(drains) };
    }

    /// Closes the layers of both ends, except those of a remote that outlives the session. Returns
    /// the new state.
    fn close_layers(&mut self) -> State {
        let ends = if self.local.is_persistent() { &[End::Local][..] } else { &[End::Local, End::Remote] };
        let mut closings = Vec::new();
        for &end in ends {
            if let Some(stream) = self.end_mut(end) {
                closings.extend(Closing::begin(stream).map(|closing| (end, closing)));
            }
        }
        if closings.is_empty() { State::Closed } else { State::Closing(closings) }
    }

    /// Writes more of what the layers hold.
    fn advance_closing(&mut self, local: Ready, remote: Ready) {
        let State::Closing(mut closings) = std::mem::replace(&mut self.state, State::Closed) else { return };
        closings.retain_mut(|(end, closing)| {
            let ready = if *end == End::Local { local } else { remote };
            self.end_mut(*end).is_some_and(|stream| !closing.advance(stream, ready))
        });
        if !closings.is_empty() {
            self.state = State::Closing(closings);
        }
    }

    /// Returns the stream of one end, which for the local end is the output.
    fn end_mut(&mut self, end: End) -> Option<&mut (dyn Stream + 'static)> {
        match end {
            End::Local => self.local.output_mut(),
            End::Remote => Some(&mut *self.remote),
        }
    }

    /// Returns `(reset_local, reset_remote)`: which ends to reset after this error.
    fn resets_after(&self, error: &Error) -> (bool, bool) {
        match (error, &self.local) {
            // ssh closes its end without reading the rest even after a normal session.
            (Error::ReaderGone, LocalEnd::Stdio { .. }) => (false, false),
            (_, LocalEnd::Stdio { .. }) => (false, true),
            (_, LocalEnd::Client(_)) | (Error::Idle { .. } | Error::System { .. }, _) => (true, true),
            // The remote connection stays open for the next client. Reset this client only if the
            // remote failed.
            (error, LocalEnd::PersistentClient(_)) => (matches!(error, Error::Remote { .. }), false),
        }
    }

    /// Takes the error that ended a flow, if any.
    fn take_error(&mut self) -> Result<(), Error> {
        match self.down.take_fault() {
            Some(fault) if fault.is_ours() => return Err(local_error(fault)),
            Some(Fault::Read(cause)) => return Err(Error::Remote { peer: self.peer.clone(), cause }),
            Some(Fault::Write(cause)) => return Err(output_error(cause)),
            None => {}
        }
        match self.up.take_fault() {
            Some(fault) if fault.is_ours() => Err(local_error(fault)),
            Some(Fault::Read(cause)) => Err(Error::Input(cause)),
            Some(Fault::Write(cause)) if !self.remote_stopped_reading(&cause) => {
                Err(Error::Remote { peer: self.peer.clone(), cause })
            }
            _ => Ok(()),
        }
    }

    /// Returns `true` if a write to the remote failed only because the remote closed without
    /// reading the rest, which is not an error. `EPIPE` always means this; a reset means this only
    /// after the remote's EOF.
    fn remote_stopped_reading(&self, cause: &io::Error) -> bool {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => true,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => self.remote_ended,
            _ => false,
        }
    }
}

fn remaining_grace(since: Instant) -> Duration {
    HALF_FAILED_GRACE.saturating_sub(since.elapsed())
}

/// Shuts down the write side. A failure means that the peer is already gone, which the session
/// notices elsewhere.
fn half_close(stream: &mut dyn Stream) {
    if let Err(error) = stream.shut_down_writing() {
        trace!("half-close: {error}");
    }
}

/// Returns the error for a flow that failed because this machine is out of memory.
fn local_error(fault: Fault) -> Error {
    let (Fault::Read(cause) | Fault::Write(cause)) = fault;
    Error::System { what: "relay data", cause }
}

/// Returns the error for data that could not be delivered: the reader is gone, or the output
/// failed.
pub(super) fn output_error(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::ReaderGone,
        _ => Error::Output(cause),
    }
}

#[cfg(test)]
mod tests;

//! A relay session as a state machine that never blocks.
//!
//! A driver waits for the streams that [`Session::register`] adds to its set, for at most
//! [`Session::timeout`]. It then calls [`Session::on_events`] or [`Session::on_timeout`], and
//! repeats this until [`Session::is_closed`] returns `true`.

use std::io;
use std::time::{Duration, Instant};

use super::drain::{DRAIN_POLL_INTERVAL, Drain, STALL_TIMEOUT};
use super::flow::{Ends, Flow};
use super::idle::IdleTimer;
use super::local_end::LocalEnd;
use super::outcome::{Ending, Outcome};
use super::transfer::Pool;
use crate::error::{Error, Peer};
use crate::plan::{RelayMode, RelaySettings};
use crate::stream::{Closing, Events, Interest, PollSet, Stream};
use crate::sys::{self, Ready};
use crate::trace::{self, trace};
use withheld::WithheldEof;

mod ending;
mod withheld;

/// Time limit for more local input once some has been sent after the remote's EOF.
const LATE_INPUT_GRACE: Duration = Duration::from_millis(50);
/// During a bulk download, stdout is not polled for hang-up, because every read by its reader would
/// wake us. A vanished reader shows up as `EPIPE` on the next write. Polling resumes after this
/// pause.
const BULK_PAUSE: Duration = Duration::from_millis(50);
/// Grace period for the other direction after stdin or stdout fails.
const HALF_FAILED_GRACE: Duration = Duration::from_secs(1);

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
    /// `true` to half-close the connection to the remote after local EOF. Not if the remote would
    /// then discard data.
    half_close: bool,
    /// Reports an EOF of standard input that is not passed on, because the remote would discard
    /// data.
    withheld: Option<WithheldEof>,
    idle: IdleTimer,
    result: Result<Ending, Error>,
    /// The remote sent EOF and did not fail.
    remote_ended: bool,
    /// `true` if the local end had sent EOF before the remote did; `None` before the remote's EOF.
    local_ended_first: Option<bool>,
    /// When the session is cut off, whatever its peers have not received.
    cut_at: Option<Instant>,
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
        let can_half_close = remote.can_half_close();
        let is_withheld = settings.half_close && !can_half_close && settings.warns && local.is_stdio();
        let mut session = Self {
            state: State::Open,
            local,
            remote,
            peer,
            up,
            down,
            half_close: settings.half_close && can_half_close,
            withheld: is_withheld.then(WithheldEof::default),
            idle: IdleTimer::new(settings.idle),
            result: Ok(Ending::Normal),
            remote_ended: false,
            local_ended_first: None,
            cut_at: None,
        };
        if session.up.is_finished() {
            session.pass_eof_on();
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

    /// Adds the streams to poll.
    pub(super) fn register<'a>(&'a self, polls: &mut PollSet<'a>) {
        let PerStream { input, remote, output } = self.interest();
        if let Some(stream) = self.local.input() {
            stream.register(input, polls);
        }
        self.remote.register(remote, polls);
        if let Some(stream) = self.local.output() {
            stream.register(output, polls);
        }
    }

    /// Handles the events after a wait for the streams that [`register`](Self::register) added. The
    /// session must not have changed in the meantime.
    pub(super) fn on_events(&mut self, mut events: Events, pool: &Pool) {
        let PerStream { input, remote, output } = self.interest();
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
            State::Open => [bulk_pause(), self.stream_time_left(), self.idle.remaining()],
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
                let cut = self.cut_at.map(|at| at.saturating_duration_since(Instant::now()));
                return closings.iter().map(|(_, closing)| closing.timeout()).chain(cut).min();
            }
            State::Closed => return Some(Duration::ZERO),
        };
        limits.into_iter().flatten().min()
    }

    /// Moves data on the streams that are ready, and updates the state.
    pub(super) fn on_ready(&mut self, ready: PerStream<Ready>, pool: &Pool) {
        let PerStream { input, remote, output } = ready;
        if self.cut_at.is_some_and(|at| at <= Instant::now()) {
            return self.cut();
        }
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
        self.run_stream_timers();
        self.update_state(has_sent);
    }

    /// Handles a poll that timed out (see [`timeout`](Self::timeout)).
    pub(super) fn on_timeout(&mut self) {
        if self.cut_at.is_some_and(|at| at <= Instant::now()) {
            return self.cut();
        }
        self.down.end_bulk();
        if matches!(self.state, State::Open) {
            self.run_stream_timers();
        }
        match self.state {
            State::Draining(_) => self.reset_drained(),
            State::Closing(_) => self.advance_closing(Ready::default(), Ready::default()),
            State::Closed => {}
            State::InputOnly { .. } if self.up.holds_data() && self.remote.is_resuming() => {
                self.update_state(false);
            }
            State::InputOnly { .. } if self.idle.expired().is_none() => self.end(Ok(())),
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } => self.update_state(false),
        }
    }

    /// Returns how long the streams that are read may stay silent, or how long until an EOF is
    /// reported; `None` for no limit.
    fn stream_time_left(&self) -> Option<Duration> {
        // While a direction holds data, its source is not read, so its silence means nothing.
        let remote = self.down.wants_data().then(|| self.remote.time_left()).flatten();
        let local = self.local.input().filter(|_| self.up.wants_data()).and_then(Stream::time_left);
        let report = self.withheld.as_ref().and_then(WithheldEof::remaining);
        remote.into_iter().chain(local).chain(report).min()
    }

    /// Calls the streams whose time is up.
    fn run_stream_timers(&mut self) {
        if self.stream_time_left() != Some(Duration::ZERO) {
            return;
        }
        if let Some(withheld) = &mut self.withheld {
            withheld.report(&self.peer);
        }
        if self.down.wants_data() {
            self.remote.on_time();
        }
        if self.up.wants_data()
            && let Some(input) = self.local.input_mut()
        {
            input.on_time();
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
        if !self.local.is_persistent() {
            self.pass_eof_on();
        }
    }

    /// Half-closes the connection to the remote, unless the user does not want that or the remote
    /// would discard data.
    fn pass_eof_on(&mut self) {
        if self.half_close {
            half_close(&mut *self.remote);
        }
        if let Some(withheld) = &mut self.withheld {
            withheld.start();
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

#[cfg(test)]
mod tests;

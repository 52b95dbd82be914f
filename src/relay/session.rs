//! A relay session as a state machine that never blocks.
//!
//! A driver polls the channels that [`Session::interest`] returns, for at most
//! [`Session::timeout`]. It then calls [`Session::on_ready`] or [`Session::on_timeout`], and
//! repeats this until [`Session::is_closed`] returns `true`.

use std::io;
use std::time::{Duration, Instant};

use super::drain::{DRAIN_POLL_INTERVAL, Drain, STALL_TIMEOUT};
use super::flow::{Fault, Flow};
use super::idle::IdleTimer;
use super::transfer::Pool;
use crate::error::{Error, Peer};
use crate::plan::{RelayMode, RelaySettings};
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

/// The kind of local end that a session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalEnd {
    /// Standard input and output. The remote's EOF ends the session.
    Stdio,
    /// A client's socket. The session lasts until both directions have ended.
    Client,
    /// A client's socket. The connection to the remote outlives the client (`-P`).
    PersistentClient,
}

/// The part of a `-P` session that outlives its client.
#[derive(Debug, Default)]
pub struct KeptSession {
    /// Data from the remote that the last client did not receive.
    pub pending: Vec<u8>,
    /// The remote sent EOF, so no further client can be served.
    pub remote_ended: bool,
    /// The remote has sent data.
    pub has_received: bool,
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

/// The phase of a session. Transitions only go down this list.
enum State<'a> {
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
    Draining(Vec<Drain<'a>>),
    Closed,
}

/// A value for each channel of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerChannel<T> {
    pub(super) input: T,
    pub(super) remote: T,
    pub(super) output: T,
}

impl<T> PerChannel<T> {
    pub(super) fn map<U>(self, mut convert: impl FnMut(T) -> U) -> PerChannel<U> {
        let (input, remote, output) = (convert(self.input), convert(self.remote), convert(self.output));
        PerChannel { input, remote, output }
    }
}

/// The events to poll a channel for. With neither flag set, the channel is polled only for a
/// hang-up.
#[derive(Clone, Copy)]
pub(super) struct Interest<'a> {
    pub(super) channel: &'a Channel,
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Both directions of one session.
pub(super) struct Session<'a> {
    state: State<'a>,
    local: LocalEnd,
    output: Option<&'a Channel>,
    remote: &'a Channel,
    peer: &'a Peer,
    /// From the local end to the remote.
    up: Flow<'a>,
    /// From the remote to the local end.
    down: Flow<'a>,
    /// Whether to half-close the connection to the remote after local EOF.
    half_close: bool,
    idle: IdleTimer,
    result: Result<Ending, Error>,
    /// The remote sent EOF and did not fail.
    remote_ended: bool,
    /// Whether the local end had sent EOF before the remote did; `None` before the remote's EOF.
    local_ended_first: Option<bool>,
}

impl<'a> Session<'a> {
    /// Creates a session with `peer`, the other end of `remote`. `input` and `output` make up the
    /// local end.
    pub(super) fn new(
        local: LocalEnd,
        [input, output]: [Option<&'a Channel>; 2],
        remote: &'a Channel,
        peer: &'a Peer,
        settings: RelaySettings,
        pool: &'a Pool,
    ) -> Self {
        let mut up = Flow::new(">>>", input, Some(remote), pool);
        let mut down = Flow::new("<<<", Some(remote), output, pool);
        // A dump (`-dd`) needs the bytes in memory.
        if settings.mode == RelayMode::Splice && !trace::shows_data() {
            (up, down) = (up.spliced(), down.spliced());
            trace!("relaying: up {}, down {}", up.description(), down.description());
        }
        let session = Self {
            state: State::Open,
            local,
            output,
            remote,
            peer,
            up,
            down,
            half_close: settings.half_close,
            idle: IdleTimer::new(settings.idle),
            result: Ok(Ending::Normal),
            remote_ended: false,
            local_ended_first: None,
        };
        if session.up.is_finished() && session.half_close {
            half_close(remote);
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

    /// Returns the result of a closed session, and the part of a `-P` session that outlives its
    /// client.
    pub(super) fn into_result(self) -> (Result<Ending, Error>, KeptSession) {
        let (remote_ended, has_received) = (self.remote_ended, self.has_received());
        (self.result, KeptSession { pending: self.down.pending().to_vec(), remote_ended, has_received })
    }

    /// Returns the events to poll each channel for.
    pub(super) fn interest(&self) -> PerChannel<Option<Interest<'a>>> {
        if matches!(self.state, State::Draining(_) | State::Closed) {
            return PerChannel::default();
        }
        // A channel without any interest must not be polled: poll always reports hang-ups, so after
        // one it would return at once each time.
        let input = self.up.source_to_poll().map(|channel| Interest { channel, read: true, write: false });
        let (read, write) = (self.down.source_to_poll().is_some(), self.up.holds_data());
        let remote = (read || write).then_some(Interest { channel: self.remote, read, write });
        let output = self.output.filter(|_| !self.down.is_finished()).and_then(|channel| {
            let write = self.down.holds_data();
            let for_hangup = sys::HANGUP_IS_GONE && !self.down.is_bulk();
            (write || for_hangup).then_some(Interest { channel, read: false, write })
        });
        PerChannel { input, remote, output }
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
            State::Closed => return Some(Duration::ZERO),
        };
        limits.into_iter().flatten().min()
    }

    /// Moves data on the channels that are ready, and updates the state.
    pub(super) fn on_ready(&mut self, ready: PerChannel<Ready>) {
        let PerChannel { input, remote, output } = ready;
        let was_finished = self.down.is_finished();
        self.advance_down(remote, output);
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
        let has_sent = self.advance_up(input, remote);
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
            State::Closed => {}
            State::InputOnly { .. } if self.idle.expired().is_none() => self.end(Ok(())),
            State::Open | State::OutputOnly { .. } | State::InputOnly { .. } => self.update_state(false),
        }
    }

    /// Ends the session because poll failed.
    pub(super) fn fail(&mut self, cause: io::Error) {
        self.end(Err(Error::System { what: "wait for data", cause }));
    }

    fn advance_down(&mut self, remote: Ready, output: Ready) {
        let had_ended = self.down.source_ended();
        self.down.advance(remote.read, output.write || self.output.is_none());
        if self.down.source_ended()
            && !had_ended
            && let Some(cause) = self.remote.fault()
        {
            self.down.eof_was_error(cause);
        }
    }

    /// Moves data from the local end to the remote. Returns `true` if local input was read.
    fn advance_up(&mut self, input: Ready, remote: Ready) -> bool {
        let had_ended = self.up.source_ended();
        let has_read = self.up.advance(input.read, remote.write);
        let client = self.output.filter(|_| self.local != LocalEnd::Stdio);
        if self.up.source_ended()
            && !had_ended
            && let Some(cause) = client.and_then(Channel::fault)
        {
            self.up.eof_was_error(cause);
        }
        has_read
    }

    fn download_finished(&self) {
        if !self.down.write_failed() {
            trace!("connection closed by peer");
        }
        if self.local == LocalEnd::Client
            && !self.down.is_incomplete()
            && let Some(output) = self.output
        {
            half_close(output);
        }
    }

    fn upload_finished(&self) {
        if self.up.has_fault() {
            return;
        }
        trace!("local input is EOF");
        if self.local != LocalEnd::PersistentClient && self.half_close {
            half_close(self.remote);
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
        if self.local != LocalEnd::Stdio {
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
            State::Open | State::OutputOnly { .. } | State::Draining(_) | State::Closed => {}
        }
    }

    /// Returns `true` if no more data can move, or if the session must end regardless.
    fn has_ended(&self) -> bool {
        if self.up.sink_failed() {
            return true;
        }
        let (up, down) = (self.up.is_finished(), self.down.is_finished());
        let both_finished = down && (up || self.down.read_failed());
        match self.local {
            LocalEnd::Stdio => {
                both_finished || self.up.read_failed() && !self.down.holds_data() || self.grace_has_passed()
            }
            LocalEnd::Client => both_finished || self.up.read_failed() || self.down.sink_failed(),
            // After a client has stopped reading, still forward the data that it sent.
            LocalEnd::PersistentClient => up || down && !self.down.write_failed(),
        }
    }

    fn grace_has_passed(&self) -> bool {
        let since = match self.state {
            State::OutputOnly { since } => Some(since),
            State::InputOnly { failed_since, .. } => failed_since,
            State::Open | State::Draining(_) | State::Closed => None,
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
        let local = self.output.filter(|_| reset_local && down_is_incomplete);
        let remote = Some(self.remote).filter(|_| reset_remote && up_is_incomplete);
        self.allow_clean_close(local.is_none(), remote.is_none());
        let mut drains = Vec::new();
        for (channel, is_gone) in [(local, local_is_gone), (remote, remote_is_gone)] {
            match channel {
                Some(channel) if is_gone => channel.reset_on_close(),
                Some(channel) => drains.push(Drain::new(channel, self.idle.limit())),
                None => {}
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
            // Which EOF is seen first may be chance, so one that is already available counts.
            LocalEnd::Stdio => self.up.source_ended(),
            // A client ends because it sees the remote's EOF.
            LocalEnd::Client => self.local_ended_first == Some(true),
            // The remote does not see the EOF of a client.
            LocalEnd::PersistentClient => false,
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
    fn allow_clean_close(&self, local: bool, remote: bool) {
        let remote = match self.local {
            LocalEnd::Stdio => return,
            LocalEnd::Client => remote,
            LocalEnd::PersistentClient => false,
        };
        let clean = [self.output.filter(|_| local), Some(self.remote).filter(|_| remote)];
        clean.into_iter().flatten().for_each(|channel| channel.set_reset_on_exit(false));
    }

    /// Resets each channel whose data has arrived or whose wait has timed out. Closes the session
    /// after the last reset.
    fn reset_drained(&mut self) {
        if let State::Draining(drains) = &mut self.state {
            drains.retain_mut(|drain| !drain.try_reset());
            if drains.is_empty() {
                self.state = State::Closed;
            }
        }
    }

    /// Returns `(reset_local, reset_remote)`: which ends to reset after this error.
    fn resets_after(&self, error: &Error) -> (bool, bool) {
        match (error, self.local) {
            // ssh closes its end without reading the rest even after a normal session.
            (Error::ReaderGone, LocalEnd::Stdio) => (false, false),
            (_, LocalEnd::Stdio) => (false, true),
            (_, LocalEnd::Client) | (Error::Idle { .. } | Error::System { .. }, _) => (true, true),
            // The remote connection stays open for the next client. Reset this client only if the
            // remote failed.
            (error, LocalEnd::PersistentClient) => (matches!(error, Error::Remote { .. }), false),
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
fn half_close(channel: &Channel) {
    if let Err(error) = channel.shut_down_writing() {
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

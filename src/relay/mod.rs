//! Carries bytes between the local side and the remote one until the session ends.
//!
//! - The end of the local input becomes a half-close, unless the remote is not to be told; what the remote still sends
//!   is delivered.
//! - The end of the remote's output ends the session when it is delivered, although the local side may not have
//!   ended: ssh waits for that. What stands ready on the local side still goes out first; the first idle moment
//!   ends it.
//! - A reset is an end with an error: bytes may be missing. It is passed on: a side that was cut off sees a reset, too.
//! - A local reader that went away ends it as well, within a second, and nobody is told.
//!
//! One side that is stuck never stops the other direction. Each direction holds at most 64 KiB in memory, or what a pipe
//! inside the kernel holds: 64 KiB, and up to 1 MiB where much is moved.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Error, Peer};
use crate::plan::{self, RelayMode};
use crate::sys::{self, Channel, Ready, Watch};
use crate::trace::{self, trace};
pub use carrier::Pipes;
use flow::{Fault, Flow};
use idle::Idle;

mod carrier;
mod flow;
mod idle;

/// Once the remote has closed, data from the local side is waited for so long, if some came since.
const LATE_INPUT_GRACE: Duration = Duration::from_millis(50);
/// Once the remote has closed, it may so long refuse to take what it is sent.
const DRAIN_STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// While much comes down, its reader is not watched, since each time it reads would wake us up: that it has left shows
/// when we write. It is watched again after so long without anything.
const BULK_PAUSE: Duration = Duration::from_millis(50);
/// Once one half of the local side has failed, the other may so long go on.
const HALF_FAILED_GRACE: Duration = Duration::from_secs(1);
/// How often it is looked whether all has arrived, before a reset.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Relays between standard input and output and `remote`, until the session ends.
///
/// # Errors
/// Either side broke; see the module.
pub fn relay_stdio(remote: &Channel, peer: &Peer, how: plan::RelaySettings) -> Result<(), Error> {
    let system = |cause| Error::System { what: "use standard input and output", cause };
    let (input, output) = (Channel::stdin().map_err(system)?, Channel::stdout().map_err(system)?);
    let pipes = Pipes::default();
    let relay = Relay::new(input.as_ref(), output.as_ref(), remote, LocalEnd::Stdio);
    let ended = relay.carrying(how, &pipes).run(peer);
    if let Err(Error::Idle { .. }) = ended {
        // What nobody has taken for so long is not waited for.
        return ended;
    }
    let finished = output.map_or(Ok(()), Channel::finish).map_err(lost);
    ended.and(finished)
}

/// Relays between a client's socket and `remote`, until both have ended. Half-closes pass both ways.
///
/// # Errors
/// Either side broke; see the module.
pub fn relay_client(
    client: &Channel,
    remote: &Channel,
    peer: &Peer,
    how: plan::RelaySettings,
    pipes: &Pipes,
) -> Result<(), Error> {
    Relay::new(Some(client), Some(client), remote, LocalEnd::Client).carrying(how, pipes).run(peer)
}

/// What a client of a kept session leaves behind.
#[derive(Debug, Default)]
pub struct Kept {
    /// What the remote has sent and the last client did not take.
    pub pending: Vec<u8>,
    /// The remote has ended: there will be no further client.
    pub remote_ended: bool,
}

/// Relays between a client's socket and `remote` until either has ended. The end of the client is not told to the
/// remote: `kept` is for the next client.
///
/// # Errors
/// The remote broke, or nothing has moved for too long.
pub fn relay_kept(
    client: &Channel,
    remote: &Channel,
    kept: &mut Kept,
    peer: &Peer,
    how: plan::RelaySettings,
) -> Result<(), Error> {
    let copying = plan::RelaySettings { mode: RelayMode::Copy, ..how };
    let pipes = Pipes::default();
    let mut relay =
        Relay::new(Some(client), Some(client), remote, LocalEnd::PersistentClient).carrying(copying, &pipes);
    relay.down.preload(std::mem::take(&mut kept.pending));
    let ended = relay.relay(peer);
    kept.pending = relay.down.pending().to_vec();
    kept.remote_ended = relay.remote_ended();
    relay.conclude(ended, peer)
}

/// What the near end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocalEnd {
    /// Standard input and output: the remote's end ends it.
    Stdio,
    /// A socket: each direction ends on its own.
    Client,
    /// A socket whose end is not the session's.
    PersistentClient,
}

/// Both directions of one session.
struct Relay<'a> {
    near: LocalEnd,
    output: Option<&'a Channel>,
    remote: &'a Channel,
    /// From the local side to the remote.
    up: Flow<'a>,
    /// From the remote to the local side.
    down: Flow<'a>,
    /// Bytes have gone up after the remote's end.
    late: bool,
    /// One half of the local side has failed, and when it will be too late to go on for the other.
    halved_until: Option<Instant>,
    /// The remote is not told of the end of the local input.
    half_close: bool,
    idle: Idle,
}

impl<'a> Relay<'a> {
    fn new(
        input: Option<&'a Channel>,
        output: Option<&'a Channel>,
        remote: &'a Channel,
        near: LocalEnd,
    ) -> Self {
        let up = Flow::copied(">>>", input, Some(remote));
        let down = Flow::copied("<<<", Some(remote), output);
        let (late, halved_until, half_close) = (false, None, true);
        Self { near, output, remote, up, down, late, halved_until, half_close, idle: Idle::new(None) }
    }

    /// Keeps the bytes inside the kernel, where that can be done and nobody wants to see them.
    fn carrying(mut self, how: plan::RelaySettings, pipes: &'a Pipes) -> Self {
        self.idle = Idle::new(how.idle);
        self.half_close = how.half_close;
        if how.mode == RelayMode::Splice && !trace::shows_data() {
            (self.up, self.down) = (self.up.spliced(pipes), self.down.spliced(pipes));
            trace!("relaying: up {}, down {}", self.up.how(), self.down.how());
        }
        self
    }

    fn run(mut self, peer: &Peer) -> Result<(), Error> {
        let ended = self.relay(peer);
        self.conclude(ended, peer)
    }

    fn conclude(mut self, ended: Result<(), Error>, peer: &Peer) -> Result<(), Error> {
        // Whoever broke it takes no more, and is not waited for.
        let broke =
            |from: &Flow, to: &Flow| matches!(from.fault(), Some(Fault::Read(_))) || to.sink_has_left();
        let near_broke = broke(&self.up, &self.down);
        let remote_broke = broke(&self.down, &self.up);
        let (near_is_cut, remote_is_cut) = (self.down.is_cut(), self.up.is_cut());
        let ended = ended.and_then(|()| self.verdict(peer));
        let (near, remote) =
            ended.as_ref().map_or_else(|error| self.is_broken_off(error), |()| (false, false));
        if near && near_is_cut {
            self.output.inspect(|output| self.reset(output, near_broke));
        }
        if remote && remote_is_cut {
            self.reset(self.remote, remote_broke);
        }
        ended
    }

    fn relay(&mut self, peer: &Peer) -> Result<(), Error> {
        let mut watches = Vec::with_capacity(3);
        if self.up.is_over() && self.half_close {
            half_close(Some(self.remote));
        }
        while !self.has_ended() {
            if let Some(limit) = self.idle.has_passed() {
                return Err(Error::Idle { peer: peer.clone(), limit });
            }
            match self.wait(&mut watches) {
                Ok(true) => {}
                Ok(false) => break,
                Err(cause) => return Err(Error::System { what: "wait for data", cause }),
            }
        }
        Ok(())
    }

    /// Nothing can come any more, in either direction, or what came last says so.
    fn has_ended(&self) -> bool {
        let broken = matches!(self.down.fault(), Some(Fault::Read(_)));
        let no_input = matches!(self.up.fault(), Some(Fault::Read(_)));
        let (up, down) = (self.up.is_over(), self.down.is_over());
        if self.up.is_stopped() {
            return true;
        }
        match self.near {
            LocalEnd::Stdio => {
                let too_late = self.halved_until.is_some_and(|end| end <= Instant::now());
                down && (up || broken) || no_input && !self.down.holds_data() || too_late
            }
            LocalEnd::Client => down && (up || broken) || no_input || self.down.is_stopped(),
            // What a client that has gone still had to say is said first.
            LocalEnd::PersistentClient => up || down && !matches!(self.down.fault(), Some(Fault::Write(_))),
        }
    }

    /// Waits until something can be done and does it. Returns false when the waiting was in vain and the session
    /// is over for that.
    fn wait(&mut self, watches: &mut Vec<Watch<'a>>) -> io::Result<bool> {
        watches.clear();
        let mut add = |watch| {
            watches.push(watch);
            watches.len() - 1
        };
        // A descriptor that nothing is wanted of is left out: poll would report its hang-up for ever.
        let input = self.up.wants_to_read().map(|input| add(sys::watch(input, true, false)));
        let (read, write) = (self.down.wants_to_read().is_some(), self.up.holds_data());
        let remote = (read || write).then(|| add(sys::watch(self.remote, read, write)));
        let output = self.output.filter(|_| !self.down.is_over());
        let (rushing, held) = (self.down.is_rushing(), self.down.holds_data());
        let output = output.filter(|_| held || sys::HANGUP_IS_GONE && !rushing);
        let output = output.map(|output| add(sys::watch(output, false, held)));

        let patience = self.patience();
        let until_pause = Some(BULK_PAUSE).filter(|pause| rushing && patience.is_none_or(|all| *pause < all));
        if !sys::poll(watches, until_pause.or(patience))? {
            self.down.pause();
            // Only what is left behind a remote's end is waited for in vain. A limit that was about to pass is looked at
            // again: were it a hair short, the session would end like a good one.
            let rest = self.near == LocalEnd::Stdio && self.down.is_over();
            return Ok(until_pause.is_some() || !rest || self.idle.has_passed().is_some());
        }
        let ready = |index: Option<usize>| {
            index.map_or_else(Ready::default, |index| Ready::from_watch(&watches[index]))
        };
        let (input, remote, output) = (ready(input), ready(remote), ready(output));

        let down_was_over = self.down.is_over();
        let remote_was_ended = self.down.source_ended();
        self.down.advance(remote.read, output.write || self.output.is_none());
        if self.down.source_ended()
            && !remote_was_ended
            && let Some(cause) = self.remote.fault()
        {
            self.down.was_cut_off(cause);
        }
        if output.gone && !self.half_close && self.up.is_over() && !self.down.holds_data() {
            // Whoever has closed both its ends has what it wanted, and the remote was not told to end.
            trace!("local input and output are closed");
            return Ok(false);
        }
        if output.gone && !self.down.is_over() {
            self.down.sink_gone(io::ErrorKind::BrokenPipe.into());
        }
        if self.down.is_over() && !down_was_over {
            if !matches!(self.down.fault(), Some(Fault::Write(_))) {
                trace!("connection closed by peer");
            }
            if self.near == LocalEnd::Client && !self.down.is_cut() {
                half_close(self.output);
            }
        }

        // Before it is read again.
        if let Some(cause) = self.down.lost_connection() {
            self.up.source_lost(cause);
        }
        let up_was_over = self.up.is_over();
        let input_was_ended = self.up.source_ended();
        let moved = self.up.advance(input.read, remote.write);
        let client = self.output.filter(|_| self.near != LocalEnd::Stdio);
        if self.up.source_ended()
            && !input_was_ended
            && let Some(cause) = client.and_then(Channel::fault)
        {
            self.up.was_cut_off(cause);
        }
        self.late |= moved && self.down.is_over();
        if self.up.is_over() && !up_was_over && self.up.fault().is_none() {
            trace!("local input is EOF");
            if self.near != LocalEnd::PersistentClient && self.half_close {
                half_close(Some(self.remote));
            }
        }
        if let Some(cause) = self.up.lost_connection() {
            self.down.source_lost(cause);
        }
        self.idle.note(self.up.moves() + self.down.moves());
        // What a client's socket holds has an end, unlike standard input.
        let is_halved = matches!(self.down.fault(), Some(Fault::Write(_)))
            || matches!(self.up.fault(), Some(Fault::Read(_)));
        if is_halved && self.near == LocalEnd::Stdio && self.halved_until.is_none() {
            self.halved_until = Instant::now().checked_add(HALF_FAILED_GRACE);
        }
        Ok(true)
    }

    /// How long to wait: for ever, until the remote has closed and only the near end is left.
    fn patience(&self) -> Option<Duration> {
        let halved = self.halved_until.map(|end| end.saturating_duration_since(Instant::now()));
        let left = [halved, self.idle.left()].into_iter().flatten().min();
        if self.near != LocalEnd::Stdio || !self.down.is_over() {
            return left;
        }
        let patience = match (self.up.holds_data(), self.late) {
            (true, _) => DRAIN_STALL_TIMEOUT,
            (false, true) => LATE_INPUT_GRACE + sys::STDIN_SETTLE_TIME,
            (false, false) => sys::STDIN_SETTLE_TIME,
        };
        Some(left.map_or(patience, |left| left.min(patience)))
    }

    /// The remote has said all it had to say.
    fn remote_ended(&self) -> bool {
        self.down.source_ended() && self.down.fault().is_none()
    }

    /// Whether the near end and the remote are told of an error by a reset: a clean end would say that all has come.
    fn is_broken_off(&self, error: &Error) -> (bool, bool) {
        match (error, self.near) {
            // ssh leaves like that.
            (Error::ReaderGone, LocalEnd::Stdio) => (false, false),
            (_, LocalEnd::Stdio) => (false, true),
            (_, LocalEnd::Client) | (Error::Idle { .. } | Error::System { .. }, _) => (true, true),
            // The remote is for the next client, unless it is the one that broke.
            (error, LocalEnd::PersistentClient) => (matches!(error, Error::Remote { .. }), false),
        }
    }

    /// Gives what was written so long to arrive as it makes way, if there is somebody who takes it.
    fn reset(&self, channel: &Channel, has_left: bool) {
        let patience = self.idle.limit().map_or(DRAIN_STALL_TIMEOUT, |limit| limit.min(DRAIN_STALL_TIMEOUT));
        let (mut before, mut moved) = (usize::MAX, Instant::now());
        while let Some(left) = channel.undelivered().filter(|left| *left > 0 && !has_left) {
            if left < before {
                (before, moved) = (left, Instant::now());
            } else if moved.elapsed() >= patience {
                break;
            }
            std::thread::sleep(DRAIN_POLL_INTERVAL);
        }
        channel.reset_on_close();
    }

    fn verdict(&mut self, peer: &Peer) -> Result<(), Error> {
        let remote_ended = self.remote_ended();
        match self.down.take_fault() {
            Some(Fault::Read(cause)) => return Err(Error::Remote { peer: peer.clone(), cause }),
            Some(Fault::Write(cause)) => return Err(lost(cause)),
            None => {}
        }
        match self.up.take_fault() {
            Some(Fault::Read(cause)) => Err(Error::Input(cause)),
            Some(Fault::Write(cause)) if !left_unread(&cause, remote_ended) => {
                Err(Error::Remote { peer: peer.clone(), cause })
            }
            _ => Ok(()),
        }
    }
}

/// Tells the other end that there is no more. If it is gone already it need not be told.
fn half_close(channel: Option<&Channel>) {
    if let Some(Err(error)) = channel.map(Channel::shut_down_writing) {
        trace!("half-close: {error}");
    }
}

/// A remote that has said all it had to say may leave the rest unread. EPIPE says that it did.
fn left_unread(cause: &io::Error, remote_ended: bool) -> bool {
    match cause.kind() {
        io::ErrorKind::BrokenPipe => true,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => remote_ended,
        _ => false,
    }
}

/// What was to be delivered is lost: the reader has left, or else the output has failed.
fn lost(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::ReaderGone,
        _ => Error::Output(cause),
    }
}

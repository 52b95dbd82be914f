//! Carries bytes between the local side and the remote one until the session ends.
//!
//! - The end of the local input becomes a half-close; what the remote still sends is delivered.
//! - The end of the remote's output ends the session when it is delivered, although the local side may not have
//!   ended: ssh waits for that. What stands ready on the local side still goes out first; the first idle moment
//!   ends it.
//! - A reset is an end with an error: bytes may be missing.
//! - A local reader that went away ends it as well, within a second, and nobody is told.
//!
//! One side that is stuck never stops the other direction. Each direction holds at most 64 KiB in memory, or what a pipe
//! inside the kernel holds: 64 KiB, and up to 1 MiB where much is moved.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Error, Peer};
use crate::plan::Carry;
use crate::sys::{self, Channel, Ready, Watch};
use crate::trace::{self, trace};
pub use carrier::Pipes;
use flow::{Fault, Flow};

mod carrier;
mod flow;

/// Once the remote has closed, data from the local side is waited for so long, if some came since.
const IDLE: Duration = Duration::from_millis(50);
/// Once the remote has closed, it may so long refuse to take what it is sent.
const STALLED: Duration = Duration::from_secs(5);
/// While much comes down, its reader is not watched, since each time it reads would wake us up: that it has left shows
/// when we write. It is watched again after so long without anything.
const PAUSE: Duration = Duration::from_millis(50);
/// Once nobody reads what the remote sends, the local side may so long go on sending.
const UNREAD: Duration = Duration::from_secs(1);

/// Relays between standard input and output and `remote`, until the session ends.
///
/// # Errors
/// Either side broke; see the module.
pub fn relay_stdio(remote: &Channel, peer: &Peer, carry: Carry) -> Result<(), Error> {
    let system = |cause| Error::System { what: "use standard input and output", cause };
    let (input, output) = (Channel::stdin().map_err(system)?, Channel::stdout().map_err(system)?);
    let pipes = Pipes::default();
    let relay = Relay::new(input.as_ref(), output.as_ref(), remote, Near::Stdio);
    let ended = relay.carrying(carry, &pipes).run(peer);
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
    carry: Carry,
    pipes: &Pipes,
) -> Result<(), Error> {
    Relay::new(Some(client), Some(client), remote, Near::Client).carrying(carry, pipes).run(peer)
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
/// The remote broke.
pub fn relay_kept(client: &Channel, remote: &Channel, kept: &mut Kept, peer: &Peer) -> Result<(), Error> {
    let mut relay = Relay::new(Some(client), Some(client), remote, Near::KeptClient);
    relay.down.preload(std::mem::take(&mut kept.pending));
    relay.relay()?;
    kept.pending = relay.down.pending().to_vec();
    kept.remote_ended = relay.remote_ended();
    relay.verdict(peer)
}

/// What the near end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Near {
    /// Standard input and output: the remote's end ends it.
    Stdio,
    /// A socket: each direction ends on its own.
    Client,
    /// A socket whose end is not the session's.
    KeptClient,
}

/// Both directions of one session.
struct Relay<'a> {
    near: Near,
    output: Option<&'a Channel>,
    remote: &'a Channel,
    /// From the local side to the remote.
    up: Flow<'a>,
    /// From the remote to the local side.
    down: Flow<'a>,
    /// Bytes have gone up after the remote's end.
    late: bool,
    /// The local reader has left, and when it will be too late to go on for what is still to go up.
    unread_until: Option<Instant>,
}

impl<'a> Relay<'a> {
    fn new(input: Option<&'a Channel>, output: Option<&'a Channel>, remote: &'a Channel, near: Near) -> Self {
        let up = Flow::copied(">>>", input, Some(remote));
        let down = Flow::copied("<<<", Some(remote), output);
        Self { near, output, remote, up, down, late: false, unread_until: None }
    }

    /// Keeps the bytes inside the kernel, where that can be done and nobody wants to see them.
    fn carrying(mut self, carry: Carry, pipes: &'a Pipes) -> Self {
        if carry == Carry::Splice && !trace::shows_data() {
            (self.up, self.down) = (self.up.spliced(pipes), self.down.spliced(pipes));
            trace!("relaying: up {}, down {}", self.up.how(), self.down.how());
        }
        self
    }

    fn run(mut self, peer: &Peer) -> Result<(), Error> {
        self.relay()?;
        self.verdict(peer)
    }

    fn relay(&mut self) -> Result<(), Error> {
        let mut watches = Vec::with_capacity(3);
        if self.up.is_over() {
            half_close(Some(self.remote));
        }
        while !self.has_ended() {
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
        let too_late = self.unread_until.is_some_and(|end| end <= Instant::now());
        let (up, down) = (self.up.is_over(), self.down.is_over());
        match self.near {
            Near::Stdio => down && (up || broken || too_late),
            Near::Client => {
                down && (up || broken || too_late) || matches!(self.up.fault(), Some(Fault::Read(_)))
            }
            // What a client that has gone still had to say is said first.
            Near::KeptClient => up || down && !matches!(self.down.fault(), Some(Fault::Write(_))),
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
        let until_pause = Some(PAUSE).filter(|pause| rushing && patience.is_none_or(|all| *pause < all));
        if !sys::poll(watches, until_pause.or(patience))? {
            self.down.pause();
            return Ok(until_pause.is_some());
        }
        let ready =
            |index: Option<usize>| index.map_or_else(Ready::default, |index| Ready::of(&watches[index]));
        let (input, remote, output) = (ready(input), ready(remote), ready(output));

        let down_was_over = self.down.is_over();
        self.down.advance(remote.read, output.write || self.output.is_none());
        if output.gone && !self.down.is_over() {
            self.down.sink_gone(io::ErrorKind::BrokenPipe.into());
            // The rest of what a client's socket holds has an end, unlike standard input.
            self.unread_until = Instant::now().checked_add(UNREAD).filter(|_| self.near == Near::Stdio);
        }
        if self.down.is_over() && !down_was_over {
            if !matches!(self.down.fault(), Some(Fault::Write(_))) {
                trace!("connection closed by peer");
            }
            if self.near == Near::Client {
                half_close(self.output);
            }
        }

        let up_was_over = self.up.is_over();
        let moved = self.up.advance(input.read, remote.write);
        self.late |= moved && self.down.is_over();
        if self.up.is_over() && !up_was_over && self.up.fault().is_none() {
            trace!("local input is EOF");
            if self.near != Near::KeptClient {
                half_close(Some(self.remote));
            }
        }
        Ok(true)
    }

    /// How long to wait: for ever, until the remote has closed and only the near end is left.
    fn patience(&self) -> Option<Duration> {
        let left = self.unread_until.map(|end| end.saturating_duration_since(Instant::now()));
        if self.near != Near::Stdio || !self.down.is_over() {
            return left;
        }
        let patience = match (self.up.holds_data(), self.late) {
            (true, _) => STALLED,
            (false, true) => IDLE + sys::IN_TRANSIT,
            (false, false) => sys::IN_TRANSIT,
        };
        Some(left.map_or(patience, |left| left.min(patience)))
    }

    /// The remote has said all it had to say.
    fn remote_ended(&self) -> bool {
        self.down.source_ended() && self.down.fault().is_none()
    }

    fn verdict(self, peer: &Peer) -> Result<(), Error> {
        let remote_ended = self.remote_ended();
        match self.down.into_fault() {
            Some(Fault::Read(cause)) => return Err(Error::Remote { peer: peer.clone(), cause }),
            Some(Fault::Write(cause)) => return Err(lost(cause)),
            None => {}
        }
        match self.up.into_fault() {
            Some(Fault::Read(cause)) => Err(Error::Input(cause)),
            // A remote that has said all it had to say may leave the rest unread. EPIPE says that it did.
            Some(Fault::Write(cause)) if !remote_ended && cause.kind() != io::ErrorKind::BrokenPipe => {
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

/// What was to be delivered is lost: the reader has left, or else the output has failed.
fn lost(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::ReaderGone,
        _ => Error::Output(cause),
    }
}

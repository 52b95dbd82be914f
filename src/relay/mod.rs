//! Relays bytes between the local side and the remote until the session ends.
//!
//! - Local EOF becomes a half-close, unless `--no-shutdown` is given. The remote's answer is still
//!   delivered.
//! - The remote's EOF ends the session once everything it sent has been delivered, even if the
//!   local side is still open, as ssh expects. Local input that is already available is sent first;
//!   the first pause in it ends the session.
//! - A reset ends the session with an error, because data may be missing. The other side is reset,
//!   too.
//! - If the local reader goes away, the session ends quietly within a second.
//!
//! A stalled direction never blocks the other one. Each direction holds at most 64 KiB in memory. A
//! pipe in the kernel holds 64 KiB as well, and up to 1 MiB during bulk transfers.

use crate::error::{Error, Peer};
use crate::plan::{RelayMode, RelaySettings};
use crate::stream::{PollSet, Stream};
use crate::sys::Channel;
use local_end::LocalEnd;
pub use outcome::Ending;
use outcome::{Outcome, output_error};
pub use reactor::{OnEnd, Reactors, SessionHandle};
use session::Session;
use transfer::Pool;

mod drain;
mod flow;
mod idle;
mod local_end;
mod outcome;
mod reactor;
mod session;
mod transfer;

/// The part of a `-P` session that outlives its clients.
#[derive(Debug)]
pub struct KeptSession {
    /// The connection to the remote; `None` only while a client is being served.
    remote: Option<Box<dyn Stream>>,
    /// The other end of the connection.
    pub peer: Peer,
    /// Data from the remote that the last client did not receive.
    pending: Vec<u8>,
    /// The remote sent EOF, so no further client can be served.
    pub remote_ended: bool,
    /// The remote has sent data.
    pub has_received: bool,
}

/// Relays between standard input/output and `remote` until the session ends.
///
/// # Errors
/// Either side failed; see the [module](self).
pub fn relay_stdio(remote: Box<dyn Stream>, peer: Peer, settings: RelaySettings) -> Result<Ending, Error> {
    let system = |cause| Error::System { what: "use standard input and output", cause };
    let (input, output) = (Channel::stdin().map_err(system)?, Channel::stdout().map_err(system)?);
    let local = LocalEnd::Stdio { input, output };
    let Outcome { result, local, .. } = drive(Session::new(local, remote, peer, settings));
    if let Err(Error::Idle { .. }) = result {
        // Do not block on flushing stdout: its reader may have been stuck for the whole idle
        // timeout.
        return result;
    }
    let flushed = local.into_output().map_or(Ok(()), Channel::finish).map_err(output_error);
    result.and_then(|ending| flushed.map(|()| ending))
}

/// Relays between a client and `remote` until both have ended. A half-close by either side is
/// passed on.
///
/// # Errors
/// Either side failed; see the [module](self).
pub fn relay_client(
    client: Box<dyn Stream>,
    remote: Box<dyn Stream>,
    peer: Peer,
    settings: RelaySettings,
) -> Result<Ending, Error> {
    drive(Session::new(LocalEnd::Client(client), remote, peer, settings)).result
}

impl KeptSession {
    /// Keeps a connection to `peer`.
    #[must_use]
    pub fn new(remote: Box<dyn Stream>, peer: Peer) -> Self {
        Self { remote: Some(remote), peer, pending: Vec::new(), remote_ended: false, has_received: false }
    }

    /// Returns the connection.
    #[must_use]
    pub fn remote(&self) -> Option<&(dyn Stream + 'static)> {
        self.remote.as_deref()
    }

    /// Returns the connection.
    pub fn remote_mut(&mut self) -> Option<&mut (dyn Stream + 'static)> {
        self.remote.as_deref_mut()
    }

    /// Returns `true` if the last client did not receive all data. The next client must get it,
    /// even if the remote has closed.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns `true` if the remote has sent EOF.
    pub fn has_ended(&mut self) -> bool {
        let remote = self.remote.as_deref_mut().filter(|_| !self.remote_ended);
        self.remote_ended |= remote.is_some_and(|remote| matches!(remote.peek(&mut [0; 1]), Ok(0)));
        self.remote_ended
    }

    /// Resets the connection when it is dropped.
    pub fn reset(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.reset_on_close();
        }
    }

    /// Returns the connection.
    #[must_use]
    pub fn into_remote(self) -> Option<Box<dyn Stream>> {
        self.remote
    }

    /// Relays between a client and the remote until either side closes the connection. The client's
    /// EOF is not passed on, because the next client uses the same connection to the remote. Data
    /// that the client did not receive is kept.
    ///
    /// # Errors
    /// Either side failed, or the idle timeout expired.
    pub fn relay(&mut self, client: Box<dyn Stream>, settings: RelaySettings) -> Result<(), Error> {
        let Some(remote) = self.remote.take() else { return Ok(()) };
        // Do not use splice(2): data in a pipe could not be kept for the next client.
        let settings = RelaySettings { mode: RelayMode::Copy, ..settings };
        let local = LocalEnd::PersistentClient(client);
        let mut session = Session::new(local, remote, self.peer.clone(), settings);
        session.queue_for_client(std::mem::take(&mut self.pending));
        let ended = drive(session);
        (self.remote, self.pending) = (Some(ended.remote), ended.pending);
        self.remote_ended = ended.remote_ended;
        self.has_received |= ended.has_received;
        ended.result.map(drop)
    }
}

/// Runs a session to completion. All waiting happens here.
fn drive(mut session: Session) -> Outcome {
    let pool = Pool::default();
    while !session.is_closed() {
        let timeout = session.timeout();
        let mut polls = PollSet::with_capacity(3);
        session.register(&mut polls);
        match polls.wait(timeout) {
            Ok(Some(events)) => session.on_events(events, &pool),
            Ok(None) => session.on_timeout(),
            Err(cause) => session.fail(cause),
        }
    }
    session.into_outcome()
}

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

use std::thread;

use crate::error::{Error, Peer};
use crate::plan::{RelayMode, RelaySettings};
use crate::sys::{self, Channel, Ready, Watch};
pub use session::{Ending, KeptSession};
use session::{Interest, LocalEnd, Session, output_error};
pub use transfer::Pool;

mod drain;
mod flow;
mod idle;
mod session;
mod transfer;

/// Relays between standard input/output and `remote` until the session ends.
///
/// # Errors
/// Either side failed; see the [module](self).
pub fn relay_stdio(remote: &Channel, peer: &Peer, settings: RelaySettings) -> Result<Ending, Error> {
    let system = |cause| Error::System { what: "use standard input and output", cause };
    let (input, output) = (Channel::stdin().map_err(system)?, Channel::stdout().map_err(system)?);
    let pool = Pool::default();
    let ends = [input.as_ref(), output.as_ref()];
    let session = Session::new(LocalEnd::Stdio, ends, remote, peer, settings, &pool);
    let (result, _) = drive(session);
    if let Err(Error::Idle { .. }) = result {
        // Do not block on flushing stdout: its reader may have been stuck for the whole idle
        // timeout.
        return result;
    }
    let flushed = output.map_or(Ok(()), Channel::finish).map_err(output_error);
    result.and_then(|ending| flushed.map(|()| ending))
}

/// Relays between a client's socket and `remote` until both have ended. A half-close by either side
/// is passed on.
///
/// # Errors
/// Either side failed; see the [module](self).
pub fn relay_client(
    client: &Channel,
    remote: &Channel,
    peer: &Peer,
    settings: RelaySettings,
    pool: &Pool,
) -> Result<Ending, Error> {
    drive(Session::new(LocalEnd::Client, [Some(client); 2], remote, peer, settings, pool)).0
}

/// Relays between a client's socket and `remote` until either side closes the connection. The
/// client's EOF is not passed on, because the next client uses the same connection to the remote.
/// Data that the client did not receive stays in `kept`.
///
/// # Errors
/// Either side failed, or the idle timeout expired.
pub fn relay_kept(
    client: &Channel,
    remote: &Channel,
    kept: &mut KeptSession,
    peer: &Peer,
    settings: RelaySettings,
) -> Result<(), Error> {
    // Do not use splice(2): data in a pipe could not be kept for the next client.
    let settings = RelaySettings { mode: RelayMode::Copy, ..settings };
    let pool = Pool::default();
    let ends = [Some(client); 2];
    let mut session = Session::new(LocalEnd::PersistentClient, ends, remote, peer, settings, &pool);
    session.queue_for_client(std::mem::take(&mut kept.pending));
    let had_received = kept.has_received;
    let result;
    (result, *kept) = drive(session);
    kept.has_received |= had_received;
    result.map(drop)
}

/// Runs a session to completion. All waiting happens here.
fn drive(mut session: Session<'_>) -> (Result<Ending, Error>, KeptSession) {
    let mut watches: Vec<Watch<'_>> = Vec::with_capacity(3);
    while !session.is_closed() {
        watches.clear();
        let indices = session.interest().map(|interest| {
            interest.map(|Interest { channel, read, write }| {
                watches.push(sys::watch(channel, read, write));
                watches.len() - 1
            })
        });
        let timeout = session.timeout();
        // Windows cannot poll an empty set.
        if let (true, Some(timeout)) = (watches.is_empty(), timeout) {
            thread::sleep(timeout);
            session.on_timeout();
            continue;
        }
        match sys::poll(&mut watches, timeout) {
            Ok(true) => {
                let ready = |index: usize| Ready::from_watch(&watches[index]);
                session.on_ready(indices.map(|index| index.map(ready).unwrap_or_default()));
            }
            Ok(false) => session.on_timeout(),
            Err(cause) => session.fail(cause),
        }
    }
    session.into_result()
}

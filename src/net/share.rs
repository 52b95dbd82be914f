//! Opens a stream in a tunnel that other sessions use.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::deadline::Deadline;
use super::tunnel_pool::{Entry, Opening, TunnelPool};
use super::waiting::{Wait, WaitError};
use crate::error::{Error, Peer};
use crate::plan::{Hop, Limits, Multiplexer, Opened, Target};
use crate::proto;
use crate::stream::Stream;

/// The part of a session that needs a tunnel.
pub(super) enum Share<'a> {
    /// The session uses this stream of a tunnel.
    Stream(Box<dyn Stream>),
    /// The session connects through the hops. Others may wait for the result.
    Connect(Option<Opening<'a>>),
}

/// Opens a stream to `target` in a tunnel through these hops, the last of which is `peer`.
pub(super) fn enter<'a>(
    pool: &'a TunnelPool,
    path: &[Hop],
    peer: &Peer,
    target: &Target,
    deadline: &Deadline<'_>,
) -> Result<Share<'a>, Error> {
    let mut has_failed = false;
    loop {
        let wait = Wait::new(peer, "a tunnel that another client opens", deadline);
        let stream = match pool.enter(path, target, &wait)? {
            Entry::Open(stream) => stream,
            Entry::First(opening) => return Ok(Share::Connect(Some(opening))),
            Entry::Own => return Ok(Share::Connect(None)),
        };
        match wait_until_open(stream, peer, deadline) {
            // The tunnel may have been dead before this session used it.
            Err(Error::Lost { .. }) if !std::mem::replace(&mut has_failed, true) => {}
            result => return result.map(Share::Stream),
        }
    }
}

/// Opens the first stream of a new tunnel, which the other sessions may then use, too.
pub(super) fn publish(
    pool: &TunnelPool,
    opening: Option<Opening<'_>>,
    path: &[Hop],
    peer: &Peer,
    (tunnel, target): (Arc<dyn Multiplexer>, &Target),
    deadline: &Deadline<'_>,
) -> Result<Box<dyn Stream>, Error> {
    let opened = tunnel.open(target);
    match opening {
        Some(opening) => opening.opened(tunnel),
        None => pool.add(path, tunnel),
    }
    let failed = |cause| Error::System { what: "open a stream", cause };
    match opened.map_err(failed)? {
        Opened::Stream(stream) => wait_until_open(stream, peer, deadline),
        Opened::Full | Opened::Ended => Err(failed(io::ErrorKind::ConnectionAborted.into())),
    }
}

fn wait_until_open(
    stream: Box<dyn Stream>,
    peer: &Peer,
    deadline: &Deadline<'_>,
) -> Result<Box<dyn Stream>, Error> {
    let limit = deadline.or_resume(Limits::HANDSHAKE_TIMEOUT, Duration::ZERO);
    let wait = Wait::new(peer, "the opening of the channel", &limit);
    let mut connection = Connection::new(stream);
    match connection.send(&[], &wait) {
        Ok(()) => Ok(connection.into_stream()),
        Err(WaitError::Io(cause)) => Err(match cause.downcast::<proto::Error>() {
            Ok(cause) => Error::Negotiation { peer: peer.clone(), cause },
            Err(cause) => wait.error(WaitError::Io(cause)),
        }),
        Err(error) => Err(wait.error(error)),
    }
}

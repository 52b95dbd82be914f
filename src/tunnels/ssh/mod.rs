//! SSH connections that the sessions of a listener share: each session has a channel.
//!
//! One thread reads from all such connections, and wakes the reactor of a session when its channel
//! has an event. Writes take place in the session's own thread, unless the connection has no room.

use std::io;
use std::sync::Arc;

use crate::plan::{Multiplexer, Opened, Target};
use crate::proto::ssh::ChannelTarget;
use crate::ssh::connection::Connection;
use crate::stream::Stream;
use crate::tunnels::aborting;
use state::Shared;

mod driver;
mod slot;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod turns;

pub use state::Settings;
pub use stream::ChannelStream;

/// A connection that any number of streams share.
#[derive(Clone, Debug)]
pub struct SharedConnection(Arc<Shared>);

impl SharedConnection {
    /// Continues with a connection after the login, over the stream `below`.
    ///
    /// # Errors
    /// The thread could not be started, or descriptors are short.
    pub fn start(connection: Connection, below: Box<dyn Stream>, settings: Settings) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(connection, below, settings));
        aborting::register(Arc::<Shared>::downgrade(&shared));
        driver::drive(Arc::clone(&shared))?;
        Ok(Self(shared))
    }
}

impl Multiplexer for SharedConnection {
    fn open(&self, target: &Target) -> io::Result<Opened> {
        let target = channel_target(target).ok_or(io::ErrorKind::Unsupported)?;
        let mut state = self.0.lock();
        if state.has_failed() {
            return Ok(Opened::Ended);
        }
        Ok(match state.open(&target) {
            Some(channel) => Opened::Stream(Box::new(ChannelStream::new(Arc::clone(&self.0), channel))),
            None if state.has_failed() => Opened::Ended,
            None => Opened::Full,
        })
    }
}

/// Returns the target of a channel; `None` for a target that the server would have to select.
#[must_use]
pub fn channel_target(target: &Target) -> Option<ChannelTarget> {
    match target {
        Target::Tcp(endpoint) => Some(ChannelTarget::Tcp(endpoint.clone())),
        Target::Unix(path) => Some(ChannelTarget::Unix(path.clone())),
        Target::Queue(name) => Some(ChannelTarget::Queue(name.clone())),
        Target::AtServer(_) => None,
    }
}

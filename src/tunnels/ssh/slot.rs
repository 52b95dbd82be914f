//! One channel of a shared connection, as seen by its stream.

use std::sync::Arc;

use crate::proto::ssh::{ChannelTarget, Failure, Stage};
use crate::ssh::error::Error;
use crate::stream::{Interest, Waker};
use crate::sys::Channel;

/// The state of a channel besides its data.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) target: ChannelTarget,
    pub(super) phase: Phase,
    /// The waiting stream, and the events that it waits for.
    pub(super) waiter: Option<(Wake, Interest)>,
    pub(super) tail: Tail,
    /// EOF was sent.
    pub(super) is_ended: bool,
}

/// The progress of the request for a channel.
#[derive(Debug)]
pub(super) enum Phase {
    /// The server has not answered.
    Opening,
    /// The server has opened the channel, which the user of the stream does not know yet.
    Confirmed,
    Open,
    Refused(Error),
}

/// The place of the last bytes of a channel in the output of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// After this many bytes of output.
    At(u64),
    /// After the key exchange.
    AfterExchange,
}

/// Wakes the driver of a stream.
#[derive(Debug)]
pub(super) enum Wake {
    /// A session of a reactor.
    Task(Waker),
    /// A thread that polls the other end of this socket pair.
    Pair(Arc<Channel>),
}

impl Wake {
    fn wake(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            // If there is no room, the other end is already readable.
            Self::Pair(channel) => drop(channel.write(&[0])),
        }
    }
}

impl Slot {
    pub(super) fn new(target: ChannelTarget) -> Self {
        Self { target, phase: Phase::Opening, waiter: None, tail: Tail::At(0), is_ended: false }
    }

    /// Wakes the stream if it waits.
    pub(super) fn wake(&mut self) {
        if let Some((wake, _)) = self.waiter.take() {
            wake.wake();
        }
    }

    /// Returns the failure to open the channel.
    pub(super) fn failure(&self, cause: Error) -> Failure {
        Failure {
            cause,
            stage: Stage::Channel,
            user: Box::default(),
            target: self.target.to_string().into(),
            unusable: Vec::new(),
        }
    }
}

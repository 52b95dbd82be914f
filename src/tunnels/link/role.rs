//! The part of an end of a link that depends on its role.

use std::sync::Arc;
use std::time::Duration;

use super::mailbox::Mailbox;
use super::pipe::PipeEnd;
use super::state::StreamState;
use crate::proto::link::{Cause, StreamId};
use crate::proto::post::Reset;

/// The part of an end of a link that depends on its role.
pub trait Role: Send {
    /// Starts to open a pipe that continues the link, after a delay. The result is
    /// `Message::Dialled`. An origin does nothing.
    fn dial(&mut self, _delay: Duration) {}

    /// Handles the loss of the pipe. Returns the cause if the link cannot be resumed.
    fn pipe_lost(&mut self, end: &PipeEnd) -> Option<Cause>;

    /// Handles a pipe that works. An origin has no use for it.
    fn established(&mut self) {}

    /// Starts to connect to the target of a stream. The result is `Message::Connected`.
    fn opened(&mut self, _stream: StreamId, _target: &str) {}

    /// Handles a stream of a user, which was opened if it has a number.
    fn added(&mut self, _state: Arc<StreamState>, _stream: Option<StreamId>) {}

    /// Handles the end of a stream: a RESET of the peer, or `None` if it is complete or was reset
    /// by this end.
    fn stream_ended(&mut self, stream: StreamId, reset: Option<&Reset>);

    /// Called when the pipe has accepted everything.
    fn flushed(&mut self) {}

    /// Returns how long a link without streams continues; `None` forever.
    fn linger(&self) -> Option<Duration> {
        None
    }

    /// Refuses further streams from now on. Returns `false` if a user has just opened one.
    fn refuse_streams(&mut self, _mailbox: &Mailbox) -> bool {
        true
    }

    /// Returns how long to wait for [`on_time`](Self::on_time); `None` forever.
    fn time_left(&self) -> Option<Duration> {
        None
    }

    /// Does what is due at the end of the [time left](Self::time_left).
    fn on_time(&mut self) {}

    /// Handles the end of the link: its failure, or `None` after a normal end. Called once.
    fn ended(&mut self, cause: Option<&Cause>);
}

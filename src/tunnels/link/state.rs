//! The state of a stream that its user shares with the thread of the link.

use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::proto::link::{Failure, StreamId};
use crate::sys::{self, Channel};
use crate::tunnels::aborting::Aborting;

/// The state that the stream of a dest shares with the thread of the link.
#[derive(Debug, Default)]
pub struct StreamState {
    /// The number of the stream, once it is open.
    id: OnceLock<StreamId>,
    outcome: Mutex<Outcome>,
}

#[derive(Debug, Default)]
struct Outcome {
    failure: Option<Failure>,
    is_over: bool,
    /// Closed once the stream is over.
    end_signal: Option<Channel>,
    /// Exists from an abort until the origin knows.
    aborting: Option<Aborting>,
}

impl StreamState {
    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn id(&self) -> Option<StreamId> {
        self.id.get().copied()
    }

    pub(super) fn set_id(&self, id: StreamId) {
        // A stream is opened once.
        let _ = self.id.set(id);
    }

    /// Records the error that the user gets instead of EOF. The first one counts.
    pub(super) fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
    }

    /// Records that the origin has everything, or will not get more.
    pub(super) fn finish(&self) {
        let mut outcome = self.lock();
        outcome.is_over = true;
        outcome.end_signal = None;
        outcome.aborting = None;
    }

    /// Records that nobody uses the stream anymore. Returns `false` if it is over.
    pub(super) fn abort(&self) -> bool {
        let mut outcome = self.lock();
        if !outcome.is_over {
            outcome.aborting.get_or_insert_with(Aborting::new);
        }
        !outcome.is_over
    }

    /// Returns a channel that becomes readable once the stream is over; `None` if it is.
    ///
    /// # Errors
    /// Descriptors are short.
    pub(super) fn await_end(&self) -> io::Result<Option<Channel>> {
        let mut outcome = self.lock();
        if outcome.is_over {
            return Ok(None);
        }
        let (end, signal) = sys::channel_pair()?;
        outcome.end_signal = Some(signal);
        Ok(Some(end))
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Returns the error that replaces EOF; `None` if the EOF is real.
    pub(super) fn error(&self) -> Option<io::Error> {
        self.lock().failure.clone().map(io::Error::other)
    }
}

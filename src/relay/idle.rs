//! How long a session may move nothing.

use std::time::{Duration, Instant};

/// A limit, and what it counts from.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Option<Duration>,
    since: Instant,
    /// How often bytes had moved by then.
    moves: u64,
}

impl Idle {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: Instant::now(), moves: 0 }
    }

    /// So often have bytes moved so far. Looks at the clock only for who has a limit.
    pub(super) fn note(&mut self, moves: u64) {
        if self.limit.is_some() && moves != self.moves {
            (self.since, self.moves) = (Instant::now(), moves);
        }
    }

    /// How long it may still last.
    pub(super) fn left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.since.elapsed()))
    }

    /// The limit, if it has passed.
    pub(super) fn has_passed(&self) -> Option<Duration> {
        self.limit.filter(|_| self.left() == Some(Duration::ZERO))
    }

    pub(super) fn limit(&self) -> Option<Duration> {
        self.limit
    }
}

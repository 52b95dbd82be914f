//! The state of one stream.

use std::collections::VecDeque;
use std::time::Duration;

use super::window::ReceiveWindow;
use crate::proto::post::Reset;

/// One stream of a link. Owns memory only for data that the local side has not accepted.
#[derive(Debug)]
pub(super) struct Stream {
    /// Our WINDOW frames are allowed, because the target is connected.
    pub(super) is_connected: bool,
    pub(super) window: ReceiveWindow,
    /// Incoming data that the local side has not accepted.
    pub(super) unread: VecDeque<u8>,
    /// The peer has sent EOF.
    pub(super) has_ended: bool,
    /// The DATA bytes sent.
    pub(super) sent: u64,
    /// The DATA bytes that may be sent in all.
    pub(super) limit: u64,
    pub(super) output: Output,
    pub(super) due: Due,
    pub(super) input: Input,
}

/// The state of the local side's data for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// There is none, or the stream has its turn.
    Idle,
    /// The data waits for OPEN or WINDOW.
    Blocked,
    /// The stream waits for its turn.
    Queued,
}

/// The state of the outgoing direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Open,
    /// EOF has to be sent.
    Ending,
    Ended,
}

/// The frames that wait for space in the outbox.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The stream is in the queue for these frames.
    pub(super) is_queued: bool,
    /// OPEN, with this target.
    pub(super) open: Option<Box<str>>,
    pub(super) window: bool,
    /// RESET, which replaces all other frames. The stream is closed.
    pub(super) reset: Option<Box<Reset>>,
}

impl Stream {
    /// Creates a stream that may send `limit` bytes.
    pub(super) fn new(limit: u32, max_window: u32, now: Duration) -> Self {
        Self {
            is_connected: false,
            window: ReceiveWindow::new(max_window, now),
            unread: VecDeque::new(),
            has_ended: false,
            sent: 0,
            limit: limit.into(),
            output: Output::Open,
            due: Due::default(),
            input: Input::Idle,
        }
    }

    /// Returns `true` until the stream is reset.
    pub(super) fn is_live(&self) -> bool {
        self.due.reset.is_none()
    }

    /// Returns `true` if the peer has received and sent everything, so that a pipe is not needed.
    pub(super) fn is_complete(&self) -> bool {
        self.has_ended && self.output == Output::Ended
    }

    /// Returns `true` if the stream can be forgotten.
    pub(super) fn is_closed(&self) -> bool {
        self.is_live() && self.is_complete() && self.unread.is_empty()
    }

    /// Returns the DATA bytes that may be sent now.
    pub(super) fn send_window(&self) -> usize {
        if self.output != Output::Open || !self.is_live() {
            return 0;
        }
        usize::try_from(self.limit.saturating_sub(self.sent)).unwrap_or(usize::MAX)
    }

    /// Returns incoming data that has not been accepted.
    pub(super) fn unread(&self) -> &[u8] {
        let (first, _) = self.unread.as_slices();
        first
    }

    /// Removes the first `count` bytes of the unread data.
    pub(super) fn remove_unread(&mut self, count: usize) {
        self.unread.drain(..count.min(self.unread.len()));
        if self.unread.is_empty() {
            self.unread = VecDeque::new();
        }
    }
}

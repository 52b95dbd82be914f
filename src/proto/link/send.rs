//! The frames to the peer: turns of the streams for DATA, and frames that do not wait for DATA.

use std::time::Duration;

use super::frame::{
    HEADER, Kind, MAX_OPEN, MAX_PAYLOAD, MAX_RESET, MAX_TARGET, StreamId, open_payload, reset_payload,
};
use super::machine::{Link, Pipe, Role};
use super::stream::{Input, Output, Stream};
use super::window::MIN_WINDOW;
use crate::proto::post::Reset;

/// The bytes that a stream sends in one turn, if other streams are waiting.
pub const TURN: usize = 16 * 1024;

/// Maximum number of bytes in frames that the pipe has not accepted. More are added by frames that
/// do not wait for DATA, and on a pipe that resumes the link.
const MAX_UNSENT: usize = 64 * 1024;

/// The part of the limit of unacknowledged bytes that DATA does not use.
const RESERVE: usize = 16 * 1024;

/// The highest number of a stream.
const MAX_STREAM: u32 = 0xff_ffff;

/// A stream that may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The stream.
    pub stream: StreamId,
    /// The number of bytes that it may send.
    pub room: usize,
}

impl Link {
    /// Opens a stream. Data may be sent at once. Returns `None` if the target is longer than
    /// 512 bytes, or the link accepts no more streams: the next one needs a new link.
    pub fn open(&mut self, target: &str, now: Duration) -> Option<StreamId> {
        let number = if self.last_opened == 0 { 1 } else { self.last_opened + 2 };
        let has_ended = self.role == Role::Origin || self.pipe == Pipe::Ended;
        if self.is_leaving() || has_ended || number > MAX_STREAM || target.len() > MAX_TARGET {
            return None;
        }
        let mut stream = Stream::new(MIN_WINDOW, self.settings.window, now);
        stream.due.open = Some(target.into());
        self.streams.insert(number, stream);
        self.last_opened = number;
        self.set_due(StreamId(number));
        Some(StreamId(number))
    }

    /// Reports that the origin is connected to the target of this stream.
    pub fn connected(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id.0).filter(|stream| stream.is_live()) else { return };
        stream.is_connected = true;
        // The dest takes the first WINDOW as the answer, even after EOF.
        stream.due.window = true;
        self.set_due(id);
    }

    /// Sends EOF after all data of this stream.
    pub fn finish(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id.0).filter(|stream| stream.is_live()) else { return };
        if stream.output == Output::Open {
            stream.output = Output::Ending;
            self.set_due(id);
        }
    }

    /// Resets a stream, and drops its unread data.
    pub fn reset(&mut self, id: StreamId, reset: Reset) {
        let Some(stream) = self.streams.get_mut(&id.0).filter(|stream| stream.is_live()) else { return };
        if self.pipe == Pipe::Ended || stream.due.open.is_some() {
            // The peer does not know the stream, or will not hear of it.
            self.streams.remove(&id.0);
            return;
        }
        stream.unread = std::collections::VecDeque::new();
        stream.due.reset = Some(Box::new(reset));
        self.set_due(id);
    }

    /// Records that the local side of this stream has data.
    pub fn set_ready(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id.0) else { return };
        if stream.input == Input::Queued {
            return;
        }
        if stream.due.open.is_some() || stream.send_window() == 0 {
            stream.input = Input::Blocked;
        } else {
            stream.input = Input::Queued;
            self.turns.push_back(id.0);
        }
    }

    /// Returns the stream that may send next. It has no further turn until
    /// [`set_ready`](Self::set_ready). Returns `None` if the pipe has to accept bytes first, or no
    /// stream is ready.
    pub fn next_turn(&mut self) -> Option<Turn> {
        self.append_due();
        while let Some(&number) = self.turns.front() {
            let room = self.data_room();
            if room == 0 {
                return None;
            }
            self.turns.pop_front();
            let max = if self.turns.is_empty() { MAX_PAYLOAD } else { TURN };
            let Some(stream) = self.streams.get_mut(&number) else { continue };
            let room = room.min(max).min(stream.send_window());
            stream.input = if room > 0 { Input::Idle } else { Input::Blocked };
            if room > 0 {
                return Some(Turn { stream: StreamId(number), room });
            }
        }
        None
    }

    /// Sends data of a stream. Returns the number of bytes accepted, which is at least that of its
    /// turn. Zero means that the stream has to wait for its turn.
    pub fn send(&mut self, id: StreamId, bytes: &[u8]) -> usize {
        let room = self.data_room();
        let Some(stream) = self.streams.get_mut(&id.0) else { return 0 };
        if stream.due.open.is_some() {
            return 0;
        }
        let count = bytes.len().min(room).min(MAX_PAYLOAD).min(stream.send_window());
        if count > 0 {
            stream.sent += count as u64;
            self.outbox.append(Kind::Data, id.0, &bytes[..count]);
        }
        count
    }

    /// Returns bytes for the pipe.
    pub fn pending(&mut self, now: Duration) -> &[u8] {
        self.append_due();
        if self.pipe == Pipe::Running && self.outbox.takes_uncounted() {
            self.append_uncounted(now);
        }
        let has_uncounted = self.pong.is_some()
            || self.round_trip.needs_ping()
            || self.ack.due_at().is_some_and(|due_at| due_at <= now);
        self.outbox.pending(has_uncounted && self.pipe == Pipe::Running)
    }

    /// Removes the first `count` bytes of [`pending`](Self::pending), which the pipe has accepted.
    pub fn written(&mut self, count: usize) {
        self.outbox.written(count);
    }

    fn append_uncounted(&mut self, now: Duration) {
        let received = self.decoder.received();
        if self.ack.take(received, now) {
            self.outbox.append_uncounted(Kind::Ack, received.to_be_bytes());
        }
        if let Some(payload) = self.pong.take() {
            self.outbox.append_uncounted(Kind::Pong, payload);
        }
        if let Some(payload) = self.round_trip.take_ping(now) {
            self.outbox.append_uncounted(Kind::Ping, payload);
        }
    }

    pub(super) fn set_due(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id.0) else { return };
        if !std::mem::replace(&mut stream.due.is_queued, true) {
            self.due.push_back(id.0);
        }
    }

    /// Appends the frames that do not wait for DATA.
    fn append_due(&mut self) {
        if self.pipe == Pipe::Ended {
            return;
        }
        while let Some(&number) = self.due.front() {
            if self.room() < MAX_OPEN + MAX_RESET {
                return;
            }
            self.due.pop_front();
            self.append_stream_frames(number);
        }
        self.append_go_away();
    }

    fn append_stream_frames(&mut self, number: u32) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        stream.due.is_queued = false;
        if let Some(reset) = stream.due.reset.take() {
            self.streams.remove(&number);
            return self.outbox.append(Kind::Reset, number, &reset_payload(&reset));
        }
        if let Some(target) = stream.due.open.take() {
            self.outbox.append(Kind::Open, number, &open_payload(MIN_WINDOW, &target));
        }
        if std::mem::take(&mut stream.due.window) {
            let limit = stream.window.announce();
            self.outbox.append(Kind::Window, number, &limit.to_be_bytes());
        }
        if stream.output == Output::Ending {
            stream.output = Output::Ended;
            self.outbox.append(Kind::Eof, number, &[]);
        }
        if stream.input == Input::Blocked {
            self.set_ready(StreamId(number));
        }
        self.forget_if_closed(StreamId(number));
    }

    fn append_go_away(&mut self) {
        if self.go_away.is_received && self.role == Role::Dest && self.streams.is_empty() {
            self.go_away();
        }
        if self.room() >= MAX_RESET
            && let Some(reset) = self.go_away.due.take()
        {
            self.go_away.is_sent = true;
            self.outbox.append(Kind::GoAway, 0, &reset_payload(&reset));
        }
    }

    /// Returns the bytes that counted frames may have.
    fn room(&self) -> usize {
        self.max_unacknowledged.saturating_sub(self.outbox.unacknowledged())
    }

    /// Returns the payload that a DATA frame may have.
    fn data_room(&self) -> usize {
        if self.pipe == Pipe::Ended {
            return 0;
        }
        let unacknowledged = self.room().saturating_sub(RESERVE + HEADER);
        unacknowledged.min(MAX_UNSENT.saturating_sub(self.outbox.unsent()))
    }
}

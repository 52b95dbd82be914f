//! The frames from the peer, and what the local sides read.

use std::time::Duration;

use super::decoder::Frame;
use super::frame::StreamId;
use super::machine::{Link, Pipe, Role};
use super::stream::{Input, Stream};
use super::violation::Violation;
use crate::proto::post::{Reset, ResetCode};

/// A result of received bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The origin's HELLO arrived: this pipe works.
    Established,
    /// The dest has opened a stream. The driver connects to the target, and then calls
    /// [`Link::connected`], or [`Link::reset`].
    Opened(StreamId, String),
    /// The origin has connected to its target.
    Connected(StreamId),
    /// Data for the local side. The driver must report with [`Link::accepted`] how much of it the
    /// local side has accepted.
    Data(StreamId, &'a [u8]),
    /// The peer's EOF: no data follows what is [unread](Link::unread).
    Eof(StreamId),
    /// The peer has reset the stream, which is gone. The vector has the data that was unread.
    Reset(StreamId, Reset, Vec<u8>),
    /// The peer accepts no new streams.
    GoAway(Reset),
    /// The peer has ended the link.
    Ended(Reset),
}

impl Link {
    /// Parses bytes from the pipe, and removes them from `input`. Returns `None` if all of the
    /// input has been consumed.
    ///
    /// # Errors
    /// The peer violated the protocol. The link has ended: the driver writes the rest of
    /// [`pending`](Self::pending), and closes the pipe with code 1002.
    pub fn receive<'a>(
        &mut self,
        input: &mut &'a [u8],
        now: Duration,
    ) -> Result<Option<Event<'a>>, Violation> {
        while !matches!(self.pipe, Pipe::None | Pipe::Ended) {
            let event = self.next_frame(input, now);
            if let Err(violation) = &event {
                let text = violation.to_string();
                self.end(Some(&Reset { code: ResetCode::Protocol, text }));
            }
            match event? {
                Received::Event(event) => return Ok(Some(event)),
                Received::Nothing => {}
                Received::End => return Ok(None),
            }
        }
        *input = &[];
        Ok(None)
    }

    fn next_frame<'a>(&mut self, input: &mut &'a [u8], now: Duration) -> Result<Received<'a>, Violation> {
        let Some(frame) = self.decoder.next(input)? else {
            self.ack.received(self.decoder.received(), false, now);
            return Ok(Received::End);
        };
        let is_urgent = matches!(frame, Frame::Eof(_) | Frame::Reset(..) | Frame::GoAway(_));
        self.ack.received(self.decoder.received(), is_urgent, now);
        let event = self.handle(frame, now)?;
        Ok(event.map_or(Received::Nothing, Received::Event))
    }

    fn handle<'a>(&mut self, frame: Frame<'a>, now: Duration) -> Result<Option<Event<'a>>, Violation> {
        match frame {
            Frame::Hello(hello) => {
                self.greet(&hello)?;
                return Ok(Some(Event::Established));
            }
            Frame::Open { stream, window, target } => return self.opened(stream, window, target, now),
            Frame::DataStart { stream, length } => self.check_data(stream, length)?,
            Frame::Data(stream, bytes) => return Ok(self.data(stream, bytes, now)),
            Frame::Window(stream, limit) => return self.window(stream, limit),
            Frame::Eof(stream) => return self.eof(stream),
            Frame::Reset(stream, reset) => return self.peer_reset(stream, reset),
            Frame::ResetLink(reset) => {
                self.end(None);
                return Ok(Some(Event::Ended(reset)));
            }
            Frame::Ack(received) => {
                if !self.outbox.acknowledge(received) {
                    return Err(Violation::Acknowledgement);
                }
            }
            Frame::Ping(payload) => self.pong = Some(payload),
            Frame::Pong(payload) => self.round_trip.pong(payload, now),
            Frame::GoAway(reset) => {
                self.go_away.is_received = true;
                return Ok(Some(Event::GoAway(reset)));
            }
        }
        Ok(None)
    }

    fn opened<'a>(
        &mut self,
        stream: StreamId,
        window: u32,
        target: String,
        now: Duration,
    ) -> Result<Option<Event<'a>>, Violation> {
        let is_valid = stream.0 % 2 == 1 && stream.0 > self.last_opened;
        if self.role == Role::Dest || !is_valid || self.go_away.is_received {
            return Err(Violation::Open);
        }
        if self.streams.len() >= self.settings.max_streams.saturating_mul(2) {
            return Err(Violation::TooManyStreams);
        }
        self.last_opened = stream.0;
        let is_refused = self.streams.len() >= self.settings.max_streams;
        self.streams.insert(stream.0, Stream::new(window, self.settings.window, now));
        if self.go_away.is_sent || self.go_away.due.is_some() {
            self.reset(stream, Reset::new(ResetCode::GoingAway));
        } else if is_refused {
            self.reset(stream, Reset::new(ResetCode::TooMany));
        } else {
            return Ok(Some(Event::Opened(stream, target)));
        }
        Ok(None)
    }

    /// Returns a stream, or `None` if it is closed.
    fn live(&mut self, stream: StreamId) -> Result<Option<&mut Stream>, Violation> {
        if stream.0 > self.last_opened || stream.0.is_multiple_of(2) {
            return Err(Violation::UnknownStream);
        }
        Ok(self.streams.get_mut(&stream.0).filter(|stream| stream.is_live()))
    }

    fn check_data(&mut self, stream: StreamId, length: usize) -> Result<(), Violation> {
        match self.live(stream)? {
            Some(stream) if stream.has_ended => Err(Violation::AfterEof),
            Some(stream) if !stream.window.allows(length) => Err(Violation::Window),
            _ => Ok(()),
        }
    }

    fn data<'a>(&mut self, id: StreamId, bytes: &'a [u8], now: Duration) -> Option<Event<'a>> {
        self.round_trip.flow(now);
        let stream = self.live(id).ok().flatten()?;
        stream.window.receive(bytes.len());
        if stream.unread.is_empty() {
            return Some(Event::Data(id, bytes));
        }
        stream.unread.extend(bytes);
        None
    }

    fn window<'a>(&mut self, id: StreamId, limit: u64) -> Result<Option<Event<'a>>, Violation> {
        let is_dest = self.role == Role::Dest;
        let Some(stream) = self.live(id)? else { return Ok(None) };
        stream.limit = stream.limit.max(limit);
        let is_first = is_dest && !stream.is_connected;
        stream.is_connected = true;
        if stream.input == Input::Blocked {
            self.set_ready(id);
        }
        Ok(is_first.then_some(Event::Connected(id)))
    }

    fn eof<'a>(&mut self, id: StreamId) -> Result<Option<Event<'a>>, Violation> {
        let Some(stream) = self.live(id)? else { return Ok(None) };
        if std::mem::replace(&mut stream.has_ended, true) {
            return Err(Violation::AfterEof);
        }
        self.forget_if_closed(id);
        Ok(Some(Event::Eof(id)))
    }

    fn peer_reset<'a>(&mut self, id: StreamId, reset: Reset) -> Result<Option<Event<'a>>, Violation> {
        let is_live = self.live(id)?.is_some();
        let stream = self.streams.remove(&id.0).filter(|_| is_live);
        Ok(stream.map(|stream| Event::Reset(id, reset, stream.unread.into())))
    }

    /// Reports that the local side has accepted the first `count` bytes of [`Event::Data`]. The
    /// rest is kept, and can be read with [`unread`](Self::unread).
    pub fn accepted(&mut self, id: StreamId, bytes: &[u8], count: usize, now: Duration) {
        let Ok(Some(stream)) = self.live(id) else { return };
        stream.unread.extend(bytes.get(count..).unwrap_or_default());
        self.consume(id, count, now);
    }

    /// Returns data for the local side of a stream, which has not accepted it yet. More may follow
    /// after [`read`](Self::read).
    #[must_use]
    pub fn unread(&self, id: StreamId) -> &[u8] {
        self.streams.get(&id.0).map_or(&[], Stream::unread)
    }

    /// Reports that the local side has accepted the first `count` bytes of
    /// [`unread`](Self::unread).
    pub fn read(&mut self, id: StreamId, count: usize, now: Duration) {
        let Ok(Some(stream)) = self.live(id) else { return };
        let count = count.min(stream.unread.len());
        stream.remove_unread(count);
        self.consume(id, count, now);
    }

    fn consume(&mut self, id: StreamId, count: usize, now: Duration) {
        let round_trip = self.round_trip.latest();
        let Ok(Some(stream)) = self.live(id) else { return };
        stream.window.consume(count, now, round_trip);
        if !stream.has_ended && stream.is_connected && stream.window.needs_update() {
            stream.due.window = true;
            self.set_due(id);
        }
        self.forget_if_closed(id);
    }

    /// Returns `true` while the stream is not closed in both directions, or has unread data.
    #[must_use]
    pub fn has_stream(&self, id: StreamId) -> bool {
        self.streams.get(&id.0).is_some_and(Stream::is_live)
    }

    /// Returns `true` if the peer has sent EOF. Data may be [unread](Self::unread).
    #[must_use]
    pub fn has_peer_ended(&self, id: StreamId) -> bool {
        self.streams.get(&id.0).is_some_and(|stream| stream.has_ended)
    }

    pub(super) fn forget_if_closed(&mut self, id: StreamId) {
        if self.streams.get(&id.0).is_some_and(Stream::is_closed) {
            self.streams.remove(&id.0);
        }
    }
}

/// The result of parsing the next bytes.
enum Received<'a> {
    Event(Event<'a>),
    /// A frame without an event.
    Nothing,
    /// The input is consumed.
    End,
}

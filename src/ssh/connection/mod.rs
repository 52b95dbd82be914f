//! The connection protocol (RFC 4254): channels over one transport, for client and server.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::error::Error;
use super::message;
use super::reason;
use super::transport::{self, Transport};
use super::wire::Write;
use channel::Channel;

mod channel;
mod receive;
#[cfg(test)]
mod tests;

pub use channel::{MAX_DATA, Source};

/// The most channels of a connection, those that are being opened included.
pub const MAX_CHANNELS: usize = 64;

/// The window of a channel while few are open.
const LARGE_WINDOW: u32 = 2 * 1024 * 1024;

/// The window that each of [`MAX_CHANNELS`] channels has at least.
const SMALL_WINDOW: u32 = 128 * 1024;

/// The most bytes that the peer may send before they are read, over all channels.
const BUDGET: u32 = 32 * 1024 * 1024;

/// Data is accepted while fewer bytes than this wait to be sent.
const MAX_OUTPUT: usize = 256 * 1024;

/// A channel of a connection. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(u32);

/// Something that concerns the connection, or a channel besides its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has opened the channel that this side asked for.
    Opened(ChannelId),
    /// The peer has refused to open a channel, with a reason (RFC 4254 §5.1) and a text. The
    /// channel is gone.
    Refused(ChannelId, u32, String),
    /// The peer asks for a channel of this type, with data that depend on the type. Answer with
    /// [`Connection::accept`] or [`Connection::refuse`].
    Asked(ChannelId, String, Vec<u8>),
    /// The peer has sent a request for a channel: its name and its data. If the flag is set, answer
    /// with [`Connection::answer`].
    Request(ChannelId, String, bool, Vec<u8>),
    /// The peer has answered the oldest unanswered request for a channel.
    Answer(ChannelId, bool),
    /// The peer has sent a request for the connection. If the flag is set, answer with
    /// [`Connection::answer_global`].
    GlobalRequest(String, bool, Vec<u8>),
    /// The peer has answered the oldest unanswered request for the connection: its data, or `None`
    /// for a failure.
    GlobalAnswer(Option<Vec<u8>>),
}

/// The channels of a connection, after authentication.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    channels: BTreeMap<u32, Channel>,
    next_id: u32,
    events: VecDeque<Event>,
    /// The error that has ended the connection.
    fault: Option<Error>,
}

impl Connection {
    /// Continues after authentication.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport, channels: BTreeMap::new(), next_id: 0, events: VecDeque::new(), fault: None }
    }

    /// Returns the transport below.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Removes the first `count` bytes of the transport's output, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.transport.sent(count);
    }

    /// Returns the error that has ended the connection. What arrived before it can still be read.
    #[must_use]
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Exchanges keys again if it is time. `now` is the time since the connection was opened.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn on_time(&mut self, now: Duration) -> Result<(), Error> {
        self.transport.rekey_if_due(now)
    }

    /// Asks the peer to open a channel. `data` depends on the type. Returns `None` if there are
    /// [`MAX_CHANNELS`] already.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn open(&mut self, kind: &str, data: &[u8]) -> Result<Option<ChannelId>, Error> {
        if self.channels.len() >= MAX_CHANNELS {
            return Ok(None);
        }
        let (id, channel) = self.add(Channel::opening(self.window()));
        let mut open = vec![message::CHANNEL_OPEN];
        open.put_string(kind).put_u32(id.0).put_u32(channel).put_u32(MAX_DATA).put(data);
        self.transport.send(&[&open])?;
        Ok(Some(id))
    }

    /// Opens a channel that the peer has asked for.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn accept(&mut self, id: ChannelId) -> Result<(), Error> {
        let Some(channel) = self.channels.get_mut(&id.0) else { return Ok(()) };
        let mut answer = vec![message::CHANNEL_OPEN_CONFIRMATION];
        answer.put_u32(channel.accept()).put_u32(id.0).put_u32(channel.window()).put_u32(MAX_DATA);
        self.transport.send(&[&answer])
    }

    /// Refuses to open a channel that the peer has asked for.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn refuse(&mut self, id: ChannelId, reason: u32, text: &str) -> Result<(), Error> {
        let Some(channel) = self.channels.remove(&id.0) else { return Ok(()) };
        let mut answer = vec![message::CHANNEL_OPEN_FAILURE];
        answer.put_u32(channel.peer()).put_u32(reason).put_string(text).put_string("");
        self.transport.send(&[&answer])
    }

    /// Sends a request for a channel.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn request(
        &mut self,
        id: ChannelId,
        name: &str,
        wants_answer: bool,
        data: &[u8],
    ) -> Result<(), Error> {
        let Some(channel) = self.channels.get(&id.0).filter(|channel| channel.is_open()) else {
            return Ok(());
        };
        let mut request = vec![message::CHANNEL_REQUEST];
        request.put_u32(channel.peer()).put_string(name).put_bool(wants_answer).put(data);
        self.transport.send(&[&request])
    }

    /// Answers the oldest unanswered request for a channel.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn answer(&mut self, id: ChannelId, success: bool) -> Result<(), Error> {
        let Some(channel) = self.channels.get(&id.0).filter(|channel| channel.is_open()) else {
            return Ok(());
        };
        let number = if success { message::CHANNEL_SUCCESS } else { message::CHANNEL_FAILURE };
        let mut answer = vec![number];
        answer.put_u32(channel.peer());
        self.transport.send(&[&answer])
    }

    /// Sends a request for the connection.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn global_request(&mut self, name: &str, wants_answer: bool, data: &[u8]) -> Result<(), Error> {
        let mut request = vec![message::GLOBAL_REQUEST];
        request.put_string(name).put_bool(wants_answer).put(data);
        self.transport.send(&[&request])
    }

    /// Answers the oldest unanswered request for the connection: with data, or `None` for a
    /// failure.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn answer_global(&mut self, data: Option<&[u8]>) -> Result<(), Error> {
        let number = if data.is_some() { message::REQUEST_SUCCESS } else { message::REQUEST_FAILURE };
        self.transport.send(&[&[number], data.unwrap_or_default()])
    }

    /// Takes received data of a channel. Returns 0 at EOF, and `None` if nothing has arrived.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn read(&mut self, id: ChannelId, from: Source, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
        let Some(channel) = self.channels.get_mut(&id.0) else { return Ok(Some(0)) };
        let count = channel.read(from, buffer);
        if channel.is_over() {
            self.channels.remove(&id.0);
            return Ok(Some(count.unwrap_or_default()));
        }
        if let Some(bytes) = channel.window_to_grant() {
            let mut adjust = vec![message::CHANNEL_WINDOW_ADJUST];
            adjust.put_u32(channel.peer()).put_u32(bytes);
            self.transport.send(&[&adjust])?;
        }
        Ok(count)
    }

    /// Returns `true` if [`Self::read`] will return data or EOF.
    #[must_use]
    pub fn is_readable(&self, id: ChannelId, from: Source) -> bool {
        self.channels.get(&id.0).is_none_or(|channel| channel.is_readable(from))
    }

    /// Sends data on a channel, and returns how many bytes it has taken: 0 while the peer's
    /// window is closed, during a key exchange, and while too much output is pending.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn write(&mut self, id: ChannelId, bytes: &[u8]) -> Result<usize, Error> {
        self.write_from(id, Source::Data, bytes)
    }

    /// Sends data on a channel as [`write`](Self::write) does, as that of standard error.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn write_stderr(&mut self, id: ChannelId, bytes: &[u8]) -> Result<usize, Error> {
        self.write_from(id, Source::Stderr, bytes)
    }

    fn write_from(&mut self, id: ChannelId, source: Source, bytes: &[u8]) -> Result<usize, Error> {
        let has_room = self.room() > 0;
        let channel = self.channels.get_mut(&id.0).filter(|_| has_room);
        let Some((peer, count)) = channel.and_then(|channel| channel.take_window(bytes.len())) else {
            return Ok(0);
        };
        let mut header = Vec::new();
        match source {
            Source::Data => header.put_u8(message::CHANNEL_DATA).put_u32(peer),
            Source::Stderr => header.put_u8(message::CHANNEL_EXTENDED_DATA).put_u32(peer).put_u32(1),
        };
        header.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
        self.transport.send(&[&header, &bytes[..count]])?;
        Ok(count)
    }

    /// Returns `true` if [`Self::write`] will take data.
    #[must_use]
    pub fn is_writable(&self, id: ChannelId) -> bool {
        self.room() > 0 && self.has_window(id)
    }

    /// Returns the number of bytes that the output has room for: 0 during a key exchange. A write
    /// may exceed it by one message.
    #[must_use]
    pub fn room(&self) -> usize {
        let pending = self.transport.output().len();
        if self.transport.can_send() { MAX_OUTPUT.saturating_sub(pending) } else { 0 }
    }

    /// Returns `true` if the peer's window for a channel is open.
    #[must_use]
    pub fn has_window(&self, id: ChannelId) -> bool {
        self.channels.get(&id.0).is_some_and(Channel::has_window)
    }

    /// Returns `true` if the channel is gone: both sides have closed it, and its data was read.
    #[must_use]
    pub fn is_gone(&self, id: ChannelId) -> bool {
        !self.channels.contains_key(&id.0)
    }

    /// Tells the peer that no more data follow on a channel.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn send_eof(&mut self, id: ChannelId) -> Result<(), Error> {
        let Some(peer) = self.channels.get_mut(&id.0).and_then(Channel::end) else { return Ok(()) };
        let mut eof = vec![message::CHANNEL_EOF];
        eof.put_u32(peer);
        self.transport.send(&[&eof])
    }

    /// Closes a channel in both directions. Received data that has not been read is discarded.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn close(&mut self, id: ChannelId) -> Result<(), Error> {
        let Some(channel) = self.channels.get_mut(&id.0) else { return Ok(()) };
        let close = channel.close().map(|peer| {
            let mut close = vec![message::CHANNEL_CLOSE];
            close.put_u32(peer);
            close
        });
        if channel.is_over() {
            self.channels.remove(&id.0);
        }
        close.map_or(Ok(()), |close| self.transport.send(&[&close]))
    }

    /// Returns `true` if the peer sends no more data on a channel. Some may be left to read.
    #[must_use]
    pub fn has_ended(&self, id: ChannelId) -> bool {
        self.channels.get(&id.0).is_none_or(Channel::has_ended)
    }

    /// Returns `true` if the peer has closed a channel.
    #[must_use]
    pub fn has_closed(&self, id: ChannelId) -> bool {
        self.channels.get(&id.0).is_none_or(Channel::has_closed)
    }

    /// Closes a channel whose data will still be read.
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn close_sending(&mut self, id: ChannelId) -> Result<(), Error> {
        let Some(peer) = self.channels.get_mut(&id.0).and_then(Channel::close_sending) else { return Ok(()) };
        let mut close = vec![message::CHANNEL_CLOSE];
        close.put_u32(peer);
        self.transport.send(&[&close])
    }

    /// Ends the connection.
    pub fn disconnect(&mut self) {
        self.disconnect_with(reason::BY_APPLICATION, "");
    }

    /// Ends the connection with a reason code (RFC 4253 §11.1) and a text.
    pub fn disconnect_with(&mut self, reason: u32, text: &str) {
        self.transport.disconnect(reason, text);
    }

    /// Takes the transport's log of messages, see [`Transport::take_log`].
    pub fn take_log(&mut self) -> Vec<transport::LogEntry> {
        self.transport.take_log()
    }

    /// Stops keeping a log of messages.
    pub fn stop_log(&mut self) {
        self.transport.stop_log();
    }

    fn add(&mut self, channel: Channel) -> (ChannelId, u32) {
        let (id, window) = (self.next_id, channel.window());
        self.next_id = self.next_id.wrapping_add(1);
        self.channels.insert(id, channel);
        (ChannelId(id), window)
    }

    /// Returns the window for a new channel. Reserves a small window for each channel that can
    /// still be opened.
    fn window(&self) -> u32 {
        let used: u32 = self.channels.values().map(Channel::initial_window).sum();
        let others = u32::try_from(MAX_CHANNELS - self.channels.len()).unwrap_or_default();
        let reserved = others.saturating_sub(1) * SMALL_WINDOW;
        if used + reserved + LARGE_WINDOW <= BUDGET { LARGE_WINDOW } else { SMALL_WINDOW }
    }
}

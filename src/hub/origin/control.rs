//! The control connection of an origin.

use std::io;
use std::time::{Duration, Instant};

use crate::hub::output::Output;
use crate::proto::hub::{FromHub, Messages, ToHub};
use crate::proto::websocket::{Close, CloseCode, Decoder, Header, Item, Mask, Opcode, Sender};
use crate::stream::{Due, Events, Interest, KeepAlive, PollSet, Registration, Stream};
use crate::sys;

/// Reads in a row.
const MAX_READS: usize = 16;

/// An event of a control connection.
#[derive(Debug)]
pub(super) enum Event {
    Message(FromHub),
    /// The hub has sent a Close.
    Closed(Close),
    /// The connection is broken, for this reason.
    Lost(String),
}

/// A control connection.
#[derive(Debug)]
pub(super) struct Control {
    stream: Box<dyn Stream>,
    pub(super) registration: Registration,
    decoder: Decoder,
    messages: Messages,
    output: Output,
    keep_alive: Option<KeepAlive>,
    /// The hub has registered the origin on this connection.
    pub(super) is_ready: bool,
    has_sent_close: bool,
}

impl Control {
    pub(super) fn new(mut stream: Box<dyn Stream>, keep_alive: Option<Duration>) -> Self {
        stream.set_reset_on_exit(false);
        Self {
            stream,
            registration: Registration::default(),
            decoder: Decoder::new(Sender::Server),
            messages: Messages::default(),
            output: Output::default(),
            keep_alive: keep_alive.map(|interval| KeepAlive::new(interval, Instant::now())),
            is_ready: false,
            has_sent_close: false,
        }
    }

    fn interest(&self) -> Interest {
        Interest { read: true, write: !self.output.is_empty(), hangup: false }
    }

    pub(super) fn register<'a>(&'a self, polls: &mut PollSet<'a>) {
        self.stream.register(self.interest(), polls);
    }

    /// Returns how long to wait for input.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.keep_alive.as_ref().map(|keep_alive| keep_alive.time_left(now))
    }

    /// Handles the events of the last wait.
    pub(super) fn advance(&mut self, mut events: Events) -> Vec<Event> {
        let ready = self.stream.ready(self.interest(), &mut events);
        let mut found = Vec::new();
        if ready.write
            && let Err(error) = self.output.flush(&mut *self.stream)
        {
            return vec![Event::Lost(crate::error::os_message(&error))];
        }
        if ready.read {
            for _ in 0..MAX_READS {
                if !self.read(&mut found) {
                    break;
                }
            }
        }
        found
    }

    /// Reads once. Returns `true` if more may follow.
    fn read(&mut self, found: &mut Vec<Event>) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => found.push(Event::Lost("closed without a Close frame".into())),
            Ok(count) => {
                if let Some(keep_alive) = &mut self.keep_alive {
                    keep_alive.received(Instant::now());
                }
                match self.decode(&buffer[..count], found) {
                    Ok(()) => return count == buffer.len(),
                    Err(event) => found.push(event),
                }
            }
            Err(error) if sys::is_transient(&error) => {}
            Err(error) => found.push(Event::Lost(crate::error::os_message(&error))),
        }
        false
    }

    fn decode(&mut self, bytes: &[u8], found: &mut Vec<Event>) -> Result<(), Event> {
        let mut rest = bytes;
        loop {
            match self.decoder.next(&mut rest) {
                Ok(None) => return Ok(()),
                Ok(Some(Item::Payload(mut payload, _))) => {
                    while let Some(text) =
                        self.messages.next(&mut payload).map_err(|it| self.violation(&it))?
                    {
                        let message = FromHub::parse(&text).map_err(|it| self.violation(&it))?;
                        found.extend(message.map(Event::Message));
                    }
                }
                Ok(Some(Item::Control(Opcode::Ping, payload))) => {
                    self.send(Opcode::Pong, &payload).map_err(|it| Event::Lost(it.to_string()))?;
                }
                Ok(Some(Item::Control(Opcode::Close, payload))) => {
                    return Err(match Close::parse(&payload) {
                        Some(close) => {
                            self.close(close.answer());
                            Event::Closed(close)
                        }
                        None => self.violation(&"invalid close code"),
                    });
                }
                Ok(Some(Item::Control(..))) => {}
                Err(cause) => return Err(self.violation(&cause)),
            }
        }
    }

    fn violation(&mut self, cause: &dyn ToString) -> Event {
        self.close(CloseCode::PROTOCOL_ERROR);
        Event::Lost(cause.to_string())
    }

    /// Refuses an offer.
    pub(super) fn refuse(&mut self, message: &ToHub) {
        // If the connection is broken, the next read reports it.
        let _ = self.send(Opcode::Text, message.encode().as_bytes());
    }

    /// Sends a Close.
    pub(super) fn close(&mut self, code: CloseCode) {
        let _ = self.send(Opcode::Close, &Close::new(code, "").payload());
        self.has_sent_close = true;
    }

    /// Sends a Ping if the hub has sent nothing for some time. Returns an event if the hub is gone.
    pub(super) fn check_hub(&mut self, now: Instant) -> Option<Event> {
        let undelivered = self.stream.undelivered();
        match self.keep_alive.as_mut()?.due(now, undelivered) {
            Due::Nothing => None,
            Due::Failure => Some(Event::Lost("no answer to a Ping".into())),
            Due::Ping => self.send(Opcode::Ping, b"").err().map(|error| Event::Lost(error.to_string())),
        }
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        if self.has_sent_close {
            return Ok(());
        }
        let random = sys::random().ok_or_else(|| io::Error::other("no random numbers"))?;
        let mask = Mask([random[0], random[1], random[2], random[3]]);
        let mut frame = Header::new(opcode, payload.len(), Some(mask)).bytes().to_vec();
        let start = frame.len();
        frame.resize(start + payload.len(), 0);
        mask.copy(payload, &mut frame[start..]);
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.has_written(frame.len());
        }
        self.output.send(&mut *self.stream, &frame)
    }
}

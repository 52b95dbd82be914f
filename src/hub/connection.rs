//! A WebSocket connection of the hub.
//!
//! A connection owns no buffer: the loop decodes its frames from one shared buffer, and only bytes
//! that the other side does not accept are kept.

use std::io;
use std::time::Instant;

use super::output::{Ending, Output};
use super::rendezvous::ConnectionId;
use crate::listen::Lease;
use crate::proto::hub::{Messages, Refusal};
use crate::proto::websocket::{Close, CloseCode, Decoder, Header, Item, Malformed, Mask, Opcode, Sender};
use crate::stream::{Due, Interest, KeepAlive, Registration, Stream};
use crate::sys::{self, Ready};

/// Maximum number of bytes of a client that wait for an origin to accept it.
pub(super) const MAX_EARLY: usize = 64 * 1024;

/// The part of a connection in a session.
#[derive(Debug)]
pub(super) enum Role {
    /// The control connection of an origin.
    Origin(Messages),
    /// A client that waits for an origin. Contains the response that opens its WebSocket.
    Waiting { answer: Vec<u8>, since: Instant, is_link: bool },
    /// One side of a pair. `peer` is `None` once the pair has ended. `is_link` is `true` for the
    /// side of a client that can continue on another connection.
    Data { peer: Option<ConnectionId>, is_dest: bool, is_link: bool },
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Box<dyn Stream>,
    pub(super) registration: Registration,
    pub(super) session: String,
    pub(super) role: Role,
    /// The client's name, for messages.
    pub(super) name: String,
    pub(super) lease: Lease,
    decoder: Decoder,
    pub(super) output: Output,
    /// Bytes received before the connection became part of a pair.
    pub(super) early: Vec<u8>,
    owed_pong: Option<Vec<u8>>,
    pub(super) has_received_close: bool,
    pub(super) has_sent_close: bool,
    pub(super) ending: Option<Ending>,
    keep_alive: Option<KeepAlive>,
}

/// The reason for which decoding has stopped before the end of the input.
#[derive(Debug)]
pub(super) enum Stop {
    /// The peer has sent a Close.
    Closed(Close),
    /// A frame is malformed.
    Malformed(Malformed),
}

/// The result of [`Connection::read`].
pub(super) enum Received {
    Bytes(usize),
    Nothing,
    /// EOF, or an error.
    End,
}

/// The settings of a new connection.
pub(super) struct Parts {
    pub(super) stream: Box<dyn Stream>,
    pub(super) session: String,
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) lease: Lease,
    /// The bytes after the head of the request.
    pub(super) early: Vec<u8>,
    pub(super) keep_alive: Option<KeepAlive>,
}

impl Connection {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { stream, session, role, name, lease, early, keep_alive } = parts;
        Self {
            stream,
            registration: Registration::default(),
            session,
            role,
            name,
            lease,
            decoder: Decoder::new(Sender::Client),
            output: Output::default(),
            early,
            owed_pong: None,
            has_received_close: false,
            has_sent_close: false,
            ending: None,
            keep_alive,
        }
    }

    /// Returns the events to wait for. With `peer_is_full`, the other side of the pair does not
    /// accept bytes.
    pub(super) fn interest(&self, peer_is_full: bool) -> Interest {
        let write = !self.output.is_empty();
        let reads = match &self.role {
            _ if self.ending.is_some() => true,
            Role::Origin(_) => !self.has_received_close,
            Role::Waiting { .. } => self.early.len() < MAX_EARLY,
            Role::Data { .. } => !self.has_received_close && !peer_is_full,
        };
        Interest { read: reads, write, hangup: !reads }
    }

    /// Reads into a buffer.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Received {
        match self.stream.read(buffer) {
            Ok(0) => Received::End,
            Ok(count) => {
                if let Some(keep_alive) = &mut self.keep_alive {
                    keep_alive.received(Instant::now());
                }
                Received::Bytes(count)
            }
            Err(error) if sys::is_transient(&error) => Received::Nothing,
            Err(_) => Received::End,
        }
    }

    /// Writes bytes, and keeps those that the peer does not accept.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.has_written(bytes.len());
        }
        self.output.send(&mut *self.stream, bytes)
    }

    fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let header = Header::new(opcode, payload.len(), None);
        self.send(&[header.bytes(), payload].concat())
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn send_text(&mut self, text: &str) -> io::Result<()> {
        if self.has_sent_close { Ok(()) } else { self.send_frame(Opcode::Text, text.as_bytes()) }
    }

    /// Sends a Close, unless one was sent.
    pub(super) fn send_close(&mut self, close: &Close) {
        if std::mem::replace(&mut self.has_sent_close, true) {
            return;
        }
        self.owed_pong = None;
        // If the connection is broken, the next read reports it.
        let _ = self.send_frame(Opcode::Close, &close.payload());
    }

    /// Sends a Close, and ends the connection.
    pub(super) fn close(&mut self, code: CloseCode, reason: &str) {
        self.send_close(&Close::new(code, reason));
        self.end();
    }

    /// Ends the connection once the output is written.
    pub(super) fn end(&mut self) {
        self.ending.get_or_insert_default();
    }

    /// Ends the connection because the other side of the pair was cut off. Returns `true` if the
    /// connection must be dropped: after a normal Close, only a reset can tell that.
    pub(super) fn cut_off(&mut self) -> bool {
        if self.has_sent_close {
            self.stream.reset_on_close();
            return true;
        }
        self.close(CloseCode::INTERNAL_ERROR, "the other side was cut off");
        false
    }

    /// Answers the request of a client that waits, and ends the connection.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        let _ = self.send(&refusal.bytes());
        self.end();
    }

    /// Handles room to write.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush(&mut *self.stream)?;
        match self.owed_pong.take_if(|_| self.output.is_empty()) {
            Some(payload) => self.send_frame(Opcode::Pong, &payload),
            None => Ok(()),
        }
    }

    /// Sends the Pong for the latest Ping, or keeps it until earlier bytes have been written.
    fn send_pong(&mut self, payload: Vec<u8>) {
        if self.has_sent_close {
            return;
        }
        if self.output.is_empty() {
            let _ = self.send_frame(Opcode::Pong, &payload);
        } else {
            self.owed_pong = Some(payload);
        }
    }

    /// Decodes received bytes, and appends a frame with each part of the payload to `frames`.
    /// Returns the length of the payload.
    pub(super) fn decode_to_frames(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> (u64, Option<Stop>) {
        let (mut rest, mut count) = (bytes, 0);
        loop {
            let stop = match self.decoder.next(&mut rest) {
                Ok(None) => return (count, None),
                Ok(Some(Item::Payload(payload, mask))) => {
                    count += payload.len() as u64;
                    append_frame(frames, payload, mask);
                    None
                }
                Ok(Some(Item::Control(opcode, payload))) => self.control(opcode, payload),
                Err(cause) => Some(Stop::Malformed(cause)),
            };
            if stop.is_some() {
                return (count, stop);
            }
        }
    }

    /// Decodes received bytes of a control connection, and returns the complete messages.
    pub(super) fn decode_messages(
        &mut self,
        bytes: &[u8],
    ) -> (Vec<Vec<u8>>, Result<Option<Stop>, CloseCode>) {
        let (mut rest, mut found, mut plain) = (bytes, Vec::new(), Vec::new());
        loop {
            let stop = match self.decoder.next(&mut rest) {
                Ok(None) => return (found, Ok(None)),
                Ok(Some(Item::Payload(..))) if self.decoder.is_binary() => {
                    return (found, Err(CloseCode::UNSUPPORTED_DATA));
                }
                Ok(Some(Item::Payload(payload, mask))) => {
                    plain.resize(payload.len(), 0);
                    copy(payload, &mut plain, mask);
                    let Role::Origin(messages) = &mut self.role else { return (found, Ok(None)) };
                    let mut plain = &plain[..];
                    loop {
                        match messages.next(&mut plain) {
                            Ok(Some(message)) => found.push(message),
                            Ok(None) => break None,
                            Err(error) => return (found, Err(close_code(error))),
                        }
                    }
                }
                Ok(Some(Item::Control(opcode, payload))) => self.control(opcode, payload),
                Err(cause) => Some(Stop::Malformed(cause)),
            };
            if stop.is_some() {
                return (found, Ok(stop));
            }
        }
    }

    fn control(&mut self, opcode: Opcode, payload: Vec<u8>) -> Option<Stop> {
        match opcode {
            Opcode::Ping => self.send_pong(payload),
            Opcode::Close => {
                return Some(match Close::parse(&payload) {
                    Some(close) => Stop::Closed(close),
                    None => Stop::Malformed(Malformed::Close),
                });
            }
            // A Pong is only a sign of life (RFC 6455 §5.5.3).
            _ => {}
        }
        None
    }

    /// Sends a Ping if the peer has sent nothing for some time. Returns `true` if the peer is gone.
    pub(super) fn check_peer(&mut self, now: Instant) -> bool {
        let Some(keep_alive) = &mut self.keep_alive else { return false };
        if !keep_alive.time_left(now).is_zero() || matches!(self.role, Role::Waiting { .. }) {
            return false;
        }
        match keep_alive.due(now, self.stream.undelivered()) {
            Due::Nothing => false,
            Due::Failure => true,
            Due::Ping => {
                if !self.has_sent_close && self.output.is_empty() {
                    let _ = self.send_frame(Opcode::Ping, b"");
                }
                false
            }
        }
    }

    /// Continues to end the connection. Returns `true` if it can be dropped.
    pub(super) fn advance_ending(&mut self, ready: Ready, buffer: &mut [u8]) -> bool {
        let Self { ending, stream, output, .. } = self;
        ending.as_mut().is_some_and(|ending| ending.advance(&mut **stream, output, ready, buffer))
    }
}

fn close_code(error: crate::proto::hub::ControlError) -> CloseCode {
    match error {
        crate::proto::hub::ControlError::TooLong => CloseCode::TOO_BIG,
        crate::proto::hub::ControlError::Malformed => CloseCode::PROTOCOL_ERROR,
    }
}

/// Appends a frame with this payload. A server's frames are not masked.
fn append_frame(frames: &mut Vec<u8>, payload: &[u8], mask: Option<Mask>) {
    frames.extend_from_slice(Header::new(Opcode::Binary, payload.len(), None).bytes());
    let start = frames.len();
    frames.resize(start + payload.len(), 0);
    copy(payload, &mut frames[start..], mask);
}

fn copy(from: &[u8], to: &mut [u8], mask: Option<Mask>) {
    match mask {
        Some(mask) => mask.copy(from, to),
        None => to.copy_from_slice(from),
    }
}

//! One of the connections of a tunnel, and the exchanges on it.

use std::io;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::proto::post::{Response, ResponseReader};
use crate::stream::{Interest, PollSet, Stream};
use crate::sys;

/// Limit for a server to accept a part of a request, or to send a part of an answer, on top of the
/// time for which it may hold the request.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Size of the buffer for answers.
const READ_SIZE: usize = 64 * 1024;

/// A request with a body of up to this size is sent with its head in one call.
const MAX_JOINED: usize = 16 * 1024;

/// A connection to the server; none if it must be opened first.
pub(super) struct Link {
    stream: Option<Box<dyn Stream>>,
    /// The connection has carried a request before.
    is_used: bool,
    buffer: Vec<u8>,
    /// [`EXCHANGE_TIMEOUT`], or less in tests.
    timeout: Duration,
}

/// The failure of an exchange.
pub(super) struct Failed {
    pub(super) cause: String,
    /// The server had kept the connection open after an earlier request, and sent nothing in answer
    /// to this one.
    pub(super) was_kept: bool,
}

/// The local side of a tunnel during an exchange.
pub(super) trait Local {
    /// Returns the events to wait for on the socket pair.
    fn interest(&self) -> Interest;

    /// Handles an event. Returns `false` if the exchange must be abandoned.
    fn advance(&mut self) -> bool;
}

impl Link {
    pub(super) fn new(stream: Option<Box<dyn Stream>>) -> Self {
        Self { is_used: stream.is_some(), stream, buffer: Vec::new(), timeout: EXCHANGE_TIMEOUT }
    }

    /// Sends a request, and receives the response. Opens a connection if there is none.
    pub(super) fn exchange(
        &mut self,
        shared: &Shared,
        body: &[u8],
        hold: Duration,
        local: &mut dyn Local,
    ) -> Result<Response, Failed> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            self.is_used = false;
            shared.dial.dial().map_err(|error| Failed { cause: error.to_string(), was_kept: false })?
        };
        let head = shared.resource.head(shared.client().sid(), body.len());
        let mut reader = ResponseReader::new(shared.redactor.clone());
        self.buffer.resize(READ_SIZE, 0);
        let mut exchange = Exchange {
            stream: &mut *stream,
            reader: &mut reader,
            sent: 0,
            write_error: None,
            local,
            timeout: self.timeout,
            until: Instant::now(),
            undelivered: 0,
        };
        let joined = if body.len() <= MAX_JOINED { [&head, body].concat() } else { Vec::new() };
        let parts: [&[u8]; 2] = if joined.is_empty() { [&head, body] } else { [&joined, &[]] };
        let result = exchange.run(shared, parts, hold, &mut self.buffer);
        let length = head.len() + body.len();
        let is_sent = exchange.sent == length;
        match result {
            Ok(response) => {
                if response.keeps_alive && is_sent {
                    (self.stream, self.is_used) = (Some(stream), true);
                }
                Ok(response)
            }
            Err(cause) => {
                let was_kept = self.is_used && reader.is_unused();
                Err(Failed { cause, was_kept })
            }
        }
    }
}

struct Exchange<'a> {
    stream: &'a mut dyn Stream,
    reader: &'a mut ResponseReader,
    /// The number of bytes sent.
    sent: usize,
    /// The reason why the server accepts no more bytes. It may have answered before, as a server
    /// does that refuses the request.
    write_error: Option<String>,
    local: &'a mut dyn Local,
    timeout: Duration,
    /// The server must have made progress by then.
    until: Instant,
    /// The number of bytes that had not been acknowledged when the server last made progress.
    undelivered: usize,
}

impl Exchange<'_> {
    fn run(
        &mut self,
        shared: &Shared,
        parts: [&[u8]; 2],
        hold: Duration,
        buffer: &mut [u8],
    ) -> Result<Response, String> {
        let length = parts[0].len() + parts[1].len();
        let mut can_write = true;
        self.record_progress(Duration::ZERO);
        loop {
            while can_write && self.write_error.is_none() && self.sent < length {
                can_write = self.write(parts);
                self.record_progress(hold);
            }
            // After any other error, the server may still have answered.
            let is_flushed = !self.stream.flush().is_err_and(|error| sys::is_transient(&error));
            let is_sending = self.write_error.is_none() && (self.sent < length || !is_flushed);
            let (can_read, writable) = self.wait(shared, is_sending)?;
            can_write = writable;
            if can_read {
                match self.read(buffer) {
                    Ok(Some(response)) => return Ok(response),
                    Ok(None) => self.record_progress(Duration::ZERO),
                    Err(cause) => return Err(self.write_error.take().unwrap_or(cause)),
                }
            }
        }
    }

    /// Starts the time limit again. The server may hold the request for `hold` in addition.
    fn record_progress(&mut self, hold: Duration) {
        self.until = self.until.max(Instant::now() + self.timeout + hold);
        self.undelivered = self.stream.undelivered();
    }

    /// Writes a part of the request. Returns `false` if there is no room for more.
    fn write(&mut self, [first, second]: [&[u8]; 2]) -> bool {
        let rest = match self.sent.checked_sub(first.len()) {
            Some(sent) => &second[sent..],
            None => &first[self.sent..],
        };
        match self.stream.write(rest) {
            Ok(count) => {
                self.sent += count;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                self.write_error.get_or_insert(error.to_string());
                false
            }
        }
    }

    /// Waits for the server, and for the local side meanwhile. Returns whether the connection is
    /// ready for reading and for writing.
    fn wait(&mut self, shared: &Shared, is_sending: bool) -> Result<(bool, bool), String> {
        let want = Interest { read: true, write: is_sending, hangup: false };
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // A large body can be in the send buffer for minutes.
                if self.stream.undelivered() >= self.undelivered {
                    return Err("the server did not answer in time".into());
                }
                self.record_progress(Duration::ZERO);
                continue;
            }
            let local = self.local.interest();
            let mut polls = PollSet::with_capacity(2);
            self.stream.register(want, &mut polls);
            Stream::register(&shared.inner, local, &mut polls);
            let events = polls.wait(Some(left)).map_err(|error| error.to_string())?;
            let Some(mut events) = events else { continue };
            let ready = self.stream.ready(want, &mut events);
            let local = Stream::ready(&shared.inner, local, &mut events);
            if (local.read || local.gone) && !self.local.advance() {
                return Err("the tunnel is over".into());
            }
            if ready.read || ready.write {
                return Ok((ready.read, ready.write));
            }
        }
    }

    /// Reads a part of the response. Returns it once it is complete.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<Response>, String> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    let response = self.reader.closed();
                    let cause = || "the server closed the connection before the end of its answer".to_owned();
                    return response.map(Some).ok_or_else(cause);
                }
                Ok(count) => {
                    let received = self.reader.receive(&buffer[..count]);
                    let (_, response) = received.map_err(|error| format!("the server {error}"))?;
                    if response.is_some() {
                        return Ok(response);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests;

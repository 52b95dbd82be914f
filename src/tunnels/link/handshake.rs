//! The WebSocket handshake of a pipe that resumes a link.

use std::io;
use std::time::{Duration, Instant};

use super::pipe::Pipe;
use crate::codecs::websocket::{ClosingCode, Role, WebSocket};
use crate::error::os_message;
use crate::proto::websocket::{Handshake, Request};
use crate::proto::{Error, Limit, Negotiation, Redactor, Step};
use crate::stream::{Interest, Layered, PollSet, Stream};
use crate::sys;

/// Limit for the hub and the origin to answer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Size of one read.
const PEEK_SIZE: usize = 4096;

/// The failure of a handshake.
pub(super) enum Failure {
    /// The connection failed, for this reason.
    Io(String),
    /// The hub has refused the request.
    Refusal(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(os_message(&error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refusal(error)
    }
}

/// Requests a WebSocket on a connection to the hub, and returns the pipe.
///
/// # Errors
/// The hub refuses, or does not answer in time.
pub(super) fn handshake(
    mut connection: Box<dyn Stream>,
    request: Request,
    redactor: Redactor,
    keep_alive: Option<Duration>,
) -> Result<Pipe, Failure> {
    let mut handshake = Handshake::new(request, sys::random, redactor);
    negotiate(&mut *connection, &mut handshake)?;
    Ok(websocket_pipe(connection, &handshake, keep_alive))
}

/// Returns the pipe of a dest over a connection whose handshake is done.
#[must_use]
pub fn websocket_pipe(
    connection: Box<dyn Stream>,
    handshake: &Handshake,
    keep_alive: Option<Duration>,
) -> Pipe {
    let closing_code = ClosingCode::default();
    let codec = WebSocket::new(Role::Client(sys::random), handshake.half_close());
    let codec = codec.closing_with(closing_code.clone());
    let layered = Layered::new(connection, codec).with_keep_alive(keep_alive);
    Pipe::new(Box::new(layered), closing_code)
}

fn negotiate(connection: &mut dyn Stream, handshake: &mut Handshake) -> Result<(), Failure> {
    let end = Instant::now() + HANDSHAKE_TIMEOUT;
    loop {
        match handshake.step()? {
            Step::Send(wire) => send(connection, wire.bytes(), end)?,
            step @ (Step::Receive(_) | Step::ReceiveRest) => {
                let mut buffer = [0; PEEK_SIZE];
                let size = match step {
                    Step::Receive(Limit::Bytes(count)) => count.min(PEEK_SIZE),
                    _ => PEEK_SIZE,
                };
                let count = peek(connection, &mut buffer[..size], end)?;
                if count == 0 {
                    // A refusal is complete, or the connection is cut off.
                    handshake.closed().map_err(|error| match error {
                        Error::Closed(_) => Failure::Io("the hub closed the connection".into()),
                        refusal => Failure::Refusal(refusal),
                    })?;
                } else {
                    let used = handshake.receive(&buffer[..count])?;
                    connection.read(&mut buffer[..used])?;
                }
            }
            Step::Done => return Ok(()),
            // A WebSocket handshake has no other steps.
            _ => return Err(Failure::Io("unexpected step".into())),
        }
    }
}

fn wait(stream: &dyn Stream, want: Interest, end: Instant) -> io::Result<()> {
    let mut polls = PollSet::default();
    stream.register(want, &mut polls);
    match polls.wait(Some(end.saturating_duration_since(Instant::now())))? {
        Some(_) => Ok(()),
        None => Err(io::Error::new(io::ErrorKind::TimedOut, "the hub did not answer in time")),
    }
}

fn send(stream: &mut dyn Stream, mut bytes: &[u8], end: Instant) -> io::Result<()> {
    loop {
        let result = if bytes.is_empty() { stream.flush().map(|()| 0) } else { stream.write(bytes) };
        match result {
            Ok(_) if bytes.is_empty() => return Ok(()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if sys::is_transient(&error) => wait(stream, Interest::WRITE, end)?,
            Err(error) => return Err(error),
        }
    }
}

fn peek(stream: &mut dyn Stream, buffer: &mut [u8], end: Instant) -> io::Result<usize> {
    loop {
        match stream.peek(buffer) {
            Err(error) if sys::is_transient(&error) => wait(stream, Interest::READ, end)?,
            result => return result,
        }
    }
}

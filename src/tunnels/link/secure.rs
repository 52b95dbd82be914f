//! The handshake of the end-to-end encryption, at the start of a pipe.

use std::io;
use std::time::{Duration, Instant};

use super::pipe::{Pipe, PipeEnd};
use crate::codecs::noise::{Handshake, HandshakeError, Noise};
use crate::proto::link::HELLO_TIMEOUT;
use crate::proto::websocket::CloseCode;
use crate::secret::SharedKey;
use crate::stream::{Interest, Layered, PollSet, Stream, read_within};
use crate::sys;

/// The end of a connection that performs a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Speaks first.
    Dest,
    /// Answers.
    Origin,
}

/// The reason why a pipe is not encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insecure {
    /// The two ends do not have the same key. The pipe was closed with the code for this.
    Key,
    /// The pipe has ended.
    Ended(PipeEnd),
}

/// Encrypts a pipe, or returns it as it is without a key. Blocks for up to [`HELLO_TIMEOUT`].
///
/// # Errors
/// The peer has no key or another one, or the pipe has ended.
pub fn secure(mut pipe: Pipe, key: Option<&SharedKey>, session: &str, side: Side) -> Result<Pipe, Insecure> {
    let Some(key) = key else { return Ok(pipe) };
    match handshake(&mut *pipe.stream, key, session, side) {
        Ok(noise) => Ok(Pipe::new(Box::new(Layered::new(pipe.stream, noise)), pipe.closing_code)),
        Err(Insecure::Key) => {
            pipe.close(CloseCode::WRONG_KEY);
            Err(Insecure::Key)
        }
        Err(error) => Err(error),
    }
}

fn handshake(stream: &mut dyn Stream, key: &SharedKey, session: &str, side: Side) -> Result<Noise, Insecure> {
    let end = Instant::now() + HELLO_TIMEOUT;
    let mut handshake = match side {
        Side::Dest => Handshake::initiator(key, session)?,
        Side::Origin => Handshake::responder(key, session)?,
    };
    send(stream, &mut handshake, end)?;
    let mut buffer = [0; 64];
    loop {
        let missing = handshake.missing().min(buffer.len());
        let left = end.saturating_duration_since(Instant::now());
        let count = match read_within(stream, &mut buffer[..missing], left) {
            Ok(Some(count @ 1..)) => count,
            Ok(None) => return Err(timed_out()),
            result => return Err(ended(&result.map(|_| 0))),
        };
        if handshake.receive(&mut &buffer[..count])? {
            break;
        }
    }
    send(stream, &mut handshake, end)?;
    Noise::new(handshake).ok().flatten().ok_or_else(|| lost("out of memory"))
}

fn send(stream: &mut dyn Stream, handshake: &mut Handshake, end: Instant) -> Result<(), Insecure> {
    loop {
        let pending = handshake.pending_wire();
        let result = if pending.is_empty() { stream.flush().map(|()| 0) } else { stream.write(pending) };
        match result {
            Ok(0) => return Ok(()),
            Ok(count) => handshake.wire_written(count),
            Err(error) if sys::is_transient(&error) => {
                wait(stream, end.saturating_duration_since(Instant::now()))?;
            }
            Err(error) => return Err(ended(&Err(error))),
        }
    }
}

fn wait(stream: &dyn Stream, left: Duration) -> Result<(), Insecure> {
    let mut polls = PollSet::default();
    stream.register(Interest::WRITE, &mut polls);
    match polls.wait(Some(left)) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(timed_out()),
        Err(error) => Err(ended(&Err(error))),
    }
}

fn timed_out() -> Insecure {
    lost("the other end did not finish the handshake in time")
}

fn lost(why: &str) -> Insecure {
    Insecure::Ended(PipeEnd::CutOff(why.into()))
}

fn ended(result: &io::Result<usize>) -> Insecure {
    match PipeEnd::from_result(result) {
        Some(PipeEnd::Closed(CloseCode::WRONG_KEY, _)) => Insecure::Key,
        Some(end) => Insecure::Ended(end),
        None => lost("the connection failed"),
    }
}

impl From<HandshakeError> for Insecure {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Unavailable => lost("the system provides no random bytes"),
            HandshakeError::NoKey | HandshakeError::Key | HandshakeError::Malformed => Self::Key,
        }
    }
}

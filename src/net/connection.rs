//! A connected stream under a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::deadline::Deadline;
use crate::proto::Limit;
use crate::sys::{self, Channel};

/// The most that is looked at in one go: more than any answer that a well-meaning proxy gives.
const LOOK: usize = 4096;

/// A TCP connection on which every wait ends by a deadline. The socket is non-blocking.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// How many bytes have been taken off it.
    taken: u64,
}

/// Why nothing could be sent or received.
#[derive(Debug)]
pub(super) enum Stop {
    /// The deadline has passed.
    TimedOut,
    /// The system says why.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What has come, and has yet to be taken off the stream if it was only looked at.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    looked_at: bool,
}

impl Received {
    /// The bytes; none at the end of the stream.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Connection {
    /// Takes over a non-blocking stream.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, taken: 0 }
    }

    /// The stream for the relay: nothing was read from it that was not taken.
    pub(super) fn into_channel(self) -> Channel {
        Channel::socket(self.stream).having_read(self.taken)
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, mut bytes: &[u8], deadline: &Deadline) -> Result<(), Stop> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) => self.wait_after(error, false, deadline.left())?,
            }
        }
        Ok(())
    }

    /// Receives some bytes, as many as the limit allows. Where the limit is unknown they are looked at, and stay
    /// where they are until [`take`](Self::take).
    pub(super) fn receive(&mut self, limit: Limit, patience: Option<Duration>) -> Result<Received, Stop> {
        let room = match limit {
            Limit::Bytes(limit) => limit.min(LOOK),
            Limit::Unknown => LOOK,
        };
        // As long as it need be: most answers are a few bytes.
        let mut bytes = vec![0; room];
        loop {
            // Nothing can be there yet: waiting first saves a call that fails.
            self.wait(true, patience)?;
            let result = match limit {
                Limit::Bytes(_) => self.stream.read(&mut bytes),
                Limit::Unknown => self.stream.peek(&mut bytes),
            };
            match result {
                Ok(length) => {
                    bytes.truncate(length);
                    let looked_at = limit == Limit::Unknown;
                    self.taken += if looked_at { 0 } else { length as u64 };
                    return Ok(Received { bytes, looked_at });
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the first `count` bytes of what was looked at off the stream.
    pub(super) fn take(&mut self, received: &mut Received, count: usize) -> Result<(), Stop> {
        if received.looked_at {
            // They are there: this does not wait.
            self.stream.read_exact(&mut received.bytes[..count])?;
            self.taken += count as u64;
        }
        Ok(())
    }

    fn wait_after(&self, error: io::Error, read: bool, patience: Option<Duration>) -> Result<(), Stop> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => self.wait(read, patience),
            _ => Err(error.into()),
        }
    }

    fn wait(&self, read: bool, patience: Option<Duration>) -> Result<(), Stop> {
        // Time that is up is up, whatever has come: else a peer that never stops talking would have for ever.
        if patience != Some(Duration::ZERO)
            && sys::poll(&mut [sys::watch(&self.stream, read, !read)], patience)?
        {
            Ok(())
        } else {
            Err(Stop::TimedOut)
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

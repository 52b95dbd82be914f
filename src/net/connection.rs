//! A connected stream under a deadline.

use std::io;

use super::waiting::Wait;
use crate::proto::Limit;
use crate::sys::{self, Channel};

/// The most that is looked at in one go: more than any answer that a well-meaning proxy gives.
const LOOK: usize = 4096;

/// A connection on which every wait ends by a deadline.
#[derive(Debug)]
pub(super) struct Connection(Channel);

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
    /// Takes over a socket.
    pub(super) fn new(channel: Channel) -> Self {
        Self(channel)
    }

    /// The channel for the relay: nothing was read from it that was not taken.
    pub(super) fn into_channel(self) -> Channel {
        self.0
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, mut bytes: &[u8], until: &Wait<'_>) -> Result<(), Stop> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) => self.wait_after(error, false, until)?,
            }
        }
        Ok(())
    }

    /// Receives some bytes, as many as the limit allows. Where the limit is unknown they are looked at, and stay
    /// where they are until [`take`](Self::take).
    pub(super) fn receive(&mut self, limit: Limit, until: &Wait<'_>) -> Result<Received, Stop> {
        let room = match limit {
            Limit::Bytes(limit) => limit.min(LOOK),
            Limit::Unknown => LOOK,
        };
        // As long as it need be: most answers are a few bytes.
        let mut bytes = vec![0; room];
        loop {
            // Nothing can be there yet: waiting first saves a call that fails.
            self.wait(true, until)?;
            let result = match limit {
                Limit::Bytes(_) => self.0.read(&mut bytes),
                Limit::Unknown => self.0.peek(&mut bytes),
            };
            match result {
                Ok(length) => {
                    bytes.truncate(length);
                    let looked_at = limit == Limit::Unknown;
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
            let mut rest = &mut received.bytes[..count];
            while !rest.is_empty() {
                match self.0.read(rest) {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    Ok(taken) => rest = &mut rest[taken..],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn wait_after(&self, error: io::Error, read: bool, until: &Wait<'_>) -> Result<(), Stop> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => self.wait(read, until),
            _ => Err(error.into()),
        }
    }

    fn wait(&self, read: bool, until: &Wait<'_>) -> Result<(), Stop> {
        // Time that is up is up, whatever has come: else a peer that never stops talking would have for ever.
        let mut watches = [sys::watch(&self.0, read, !read)];
        if !until.deadline.has_passed() && until.poll(&mut watches, None)? {
            Ok(())
        } else {
            Err(Stop::TimedOut)
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

//! The connection to the server, over its stream.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::ssh::connection::Connection;
use crate::ssh::error::Error as SshError;
use crate::ssh::liveness::{Due, Liveness};
use crate::stream::{self, Chunk, Events, Interest, PollSet, Stream};
use crate::sys::{self, Ready};

/// Time limit for sending the last messages, such as `DISCONNECT`. The server can do without
/// them.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection to the server, over its stream.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    connection: Connection,
    opened: Instant,
    liveness: Liveness,
    /// The global requests that the server has not answered, the oldest first.
    awaited: VecDeque<Awaited>,
    /// Writing has failed. The server may have sent the reason before.
    is_broken: bool,
}

/// A global request (RFC 4254 §4) that the server has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// A request that only shows that the server is alive.
    KeepAlive,
    /// The remote forward with this index.
    Forward(usize),
}

impl Link {
    /// Continues after the login.
    pub(super) fn new(stream: Box<dyn Stream>, connection: Connection, keep_alive: Option<Duration>) -> Self {
        Self {
            stream,
            connection,
            opened: Instant::now(),
            liveness: Liveness::new(keep_alive),
            awaited: VecDeque::new(),
            is_broken: false,
        }
    }

    /// Returns the connection.
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Returns the connection, to read its state.
    pub(super) fn as_connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a global request. [`answered`](Self::answered) returns `what` with the answer.
    pub(super) fn global_request(&mut self, name: &str, data: &[u8], what: Awaited) -> Result<(), Failure> {
        self.connection.global_request(name, true, data)?;
        self.awaited.push_back(what);
        Ok(())
    }

    /// Returns the request to which the server's next answer belongs: answers have the order of the
    /// requests.
    pub(super) fn answered(&mut self) -> Result<Awaited, Failure> {
        let oldest = self.awaited.pop_front();
        Ok(oldest.ok_or(SshError::Violation("an answer without a request"))?)
    }

    /// Starts a key exchange or sends a keepalive request, if one is due.
    pub(super) fn on_time(&mut self) -> Result<(), Failure> {
        let now = self.opened.elapsed();
        self.connection.on_time(now)?;
        match self.liveness.due(now) {
            Due::Nothing => Ok(()),
            Due::Request => self.global_request("keepalive@openssh.com", &[], Awaited::KeepAlive),
            Due::Failure => Err(Failure::Silent),
        }
    }

    /// Returns the time until the next keepalive request is due; `None` if none will be.
    pub(super) fn time_left(&self) -> Option<Duration> {
        Some(self.liveness.deadline()?.saturating_sub(self.opened.elapsed()))
    }

    /// Writes the connection's output as far as there is room. Reading reports failures.
    pub(super) fn send(&mut self) {
        while !self.is_broken {
            let output = self.connection.transport().output();
            let result =
                if output.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(output) };
            match result {
                Ok(0) => return,
                Ok(count) => self.connection.sent(count),
                Err(error) if sys::is_transient(&error) => return,
                // The server may have sent the reason before.
                Err(_) => self.is_broken = true,
            }
        }
    }

    /// Processes what the transport already holds. The caller must process the connection's events
    /// even after an error.
    pub(super) fn process_received(&mut self) -> Result<(), Failure> {
        Ok(self.connection.receive(&[])?)
    }

    /// Reads what has arrived. The caller must process the connection's events even after an
    /// error.
    pub(super) fn receive(&mut self) -> Result<(), Failure> {
        let mut chunk = Chunk::default();
        match chunk.fill(|buffer| self.stream.read(buffer)) {
            Ok(0) => Err(Failure::Connection(self.connection.transport().closed())),
            Ok(_) => {
                self.liveness.received(self.opened.elapsed());
                Ok(self.connection.receive(chunk.bytes())?)
            }
            Err(error) if sys::is_transient(&error) => Ok(()),
            Err(error) => Err(Failure::Stream(error)),
        }
    }

    fn interest(&self) -> Interest {
        let has_output = !self.connection.transport().output().is_empty();
        Interest { read: true, write: has_output && !self.is_broken, hangup: false }
    }

    /// Adds the stream to a set.
    pub(super) fn register<'a>(&'a self, polls: &mut PollSet<'a>) {
        self.stream.register(self.interest(), polls);
    }

    /// Returns the result for the last [`register`](Self::register).
    pub(super) fn ready(&self, events: &mut Events) -> Ready {
        self.stream.ready(self.interest(), events)
    }

    /// Ends the connection. Data in channels is discarded.
    pub(super) fn close(mut self) {
        self.connection.disconnect();
        let end = Instant::now() + DISCONNECT_TIMEOUT;
        loop {
            self.send();
            if self.is_broken || self.connection.transport().output().is_empty() {
                break;
            }
            let left = end.saturating_duration_since(Instant::now());
            let mut polls = PollSet::default();
            self.stream.register(Interest::WRITE, &mut polls);
            if left.is_zero() || !matches!(polls.wait(Some(left)), Ok(Some(_))) {
                return;
            }
        }
        stream::close(self.stream);
    }

    /// Ends the connection because of a failure. Reports it to the server if that has not ended the
    /// connection itself.
    pub(super) fn fail(mut self, failure: &Failure) {
        if let Failure::Connection(error) = failure
            && !matches!(error, SshError::Closed | SshError::Disconnected { .. })
        {
            let (reason, text) = error.farewell();
            self.connection.disconnect_with(reason, text);
            // The connection is over, whether the server reads this or not.
            self.send();
        }
    }
}

//! A forwarded connection: a channel, and a connection at this end.

use std::io;

use crate::ssh::connection::{ChannelId, Connection, Source};
use crate::ssh::error::Error as SshError;
use crate::stream::{Chunk, Events, Interest, PollSet, Stream};
use crate::sys::{self, Ready};

/// A forwarded connection.
#[expect(clippy::struct_excessive_bools, reason = "each direction ends independently")]
pub(super) struct Forwarded {
    channel: ChannelId,
    local: Box<dyn Stream>,
    /// The client, for messages.
    client: String,
    /// The end of the channel, for messages.
    target: String,
    /// The server has opened the channel.
    is_open: bool,
    to_server: Chunk,
    to_local: Chunk,
    /// The connection at this end has sent EOF.
    local_has_ended: bool,
    is_eof_sent: bool,
    /// The server has sent EOF.
    server_has_ended: bool,
    /// The connection at this end has received EOF.
    is_shut_down: bool,
}

/// The state of a forwarded connection after a turn.
#[derive(Debug)]
pub(super) enum Status {
    /// More can follow.
    Open,
    /// Both directions have ended, or the server has closed the channel.
    Done,
    /// The connection at this end failed.
    Broken(io::Error),
}

impl Forwarded {
    /// Joins a channel and a connection at this end. A channel that is being opened must be
    /// [opened](Self::opened) first.
    pub(super) fn new(
        channel: ChannelId,
        local: Box<dyn Stream>,
        client: String,
        target: String,
        is_open: bool,
    ) -> Self {
        Self {
            channel,
            local,
            client,
            target,
            is_open,
            to_server: Chunk::default(),
            to_local: Chunk::default(),
            local_has_ended: false,
            is_eof_sent: false,
            server_has_ended: false,
            is_shut_down: false,
        }
    }

    pub(super) fn channel(&self) -> ChannelId {
        self.channel
    }

    pub(super) fn client(&self) -> &str {
        &self.client
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Records that the server has opened the channel.
    pub(super) fn opened(&mut self) {
        self.is_open = true;
    }

    /// Moves at most one chunk in each direction, so that other connections have their turn.
    ///
    /// # Errors
    /// Nothing can be sent to the server any more.
    pub(super) fn advance(&mut self, connection: &mut Connection) -> Result<Status, SshError> {
        if !self.is_open {
            return Ok(Status::Open);
        }
        let moved = self.receive(connection)?.and_then(|()| self.read_local());
        if let Err(error) = moved {
            connection.close(self.channel)?;
            self.local.reset_on_close();
            return Ok(Status::Broken(error));
        }
        self.send(connection)?;
        let is_delivered = self.server_has_ended && self.is_shut_down;
        if is_delivered && (self.is_eof_sent || connection.has_closed(self.channel)) {
            connection.close(self.channel)?;
            // Otherwise closing the connection would reset it.
            self.local.set_reset_on_exit(false);
            return Ok(Status::Done);
        }
        Ok(Status::Open)
    }

    /// Moves data from the channel. The inner result is that of the connection at this end.
    fn receive(&mut self, connection: &mut Connection) -> Result<io::Result<()>, SshError> {
        if self.to_local.is_empty()
            && !self.server_has_ended
            && connection.is_readable(self.channel, Source::Data)
        {
            let mut result = Ok(None);
            let filled = self.to_local.fill(|buffer| {
                result = connection.read(self.channel, Source::Data, buffer);
                Ok(result.as_ref().ok().copied().flatten().unwrap_or_default())
            });
            self.server_has_ended = result? == Some(0);
            if let Err(error) = filled {
                return Ok(Err(error));
            }
        }
        Ok(self.write_local())
    }

    fn write_local(&mut self) -> io::Result<()> {
        while !self.to_local.is_empty() {
            match self.local.write(self.to_local.bytes()) {
                Ok(count) => self.to_local.consume(count),
                Err(error) if sys::is_transient(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.server_has_ended && !self.is_shut_down {
            self.is_shut_down = true;
            // Fails if the connection is gone. Reading from it reports that.
            let _ = self.local.shut_down_writing();
        }
        Ok(())
    }

    /// Reads from the connection at this end.
    fn read_local(&mut self) -> io::Result<()> {
        if !self.to_server.is_empty() || self.local_has_ended {
            return Ok(());
        }
        match self.to_server.fill(|buffer| self.local.read(buffer)) {
            Ok(0) => {
                self.local_has_ended = true;
                self.local.fault().map_or(Ok(()), Err)
            }
            Err(error) if !sys::is_transient(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves data to the channel, and then EOF.
    fn send(&mut self, connection: &mut Connection) -> Result<(), SshError> {
        while !self.to_server.is_empty() {
            match connection.write(self.channel, self.to_server.bytes())? {
                0 => return Ok(()),
                count => self.to_server.consume(count),
            }
        }
        if self.local_has_ended && !self.is_eof_sent {
            self.is_eof_sent = true;
            connection.send_eof(self.channel)?;
        }
        Ok(())
    }

    fn interest(&self) -> Interest {
        Interest {
            read: self.is_open && self.to_server.is_empty() && !self.local_has_ended,
            write: !self.to_local.is_empty(),
            hangup: false,
        }
    }

    /// Adds the connection at this end to a set.
    pub(super) fn register<'a>(&'a self, connection: &Connection, polls: &mut PollSet<'a>) {
        let has_data = self.is_open
            && self.to_local.is_empty()
            && !self.server_has_ended
            && connection.is_readable(self.channel, Source::Data);
        let can_send = !self.to_server.is_empty() && connection.is_writable(self.channel);
        if has_data || can_send {
            polls.set_ready();
        }
        self.local.register(self.interest(), polls);
    }

    /// Returns the result for the last [`register`](Self::register).
    pub(super) fn ready(&self, events: &mut Events) -> Ready {
        self.local.ready(self.interest(), events)
    }

    /// Resets the connection at this end, so that the client does not take the end for EOF.
    pub(super) fn abort(mut self) {
        self.local.reset_on_close();
    }
}

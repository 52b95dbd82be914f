//! A channel of an SSH connection as a [`Codec`]: plaintext on one side, packets on the other.
//!
//! - A half-close becomes `CHANNEL_EOF`, and data from the peer is still delivered.
//! - EOF below without `CHANNEL_EOF` or `CHANNEL_CLOSE` is an error.
//! - The peer sends at most one window before it is read, so a full stream never stops window
//!   adjustments, key exchanges and answers.

use std::fmt;
use std::io;
use std::time::Instant;

use crate::ssh::connection::{ChannelId, Connection, Event, Source};
use crate::ssh::error::Error;
use crate::stream::Codec;

#[cfg(test)]
mod tests;

/// The reason to refuse channels that the peer asks for (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;

/// The only channel of a connection.
#[derive(Debug)]
pub struct SshChannel {
    connection: Connection,
    channel: ChannelId,
    opened: Instant,
    /// No more data will be sent.
    is_ended: bool,
    /// The connection is over.
    is_disconnected: bool,
    /// The server's name for messages.
    server: Box<str>,
}

/// The failure of a connection whose channel was open.
#[derive(Debug)]
pub struct Broken {
    server: Box<str>,
    cause: Error,
}

impl Broken {
    /// Creates a failure. `server` is the server's name for messages.
    #[must_use]
    pub fn new(server: Box<str>, cause: Error) -> Self {
        Self { server, cause }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause.message(&self.server))
    }
}

impl std::error::Error for Broken {}

impl Broken {
    /// Returns the error of a stream for this failure of the connection to a server.
    #[must_use]
    pub fn error(server: &str, cause: Error) -> io::Error {
        let kind = match cause {
            Error::Closed => io::ErrorKind::UnexpectedEof,
            Error::Disconnected { .. } => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, Self { server: server.into(), cause })
    }
}

impl SshChannel {
    /// Continues with an open channel. Data for it may have arrived already.
    #[must_use]
    pub fn new(connection: Connection, channel: ChannelId, server: String) -> Self {
        let server = server.into();
        Self { connection, channel, opened: Instant::now(), is_ended: false, is_disconnected: false, server }
    }

    /// Reports a failure to the peer, if it has not ended the connection, and wraps it for the
    /// message about the session.
    fn failed(&mut self, cause: Error) -> io::Error {
        if !self.is_disconnected && !matches!(cause, Error::Closed | Error::Disconnected { .. }) {
            let (reason, text) = cause.farewell();
            self.connection.disconnect_with(reason, text);
        }
        self.is_disconnected = true;
        self.layer_error(cause)
    }

    fn layer_error(&self, cause: Error) -> io::Error {
        Broken::error(&self.server, cause)
    }

    fn process_events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.connection.next_event() {
            match event {
                Event::Asked(id, ..) => self.connection.refuse(id, PROHIBITED, "no channels are accepted")?,
                Event::Request(id, _, true, _) => self.connection.answer(id, false)?,
                Event::GlobalRequest(_, true, _) => self.connection.answer_global(None)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Exchanges keys again if the current ones have been used for long enough.
    fn rekey_if_due(&mut self) -> Result<(), Error> {
        if self.is_disconnected { Ok(()) } else { self.connection.on_time(self.opened.elapsed()) }
    }

    /// Ends the connection once both directions of the channel have ended.
    fn end_if_over(&mut self) -> Result<(), Error> {
        let has_ended = self.connection.has_ended(self.channel);
        if self.is_ended && has_ended && !self.is_disconnected {
            self.is_disconnected = true;
            self.connection.close_sending(self.channel)?;
            self.connection.disconnect();
        }
        Ok(())
    }
}

impl Codec for SshChannel {
    fn read_wire(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.connection.receive(bytes).and_then(|()| self.process_events());
        let result = result.and_then(|()| self.end_if_over()).and_then(|()| self.rekey_if_due());
        result.map_err(|error| self.failed(error))?;
        Ok(bytes.len())
    }

    fn truncated(&self) -> io::Error {
        let fault = self.connection.fault().cloned();
        self.layer_error(fault.unwrap_or_else(|| self.connection.transport().closed()))
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count =
            self.connection.read(self.channel, Source::Data, buffer).map_err(|error| self.failed(error))?;
        match (count, self.connection.fault()) {
            (Some(count), _) => Ok(count),
            (None, Some(fault)) => Err(self.layer_error(fault.clone())),
            (None, None) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn has_plain(&self) -> bool {
        self.connection.is_readable(self.channel, Source::Data) || self.connection.fault().is_some()
    }

    fn accepts_plain(&self) -> bool {
        self.connection.is_writable(self.channel) || self.connection.has_closed(self.channel)
    }

    fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.connection.has_closed(self.channel) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        while written < bytes.len() {
            match self
                .connection
                .write(self.channel, &bytes[written..])
                .map_err(|error| self.failed(error))?
            {
                0 => break,
                count => written += count,
            }
        }
        // Not before the data: during a key exchange, none can be sent.
        self.rekey_if_due().map_err(|error| self.failed(error))?;
        if written == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    fn pending_wire(&self) -> &[u8] {
        self.connection.transport().output()
    }

    fn wire_written(&mut self, count: usize) {
        self.connection.sent(count);
    }

    fn close(&mut self) {
        self.is_ended = true;
        // Sending fails without random bytes; closing the connection then ends the session.
        let _ = self.connection.send_eof(self.channel).and_then(|()| self.end_if_over());
    }

    fn ping(&mut self) -> bool {
        // Peers also answer requests that they do not know.
        self.connection.global_request("keepalive@openssh.com", true, &[]).is_ok()
    }

    fn abort(&mut self) -> bool {
        self.is_ended = true;
        self.is_disconnected = true;
        self.connection.close(self.channel).is_ok()
    }
}

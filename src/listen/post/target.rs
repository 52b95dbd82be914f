//! The connection to the target of one tunnel.

use std::io;
use std::time::Duration;

use super::connection::ClientId;
use crate::error::os_message;
use crate::listen::gate::Lease;
use crate::net::{Peers, Tunnel};
use crate::proto::post::{Reset, ResetCode, Sid, Table};
use crate::stream::{Closing, Events, Interest, PollSet, Registration, Stream};
use crate::sys::Ready;

/// Reads and writes in a row for one tunnel, so that the others get their turn.
const MAX_CALLS: usize = 16;

/// The connection to a target.
pub(super) struct Target {
    pub(super) sid: Sid,
    stream: Box<dyn Stream>,
    pub(super) registration: Registration,
    pub(super) peers: Peers,
    /// The permission of the client, for as long as the tunnel exists.
    pub(super) lease: Lease,
    /// The client that has opened the tunnel.
    pub(super) client: ClientId,
    /// The target accepts no more bytes.
    is_broken: bool,
    has_ended: bool,
    /// The last call could not write everything.
    is_full: bool,
    closing: Option<Closing>,
    /// The reason why the connection failed.
    pub(super) fault: Option<io::Error>,
}

impl Target {
    pub(super) fn new(sid: Sid, tunnel: Tunnel, lease: Lease, client: ClientId) -> Self {
        let Tunnel { mut stream, peers } = tunnel;
        stream.set_reset_on_exit(true);
        Self {
            sid,
            stream,
            registration: Registration::default(),
            peers,
            lease,
            client,
            is_broken: false,
            has_ended: false,
            is_full: false,
            closing: None,
            fault: None,
        }
    }

    /// Describes the client for messages.
    pub(super) fn described(&self) -> String {
        self.client.described(self.lease.identity())
    }

    fn interest(&self, table: &Table) -> Interest {
        if let Some(closing) = &self.closing {
            return closing.interest();
        }
        let read = !self.has_ended && table.room(self.sid) > 0;
        Interest { read, write: self.is_full && !self.is_broken, hangup: false }
    }

    pub(super) fn register<'a>(&'a self, table: &Table, polls: &mut PollSet<'a>) {
        self.stream.register(self.interest(table), polls);
    }

    /// Moves bytes between the tunnel and the target. Returns `true` if the connection is over.
    pub(super) fn advance(
        &mut self,
        mut events: Events,
        table: &mut Table,
        buffer: &mut [u8],
        now: Duration,
    ) -> bool {
        let ready = self.stream.ready(self.interest(table), &mut events);
        if let Some(closing) = &mut self.closing {
            return closing.advance(&mut *self.stream, ready);
        }
        if ready.write {
            // An error shows up in the next write.
            let _ = self.stream.flush();
        }
        self.write(table, now);
        if ready.read {
            self.read(table, buffer, now);
        }
        self.has_ended && self.fault.is_some()
    }

    /// Passes on the bytes from the client, and EOF after them.
    pub(super) fn write(&mut self, table: &mut Table, now: Duration) {
        self.is_full = false;
        for _ in 0..MAX_CALLS {
            let pending = table.pending(self.sid);
            if pending.is_empty() || self.is_broken {
                break;
            }
            match self.stream.write(pending) {
                Ok(count) => table.written(self.sid, count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.is_broken = true;
                    // After EOF, the target has said everything, and wants no more.
                    if !self.has_ended {
                        self.fault.get_or_insert(error);
                    }
                    table.write_failed(self.sid, now);
                }
            }
        }
        self.is_full = !table.pending(self.sid).is_empty();
        if table.must_shut_down(self.sid) && !self.is_broken {
            // A failure means that the target is gone, which the next read reports.
            let _ = self.stream.shut_down_writing();
        }
        // A layer may hold the bytes, and register waits for room for them.
        let _ = self.stream.flush();
    }

    fn read(&mut self, table: &mut Table, buffer: &mut [u8], now: Duration) {
        for _ in 0..MAX_CALLS {
            let room = table.room(self.sid).min(buffer.len());
            if room == 0 || self.has_ended {
                return;
            }
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => {
                    self.has_ended = true;
                    let fault = self.fault.take().or_else(|| self.stream.fault());
                    return match fault {
                        Some(fault) => self.fail(fault, table, now),
                        None => table.target_ended(self.sid, now),
                    };
                }
                Ok(count) => table.received(self.sid, &buffer[..count], now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.has_ended = true;
                    return self.fail(error, table, now);
                }
            }
        }
    }

    fn fail(&mut self, error: io::Error, table: &mut Table, now: Duration) {
        let text = os_message(&error);
        self.fault = Some(error);
        table.failed(self.sid, Reset { code: ResetCode::CutOff, text }, now);
    }

    /// Resets the connection when it is dropped.
    pub(super) fn reset(&mut self) {
        self.stream.reset_on_close();
    }

    /// Ends the connection. Returns `true` if it can be dropped at once.
    pub(super) fn close(&mut self) -> bool {
        self.stream.set_reset_on_exit(false);
        let _ = self.stream.shut_down_writing();
        self.closing = Closing::begin(&mut *self.stream);
        self.closing.is_none()
    }

    /// Returns the time limit of a connection that is closing.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.closing.as_ref().map(Closing::timeout)
    }

    /// Continues to close the connection after a timeout. Returns `true` if it can be dropped.
    pub(super) fn time_out(&mut self) -> bool {
        let closing = self.closing.as_mut();
        closing.is_some_and(|closing| closing.advance(&mut *self.stream, Ready::default()))
    }
}

//! The state of a shared connection, which its streams and its driver lock in turn.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::slot::{Phase, Slot, Tail, Wake};
use super::turns::Turns;
use crate::codecs::ssh::Broken;
use crate::proto;
use crate::proto::ssh::ChannelTarget;
use crate::ssh::connection::{ChannelId, Connection, MAX_DATA, Source};
use crate::ssh::error::Error;
use crate::ssh::liveness::{Liveness, MAX_UNANSWERED};
use crate::stream::{Interest, Stream, Waker};
use crate::sys::{self, Ready};
use crate::trace::trace;
use crate::tunnels::aborting::Abort;

mod driving;

/// A connection that many streams share.
pub(super) struct Shared(Mutex<State>);

/// The settings of a shared connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name for messages.
    pub server: String,
    /// The time without input before the server must prove that it is alive; `None` for never.
    pub keep_alive: Option<Duration>,
}

/// The failure that ended a connection.
#[derive(Debug)]
enum Fault {
    Protocol(Error),
    /// The connection below failed.
    Below(io::Error),
    /// The server has not answered.
    Silent,
}

pub(super) struct State {
    connection: Connection,
    below: Box<dyn Stream>,
    settings: Settings,
    started: Instant,
    slots: BTreeMap<ChannelId, Slot>,
    turns: Turns,
    /// The bytes of output that were written below.
    flushed: u64,
    liveness: Liveness,
    fault: Option<Fault>,
    /// Wakes the thread that drives the connection.
    driver: Option<Waker>,
    /// The driver polls for room below.
    awaits_room: bool,
    /// The connection below accepts nothing anymore. The reason may still arrive.
    is_broken: bool,
}

impl Shared {
    pub(super) fn new(connection: Connection, below: Box<dyn Stream>, settings: Settings) -> Self {
        let liveness = Liveness::new(settings.keep_alive);
        Self(Mutex::new(State {
            connection,
            below,
            settings,
            started: Instant::now(),
            slots: BTreeMap::new(),
            turns: Turns::default(),
            flushed: 0,
            liveness,
            fault: None,
            driver: None,
            awaits_room: false,
            is_broken: false,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Abort for Shared {
    /// Ends the connection, because the process ends.
    fn abort(&self) {
        let mut state = self.lock();
        if state.fault.is_none() {
            state.connection.disconnect();
            state.flush();
        }
    }
}

/// The streams' side.
impl State {
    /// Returns `true` if the connection has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    /// Requests a channel. Returns `None` if the connection has no room for another one.
    pub(super) fn open(&mut self, target: &ChannelTarget) -> Option<ChannelId> {
        let opened = self.connection.open(target.kind(), &target.data(None));
        let id = opened.map_err(|error| self.fail(Fault::Protocol(error))).ok()??;
        self.slots.insert(id, Slot::new(target.clone()));
        self.flush();
        Some(id)
    }

    /// Returns `WouldBlock` until the server has answered the request for a channel.
    pub(super) fn confirm(&mut self, id: ChannelId) -> io::Result<()> {
        let error = self.error();
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        match (&slot.phase, error) {
            (Phase::Refused(cause), _) => {
                let failure = slot.failure(cause.clone());
                Err(io::Error::other(proto::Error::Ssh(Box::new(failure))))
            }
            (Phase::Open, _) => Ok(()),
            (_, Some(error)) => Err(error),
            (Phase::Opening, None) => Err(io::ErrorKind::WouldBlock.into()),
            (Phase::Confirmed, None) => {
                slot.phase = Phase::Open;
                Ok(())
            }
        }
    }

    pub(super) fn read(&mut self, id: ChannelId, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.connection.read(id, Source::Data, buffer);
        let count = count.map_err(|error| self.fail(Fault::Protocol(error))).ok().flatten();
        // The window may have grown.
        self.flush();
        count.map_or_else(|| Err(self.error().unwrap_or_else(|| io::ErrorKind::WouldBlock.into())), Ok)
    }

    pub(super) fn write(&mut self, id: ChannelId, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        if self.connection.has_closed(id) || self.slots.get(&id).is_none_or(|slot| slot.is_ended) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        while written < bytes.len() && self.turns.may_write(id, self.room()) {
            match self.connection.write(id, &bytes[written..]) {
                Ok(0) => break,
                Ok(count) => {
                    written += count;
                    self.turns.wrote(id);
                }
                Err(error) => {
                    self.fail(Fault::Protocol(error));
                    break;
                }
            }
        }
        self.rekey_if_due();
        self.flush();
        if written == 0 {
            return Err(self.error().unwrap_or_else(|| io::ErrorKind::WouldBlock.into()));
        }
        self.mark(id);
        Ok(written)
    }

    /// Sends EOF, once.
    pub(super) fn end(&mut self, id: ChannelId) -> io::Result<()> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        if !std::mem::replace(&mut slot.is_ended, true) {
            if let Err(error) = self.connection.send_eof(id) {
                self.fail(Fault::Protocol(error));
            }
            self.mark(id);
            self.turns.give_up(id);
            self.flush();
        }
        Ok(())
    }

    /// Returns the number of bytes of a channel that wait in the output.
    pub(super) fn undelivered(&self, id: ChannelId) -> usize {
        match self.slots.get(&id).map(|slot| slot.tail) {
            Some(Tail::At(end)) => usize::try_from(end.saturating_sub(self.flushed)).unwrap_or(usize::MAX),
            Some(Tail::AfterExchange) => 1,
            None => 0,
        }
    }

    /// Returns the events that are ready.
    pub(super) fn ready(&self, id: ChannelId, want: Interest) -> Ready {
        let Some(slot) = self.slots.get(&id) else { return Ready::default() };
        let is_ready = match slot.phase {
            _ if self.fault.is_some() => true,
            Phase::Opening => return Ready::default(),
            Phase::Confirmed | Phase::Refused(_) => true,
            Phase::Open => false,
        };
        let can_write = if slot.is_ended {
            self.undelivered(id) == 0
        } else {
            self.connection.has_window(id) && self.turns.may_write(id, self.room())
        };
        Ready {
            read: want.read && (is_ready || self.connection.is_readable(id, Source::Data)),
            write: want.write && (is_ready || can_write || self.connection.has_closed(id)),
            gone: false,
        }
    }

    /// Prepares a wait. Returns `true` if an event is already ready.
    pub(super) fn prepare(&mut self, id: ChannelId, want: Interest) -> bool {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.waiter = None;
            let is_ended = slot.is_ended;
            if !want.write {
                self.turns.give_up(id);
                self.grant();
            } else if !is_ended && self.connection.has_window(id) && !self.ready(id, want).write {
                self.turns.wait(id);
                self.grant();
            }
        }
        let Ready { read, write, .. } = self.ready(id, want);
        read || write
    }

    /// Wakes the stream at the next event.
    pub(super) fn wait(&mut self, id: ChannelId, want: Interest, wake: Wake) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.waiter = Some((wake, want));
        }
    }

    /// Closes the channel. Its stream is gone.
    pub(super) fn close(&mut self, id: ChannelId) {
        if self.slots.remove(&id).is_some() {
            if self.fault.is_none()
                && let Err(error) = self.connection.close(id)
            {
                self.fail(Fault::Protocol(error));
            }
            self.turns.give_up(id);
            self.flush();
        }
    }

    /// Returns the error that ended the connection.
    pub(super) fn error(&self) -> Option<io::Error> {
        let server = &self.settings.server;
        Some(match self.fault.as_ref()? {
            Fault::Protocol(cause) => Broken::error(server, cause.clone()),
            Fault::Below(cause) => sys::clone_io_error(cause),
            Fault::Silent => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{server} did not answer {MAX_UNANSWERED} keepalive requests"),
            ),
        })
    }

    /// Remembers the end of the output as the place of the last bytes of a channel.
    fn mark(&mut self, id: ChannelId) {
        let end = self.end_of_output();
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.tail = end.map_or(Tail::AfterExchange, Tail::At);
        }
    }

    /// Returns the number of bytes up to the end of the output; `None` if messages wait for the end
    /// of a key exchange.
    fn end_of_output(&self) -> Option<u64> {
        let transport = self.connection.transport();
        transport.can_send().then(|| self.flushed + transport.output().len() as u64)
    }

    /// Returns the number of packets with data that the output has room for.
    fn room(&self) -> usize {
        self.connection.room().div_ceil(MAX_DATA as usize)
    }
}

/// Both sides.
impl State {
    /// Writes as much of the output as the connection below accepts.
    fn flush(&mut self) {
        while !self.is_broken && !self.connection.transport().output().is_empty() {
            match self.below.write(self.connection.transport().output()) {
                Ok(count) => {
                    self.connection.sent(count);
                    self.flushed += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The peer may have sent the reason, which the driver will read.
                Err(_) => self.is_broken = true,
            }
        }
        if self.is_broken {
            self.connection.sent(self.connection.transport().output().len());
        }
        let is_blocked = matches!(self.below.flush(), Err(error) if sys::is_transient(&error))
            || !self.connection.transport().output().is_empty();
        if is_blocked && !self.awaits_room {
            self.wake_driver();
        }
        self.grant();
    }

    fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake();
        }
    }

    /// Gives turns to the channels that wait for room.
    fn grant(&mut self) {
        while let Some(id) = self.turns.grant(self.room()) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.wake();
            }
        }
    }

    fn fail(&mut self, fault: Fault) {
        if self.fault.is_some() {
            return;
        }
        if let Fault::Protocol(cause) = &fault
            && !matches!(cause, Error::Closed | Error::Disconnected { .. })
        {
            let (reason, text) = cause.farewell();
            self.connection.disconnect_with(reason, text);
        }
        self.fault = Some(fault);
        self.flush();
        // Nothing may follow the DISCONNECT.
        self.is_broken = true;
        if let Some(error) = self.error() {
            trace!("shared connection: {error}");
        }
        self.slots.values_mut().for_each(Slot::wake);
        self.wake_driver();
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn rekey_if_due(&mut self) {
        if let Err(error) = self.connection.on_time(self.now()) {
            self.fail(Fault::Protocol(error));
        }
    }
}

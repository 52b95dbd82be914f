//! The work of the thread that drives a shared connection.

use std::io;
use std::time::Duration;

use super::{Fault, State};
use crate::ssh::connection::{ChannelId, Event};
use crate::ssh::error::Error;
use crate::ssh::liveness::Due;
use crate::stream::{Interest, PollSet, Waker};
use crate::sys::{self, Ready};
use crate::tunnels::Broken;
use crate::tunnels::ssh::slot::{Phase, Tail};

/// The reason to refuse channels that the server asks for (RFC 4254 §5.1).
const PROHIBITED: u32 = 1;

/// The maximum number of reads before the streams have their turns.
const MAX_READS: usize = 4;

/// Nothing is read while this many bytes wait to be sent, because a server can request answers
/// without reading them.
const MAX_PENDING: usize = 1024 * 1024;

impl State {
    /// Sets the waker of the thread that drives the connection.
    pub(in crate::tunnels::ssh) fn set_driver(&mut self, waker: Waker) {
        self.driver = Some(waker);
    }

    /// Ends the connection, because waiting for it failed.
    pub(in crate::tunnels::ssh) fn lose(&mut self, error: io::Error) {
        self.fail(Fault::Below(error));
    }

    /// Closes the connection below, which has failed.
    pub(in crate::tunnels::ssh) fn close_below(&mut self) {
        self.driver = None;
        self.below = Box::new(Broken::new(io::ErrorKind::NotConnected.into()));
    }

    /// Adds the connection below to the descriptors to poll.
    pub(in crate::tunnels::ssh) fn register<'a>(&'a self, polls: &mut PollSet<'a>) {
        self.below.register(self.interest(), polls);
    }

    /// Notes the events for which the driver will wait.
    pub(in crate::tunnels::ssh) fn begin_wait(&mut self) {
        self.awaits_room = self.interest().write;
    }

    fn interest(&self) -> Interest {
        let pending = self.connection.transport().output().len();
        Interest { read: pending < MAX_PENDING, write: pending > 0, hangup: false }
    }

    /// Returns how long to wait; `None` for no limit.
    pub(in crate::tunnels::ssh) fn time_left(&self) -> Option<Duration> {
        let liveness = self.liveness.deadline().map(|deadline| deadline.saturating_sub(self.now()));
        liveness.into_iter().chain(self.below.time_left()).min()
    }

    /// Moves what can be moved, and does what is due.
    pub(in crate::tunnels::ssh) fn drive(&mut self, buffer: &mut [u8]) {
        if self.below.time_left().is_some_and(|left| left.is_zero()) {
            self.below.on_time();
        }
        self.flush();
        for _ in 0..MAX_READS {
            if self.fault.is_some() || !self.interest().read || !self.receive(buffer) {
                break;
            }
        }
        if self.fault.is_none() {
            self.check_liveness();
            self.rekey_if_due();
        }
        self.flush();
        self.notify();
    }

    /// Reads once. Returns `true` if there may be more to read.
    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        let received = match self.below.read(buffer) {
            Ok(0) => {
                let cause = self.connection.fault().cloned().unwrap_or(Error::Closed);
                Err(Fault::Protocol(cause))
            }
            Ok(count) => {
                let now = self.now();
                self.liveness.received(now);
                let received = self.connection.receive(&buffer[..count]);
                received.and_then(|()| self.process_events()).map_err(Fault::Protocol)
            }
            Err(error) if sys::is_transient(&error) => return false,
            Err(error) => Err(Fault::Below(error)),
        };
        if let Err(fault) = received {
            self.fail(fault);
            return false;
        }
        self.flush();
        true
    }

    fn process_events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.connection.next_event() {
            match event {
                Event::Opened(id) => self.answered(id, Phase::Confirmed),
                Event::Refused(id, reason, text) => {
                    self.answered(id, Phase::Refused(Error::ChannelRefused { reason, text }));
                }
                Event::Asked(id, ..) => self.connection.refuse(id, PROHIBITED, "no channels are accepted")?,
                Event::Request(id, _, true, _) => self.connection.answer(id, false)?,
                Event::GlobalRequest(_, true, _) => self.connection.answer_global(None)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn answered(&mut self, id: ChannelId, phase: Phase) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.phase = phase;
        }
    }

    fn check_liveness(&mut self) {
        match self.liveness.due(self.now()) {
            Due::Nothing => {}
            // Servers also answer requests that they do not know.
            Due::Request => {
                if let Err(error) = self.connection.global_request("keepalive@openssh.com", true, &[]) {
                    self.fail(Fault::Protocol(error));
                }
            }
            Due::Failure => self.fail(Fault::Silent),
        }
    }

    /// Wakes the streams with an event.
    fn notify(&mut self) {
        let end = self.end_of_output();
        for slot in self.slots.values_mut().filter(|slot| slot.tail == Tail::AfterExchange) {
            slot.tail = end.map_or(Tail::AfterExchange, Tail::At);
        }
        for (id, slot) in &self.slots {
            let wants_to_write = slot.waiter.as_ref().is_some_and(|(_, want)| want.write) && !slot.is_ended;
            if wants_to_write && self.connection.has_window(*id) {
                // A window has opened.
                self.turns.wait(*id);
            }
        }
        self.grant();
        let waiting = self.slots.iter().filter_map(|(id, slot)| Some((*id, slot.waiter.as_ref()?.1)));
        let woken: Vec<_> = waiting.filter(|(id, want)| self.has_event(*id, *want)).collect();
        for (id, _) in woken {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.wake();
            }
        }
    }

    fn has_event(&self, id: ChannelId, want: Interest) -> bool {
        let Ready { read, write, .. } = self.ready(id, want);
        read || write
    }
}

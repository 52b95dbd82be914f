//! The thread of a link: moves bytes between its pipe and the local sides of its streams.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::local::Local;
use super::mailbox::{DialFailure, Mailbox, Message};
use super::pipe::{Pipe, PipeEnd};
use super::role::Role;
use crate::proto::link::{Cause, End, Event, Link, StreamId, redial_delay};
use crate::proto::post::{Reset, ResetCode};
use crate::proto::websocket::CloseCode;
use crate::stream::{Interest, PollSet, Stream};
use crate::sys::{self, Channel, Ready};
use crate::trace::trace;

/// Size of the buffer for the pipe and the local sides.
const BUFFER_SIZE: usize = 64 * 1024;

/// Maximum number of reads from the pipe before the local sides have their turns.
const MAX_READS: usize = 4;

/// Delay after a failed wait, so that a permanent failure does not occupy a processor.
const ERROR_DELAY: Duration = Duration::from_millis(100);

/// The state of the thread.
pub struct Runner {
    link: Link,
    pipe: Option<Pipe>,
    locals: BTreeMap<StreamId, Local>,
    role: Box<dyn Role>,
    mailbox: Arc<Mailbox>,
    wake: Channel,
    started: Instant,
    /// The time for which the link survives without a pipe, for messages.
    resume: Duration,
    buffer: Vec<u8>,
    /// The number of attempts since the latest pipe that worked.
    failures: u32,
    /// The reason why the latest attempt has failed.
    last_failure: String,
    is_dialling: bool,
    has_ended: bool,
    /// The time since which the link has no streams.
    idle_since: Duration,
    /// The code of the Close of the last pipe.
    closing_code: CloseCode,
}

impl Runner {
    /// Creates the state for a link, whose clock starts now. `resume` is the time for which the
    /// link survives without a pipe. `wake` belongs to the mailbox.
    #[must_use]
    pub fn new(
        link: Link,
        role: Box<dyn Role>,
        (mailbox, wake): (Arc<Mailbox>, Channel),
        resume: Duration,
    ) -> Self {
        Self {
            link,
            pipe: None,
            locals: BTreeMap::new(),
            role,
            mailbox,
            wake,
            started: Instant::now(),
            resume,
            buffer: vec![0; BUFFER_SIZE],
            failures: 0,
            last_failure: String::new(),
            is_dialling: false,
            has_ended: false,
            idle_since: Duration::ZERO,
            closing_code: CloseCode::NORMAL,
        }
    }

    /// Carries the link of a dest over this pipe and later ones until the link ends. Without the
    /// pipe, ends the link for this cause.
    pub fn run_dest(mut self, pipe: Result<Pipe, Cause>) {
        let now = self.now();
        match pipe {
            Ok(pipe) => {
                if self.link.connect(now) {
                    self.pipe = Some(pipe);
                }
                self.run();
            }
            Err(cause) => {
                self.end(Some(&cause));
                self.refuse_waiting();
            }
        }
    }

    /// Carries the link of an origin over this pipe and later ones until the link ends. `first` are
    /// bytes of the pipe after the HELLO.
    pub fn run_origin(mut self, pipe: Pipe, first: &[u8]) {
        self.pipe = Some(pipe);
        self.receive(first);
        self.run();
    }

    fn run(mut self) {
        while !self.is_over() {
            self.handle_messages();
            self.move_data();
            if self.is_over() {
                break;
            }
            self.wait();
        }
        self.write_pipe();
        // Before the users learn of the end, because the process may end then.
        if let Some(pipe) = self.pipe.take() {
            pipe.close(self.closing_code);
        }
        self.end(None);
        self.refuse_waiting();
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn is_over(&self) -> bool {
        (self.has_ended || self.link.is_finished()) && self.locals.is_empty()
    }

    /// Ends the link, for this cause if it has failed.
    fn end(&mut self, cause: Option<&Cause>) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.role.ended(cause);
        }
        self.drop_locals();
    }

    fn end_link(&mut self, end: End) {
        let cause = match end {
            End::Closed => None,
            End::Reset(reset) => Some(Cause::Reset(reset)),
            End::NotResumed => {
                Some(Cause::NotResumed { time: self.resume, last: std::mem::take(&mut self.last_failure) })
            }
        };
        self.end(cause.as_ref());
    }

    /// Fails the streams that were opened after the end.
    fn refuse_waiting(&mut self) {
        for message in self.mailbox.take() {
            if let Message::Open(state, _) = message {
                self.role.added(state, None);
            }
        }
    }

    fn add(&mut self, id: StreamId, stream: Box<dyn Stream>) {
        self.locals.insert(id, Local::new(id, stream));
    }

    /// Drops the local sides whose streams are gone. Resets those that are not complete.
    fn drop_locals(&mut self) {
        let now = self.now();
        let link = &self.link;
        let gone: Vec<_> = self.locals.keys().copied().filter(|id| !link.has_stream(*id)).collect();
        for id in gone {
            let Some(mut local) = self.locals.remove(&id) else { continue };
            local.advance(&mut self.link, now);
            self.role.stream_ended(id, None);
            if local.is_complete() {
                local.close();
            } else {
                local.reset(&[]);
            }
        }
    }

    fn handle_messages(&mut self) {
        for message in self.mailbox.take() {
            let now = self.now();
            match message {
                Message::Dialled(result) => self.dialled(result),
                Message::Resumed(hello, pipe, first) => match self.link.resume(&hello, now) {
                    Ok(()) => {
                        trace!("link resumed");
                        self.pipe = Some(pipe);
                        self.receive(&first);
                    }
                    Err(violation) => {
                        trace!("refused a pipe of the link: {violation}");
                        pipe.close(CloseCode::PROTOCOL_ERROR);
                    }
                },
                Message::Connected(id, Ok(stream)) if self.link.has_stream(id) => {
                    self.link.connected(id);
                    self.add(id, stream);
                    if let Some(local) = self.locals.get_mut(&id).filter(|_| self.link.has_peer_ended(id)) {
                        local.peer_ended();
                    }
                }
                Message::Connected(_, Ok(_)) => {}
                Message::Connected(id, Err(reset)) => self.link.reset(id, reset),
                Message::Open(state, stream) => {
                    let id = self.link.open("", now);
                    if let Some(id) = id {
                        self.add(id, stream);
                    }
                    self.role.added(state, id);
                }
                Message::Abort(state) => {
                    if let Some(id) = state.id() {
                        self.link.reset(id, Reset::new(ResetCode::CutOff));
                    }
                }
            }
        }
    }

    fn dialled(&mut self, result: Result<Pipe, DialFailure>) {
        self.is_dialling = false;
        match result {
            Ok(pipe) => {
                if self.link.connect(self.now()) {
                    self.pipe = Some(pipe);
                }
            }
            Err(DialFailure::Temporary(why)) => {
                trace!("cannot resume the link yet: {why}");
                self.last_failure = why;
            }
            Err(DialFailure::Final(cause)) => self.fail(&cause),
        }
    }

    /// Ends the link because it cannot be resumed.
    fn fail(&mut self, cause: &Cause) {
        self.link.abort(&Reset::new(ResetCode::CutOff));
        self.end(Some(cause));
    }

    /// Moves as much data as the pipe and the local sides accept.
    fn move_data(&mut self) {
        loop {
            let now = self.now();
            if !self.locals.is_empty() {
                self.idle_since = now;
            }
            for local in self.locals.values_mut() {
                local.advance(&mut self.link, now);
                if local.is_ready() {
                    self.link.set_ready(local.id());
                }
            }
            self.drop_locals();
            self.leave_if_idle();
            while let Some(turn) = self.link.next_turn() {
                let Some(local) = self.locals.get_mut(&turn.stream) else { continue };
                local.send(&mut self.link, turn, &mut self.buffer);
            }
            if !self.write_pipe() {
                return;
            }
        }
    }

    /// Returns how long the link continues without streams; `None` forever.
    fn idle_time_left(&self) -> Option<Duration> {
        let linger = self.role.linger().filter(|_| self.locals.is_empty() && !self.link.is_leaving())?;
        Some(linger.saturating_sub(self.now().saturating_sub(self.idle_since)))
    }

    fn leave_if_idle(&mut self) {
        if self.idle_time_left() == Some(Duration::ZERO) && self.role.refuse_streams(&self.mailbox) {
            self.link.go_away();
        }
    }

    /// Writes to the pipe. Returns `true` if it has accepted everything, and there may be more.
    fn write_pipe(&mut self) -> bool {
        let now = self.now();
        let mut has_written = false;
        let Some(pipe) = self.pipe.as_mut().filter(|pipe| !pipe.refuses_writes) else { return false };
        loop {
            let pending = self.link.pending(now);
            let stream = &mut pipe.stream;
            let result = if pending.is_empty() { stream.flush().map(|()| 0) } else { stream.write(pending) };
            match result {
                Ok(0) => return has_written,
                Ok(count) => {
                    self.link.written(count);
                    has_written = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if sys::is_transient(&error) => return false,
                Err(_) => {
                    // The reason may still arrive in the other direction.
                    pipe.refuses_writes = true;
                    return false;
                }
            }
        }
    }

    /// Handles the end of the pipe.
    fn pipe_lost(&mut self, end: &PipeEnd) {
        self.pipe = None;
        if self.link.has_ended() {
            return self.end(None);
        }
        if *end == PipeEnd::Normal
            && let Some(end) = self.link.closed(self.now())
        {
            return self.end_link(end);
        }
        trace!("lost the connection to the other end: {end}");
        match self.role.pipe_lost(end) {
            Some(cause) => self.fail(&cause),
            None => self.link.broken(self.now()),
        }
    }

    fn read_pipe(&mut self) {
        for _ in 0..MAX_READS {
            let Some(pipe) = &mut self.pipe else { return };
            let mut buffer = std::mem::take(&mut self.buffer);
            let result = pipe.stream.read(&mut buffer);
            if let Ok(count) = result {
                self.receive(&buffer[..count]);
            }
            self.buffer = buffer;
            match PipeEnd::from_result(&result) {
                Some(end) => self.pipe_lost(&end),
                None if result.is_err() => return,
                None => {}
            }
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        let now = self.now();
        loop {
            match self.link.receive(&mut bytes, now) {
                Ok(Some(event)) => self.handle_event(event, now),
                Ok(None) => return,
                Err(violation) => {
                    self.closing_code = CloseCode::PROTOCOL_ERROR;
                    return self.end(Some(&Cause::Unusable(violation.to_string())));
                }
            }
        }
    }

    fn handle_event(&mut self, event: Event<'_>, now: Duration) {
        match event {
            Event::Established => {
                self.failures = 0;
                self.last_failure.clear();
                self.role.established();
            }
            Event::Opened(id, target) => self.role.opened(id, &target),
            Event::Connected(_) | Event::GoAway(_) => {}
            Event::Data(id, data) => {
                let local = self.locals.get_mut(&id);
                let count = local.map_or(0, |local| local.write(&mut self.link, data));
                self.link.accepted(id, data, count, now);
            }
            Event::Eof(id) => {
                if let Some(local) = self.locals.get_mut(&id) {
                    local.peer_ended();
                }
            }
            Event::Reset(id, reset, unread) => {
                self.role.stream_ended(id, Some(&reset));
                if let Some(local) = self.locals.remove(&id) {
                    local.reset(&unread);
                }
            }
            Event::Ended(reset) => self.end(Some(&Cause::Reset(reset))),
        }
    }

    /// Waits for the pipe, the local sides, messages and time limits.
    fn wait(&mut self) {
        let now = self.now();
        if let Some(end) = self.link.advance(now) {
            return self.end_link(end);
        }
        if self.link.needs_pipe() {
            self.pipe = None;
            self.redial();
        }
        let has_pending = !self.link.pending(now).is_empty();
        if !has_pending {
            self.role.flushed();
        }
        let pipe_timeout = self.pipe.as_ref().and_then(|pipe| pipe.stream.time_left());
        let polled = self.poll(self.timeout(now, pipe_timeout), has_pending);
        let Ok((woken, pipe_ready)) = polled else {
            thread::sleep(ERROR_DELAY);
            return;
        };
        if woken {
            // The bytes have no meaning.
            let _ = self.wake.read(&mut [0; 64]);
        }
        if self.role.time_left() == Some(Duration::ZERO) {
            self.role.on_time();
        }
        if let Some(pipe) = self.pipe.as_mut().filter(|_| pipe_timeout.is_some_and(|left| left.is_zero())) {
            pipe.stream.on_time();
        }
        if pipe_ready.read || pipe_ready.gone {
            self.read_pipe();
        }
    }

    /// Returns the time for the next wait. `now` is when the link was advanced: what was due then
    /// waits for the pipe, but what has become due since must not be missed.
    fn timeout(&self, now: Duration, pipe_timeout: Option<Duration>) -> Option<Duration> {
        let deadline = self.link.deadline().filter(|at| *at > now);
        let deadline = deadline.map(|at| at.saturating_sub(self.now()));
        [pipe_timeout, deadline, self.idle_time_left(), self.role.time_left()].into_iter().flatten().min()
    }

    /// Polls everything. Returns whether a message has arrived, and the state of the pipe.
    fn poll(&mut self, timeout: Option<Duration>, has_pending: bool) -> io::Result<(bool, Ready)> {
        let writes = has_pending && self.pipe.as_ref().is_some_and(|pipe| !pipe.refuses_writes);
        let want = Interest { read: true, write: writes, hangup: false };
        let interests: Vec<Interest> = self.locals.values().map(|local| local.interest(&self.link)).collect();
        let mut polls = PollSet::with_capacity(2 + self.locals.len());
        polls.push(&self.wake, Interest::READ);
        if let Some(pipe) = &self.pipe {
            pipe.stream.register(want, &mut polls);
        }
        for (local, interest) in self.locals.values().zip(&interests) {
            local.stream().register(*interest, &mut polls);
        }
        let Some(mut events) = polls.wait(timeout)? else { return Ok((false, Ready::default())) };
        let woken = events.take();
        let pipe = self.pipe.as_ref().map(|pipe| pipe.stream.ready(want, &mut events)).unwrap_or_default();
        for (local, interest) in self.locals.values_mut().zip(&interests) {
            let ready = local.stream().ready(*interest, &mut events);
            local.note(ready);
        }
        Ok((woken.read, pipe))
    }

    fn redial(&mut self) {
        if !std::mem::replace(&mut self.is_dialling, true) {
            let random = sys::random().unwrap_or_default();
            let random = u32::from_be_bytes([random[0], random[1], random[2], random[3]]);
            self.role.dial(redial_delay(self.failures, random));
            self.failures = self.failures.saturating_add(1);
        }
    }
}

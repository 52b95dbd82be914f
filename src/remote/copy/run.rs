//! The loop that drives the connection during copies.

use std::io;
use std::time::{Duration, Instant};

use super::engine::{Engine, Fault};
use super::report::Report;
use crate::error::{Error, ExitCode, Peer};
use crate::plan::Copying;
use crate::remote::failure::{Failure, Progress};
use crate::remote::link::Link;
use crate::ssh::connection::{Event, Source};
use crate::ssh::error::Error as SshError;
use crate::ssh::scp;
use crate::ssh::session::{Exit, Program, Request, Session};
use crate::stream::{Chunk, Interest, PollSet};
use crate::sys::{self, Channel, Signal, Signals};
use crate::text::printable;

/// Time limit, after a signal, for the server to remove its partial files.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of the program's standard error that are kept for a message.
const MAX_STDERR: usize = 1024;

/// The reason for refusing a channel: administratively prohibited.
const PROHIBITED: u32 = 1;

/// The end of a copy over one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// The server does not have the program.
    Unavailable,
    /// A signal has ended the run.
    Stopped,
}

/// The state of a run, which all its copies use.
pub(super) struct Run<'a> {
    pub(super) link: Link,
    pub(super) signals: Signals,
    pub(super) plan: &'a Copying,
    pub(super) server: Peer,
    /// The time limit for the start of a program; `None` for none.
    pub(super) limit: Option<Duration>,
    pub(super) report: Report,
    /// Standard input, or standard output; `None` for a descriptor that was closed at program
    /// start.
    pub(super) standard: Option<Channel>,
}

/// A copy over one channel.
struct Copy<'a, 'b> {
    run: &'a mut Run<'b>,
    engine: &'a mut Engine,
    session: Session,
    started: Instant,
    /// The server has sent bytes.
    has_received: bool,
    /// The server sends no more bytes.
    has_ended: bool,
    is_end_sent: bool,
    stderr: Vec<u8>,
    /// After a signal: the deadline for the server to remove its partial files.
    cancelled: Option<Instant>,
}

impl Run<'_> {
    /// Copies over one channel.
    pub(super) fn copy(&mut self, engine: &mut Engine, program: Program) -> Result<End, Failure> {
        let request = Request { program, ..Request::default() };
        let session = Session::open(self.link.connection(), request)?;
        let copy = Copy {
            run: self,
            engine,
            session,
            started: Instant::now(),
            has_received: false,
            has_ended: false,
            is_end_sent: false,
            stderr: Vec::new(),
            cancelled: None,
        };
        copy.drive()
    }

    /// Ends the connection, and returns the exit code.
    pub(super) fn finish(self, result: Result<(), Failure>) -> Result<ExitCode, Error> {
        let Self { link, server, mut report, .. } = self;
        report.progress.clear();
        match result {
            Ok(()) => {
                link.close();
                Ok(report.exit_code())
            }
            Err(failure) => {
                link.fail(&failure);
                Err(failure.into_error(&server, Progress::Working))
            }
        }
    }

    /// Processes an event that does not concern the program.
    fn process(&mut self, event: &Event) -> Result<(), Failure> {
        let connection = self.link.connection();
        match event {
            Event::Asked(id, ..) => connection.refuse(*id, PROHIBITED, "no channels are accepted")?,
            Event::Request(id, _, true, _) => connection.answer(*id, false)?,
            Event::GlobalRequest(_, true, _) => connection.answer_global(None)?,
            Event::GlobalAnswer(_) => drop(self.link.answered()?),
            _ => {}
        }
        Ok(())
    }
}

impl Copy<'_, '_> {
    fn drive(mut self) -> Result<End, Failure> {
        // Bytes that an earlier read returned may contain more packets.
        let mut fault = self.run.link.process_received().err();
        loop {
            if let Some(end) = self.process_events()? {
                return Ok(end);
            }
            if let Some(end) = self.advance()? {
                self.close()?;
                return Ok(end);
            }
            if !self.engine.has_output()
                && let Some(failure) = fault.take()
            {
                return Err(failure);
            }
            if fault.is_none() {
                self.check_limit()?;
                self.run.link.on_time()?;
                self.run.link.send();
            }
            self.run.report.progress.update(Instant::now());
            if self.wait(fault.is_none())? {
                fault = self.run.link.receive().err();
            }
            if self.obey_signals() {
                return Ok(End::Stopped);
            }
        }
    }

    /// Processes the events of the connection. Returns an end if the server refuses the program.
    fn process_events(&mut self) -> Result<Option<End>, Failure> {
        while let Some(event) = self.run.link.connection().next_event() {
            match self.session.process(self.run.link.connection(), event) {
                Ok(None) => {}
                Ok(Some(event)) => self.run.process(&event)?,
                Err(SshError::RequestRefused(_)) => {
                    self.close()?;
                    return Ok(Some(End::Unavailable));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn close(&mut self) -> Result<(), Failure> {
        Ok(self.run.link.connection().close(self.session.channel())?)
    }

    /// Moves bytes in all directions until nothing more can move. Returns the end of the copy.
    fn advance(&mut self) -> Result<Option<End>, Failure> {
        while self.session.is_running() {
            if let Err(fault) = self.engine.advance(&mut self.run.report) {
                self.report(fault);
                return Ok(Some(End::Done));
            }
            let has_written = self.write_output()?;
            let has_sent = self.send()?;
            self.read_stderr()?;
            if !(self.receive()? | has_sent | has_written) {
                break;
            }
        }
        let channel = self.session.channel();
        if self.engine.is_over() && !self.is_end_sent {
            self.is_end_sent = true;
            self.run.link.connection().send_eof(channel)?;
        }
        if self.engine.is_over() && self.engine.is_sftp() {
            return Ok(Some(self.end()));
        }
        // The exit status may follow the end of the data, and precedes the end of the channel.
        let is_closed = self.run.link.as_connection().has_closed(channel);
        if self.has_ended && is_closed && !self.engine.has_output() {
            return Ok(Some(self.ended()));
        }
        Ok(None)
    }

    fn end(&self) -> End {
        if self.cancelled.is_some() { End::Stopped } else { End::Done }
    }

    /// Sends the bytes for the program. Returns `true` if the connection has taken some.
    fn send(&mut self) -> Result<bool, Failure> {
        let (channel, mut has_sent) = (self.session.channel(), false);
        while !self.engine.bytes().is_empty() {
            let count = self.run.link.connection().write(channel, self.engine.bytes())?;
            if count == 0 {
                break;
            }
            self.engine.sent(count);
            has_sent = true;
        }
        Ok(has_sent)
    }

    /// Takes bytes of the program. Returns `true` if there were some.
    fn receive(&mut self) -> Result<bool, Failure> {
        if self.has_ended || self.engine.has_output() {
            return Ok(false);
        }
        let mut chunk = Chunk::default();
        let (connection, mut result) = (self.run.link.connection(), Ok(None));
        chunk.fill(|buffer| {
            result = connection.read(self.session.channel(), Source::Data, buffer);
            Ok(result.as_ref().ok().copied().flatten().unwrap_or_default())
        })?;
        match result? {
            Some(0) => {
                self.has_ended = true;
                Ok(false)
            }
            Some(_) => {
                self.has_received = true;
                self.engine.receive(chunk.bytes());
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Keeps the start of the program's standard error for a message.
    fn read_stderr(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; MAX_STDERR];
        let (connection, channel) = (self.run.link.connection(), self.session.channel());
        while let Some(count @ 1..) = connection.read(channel, Source::Stderr, &mut buffer)? {
            let room = MAX_STDERR.saturating_sub(self.stderr.len());
            self.stderr.extend_from_slice(&buffer[..count.min(room)]);
        }
        Ok(())
    }

    /// Writes the waiting bytes to standard output. Returns `true` once all of them are written.
    fn write_output(&mut self) -> Result<bool, Failure> {
        let Some(output) = self.engine.output_mut().filter(|output| !output.is_empty()) else {
            return Ok(false);
        };
        while !output.is_empty() {
            let Some(channel) = &self.run.standard else {
                output.consume(usize::MAX);
                break;
            };
            let has_room = channel.can_write_unpolled()
                || sys::poll(&mut [sys::watch(channel, false, true)], Some(Duration::ZERO))?;
            if !has_room {
                return Ok(false);
            }
            match channel.write(output.bytes()) {
                Ok(count) => output.consume(count),
                Err(error) if sys::is_transient(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(Error::ReaderGone.into());
                }
                Err(error) => return Err(Error::Output(error).into()),
            }
        }
        Ok(true)
    }

    /// Reports a violation of the protocol, or the end of a copy by the server.
    fn report(&mut self, fault: Fault) {
        let report = &mut self.run.report;
        match fault {
            Fault::Sftp(error) => report.violated(&error),
            Fault::Scp(error @ scp::Error::Fatal(_)) => match &self.engine {
                Engine::ScpGet(copy) => report.server_failed(copy.remote(), &error),
                _ => report.server_failed(self.run.plan.destination.as_bytes(), &error),
            },
            Fault::Scp(error) => report.violated(&error),
        }
    }

    /// Returns the end of a copy whose channel the server has closed.
    fn ended(&mut self) -> End {
        let exit = self.session.exit().cloned();
        if self.cancelled.is_some() {
            return End::Stopped;
        }
        if self.engine.is_sftp() && !self.has_received && matches!(exit, Some(Exit::Status(126 | 127))) {
            return End::Unavailable;
        }
        let has_failed = self.run.report.exit_code() != ExitCode::Ok;
        let is_complete = self.engine.finish(&mut self.run.report);
        // scp exits with 1 after a failure that it has reported.
        if is_complete && (has_failed || matches!(exit, None | Some(Exit::Status(0)))) {
            return End::Done;
        }
        let first_line = self.stderr.trim_ascii().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let cause = match (first_line, exit) {
            (line @ [_, ..], _) => format!("\"{}\"", printable(line)),
            (_, Some(Exit::Status(status))) => format!("exit status {status}"),
            (_, Some(Exit::Signal(name))) => format!("SIG{name}"),
            (_, None) => "no exit status".into(),
        };
        self.run.report.server_says(&format_args!("ended the copy: {cause}"));
        End::Done
    }

    /// Fails if the server has not started the program in time.
    fn check_limit(&self) -> Result<(), Failure> {
        match self.run.limit {
            Some(limit) if !self.session.is_running() && self.started.elapsed() >= limit => {
                let doing = "did not open the channel".into();
                Err(Error::TimedOut { peer: self.run.server.clone(), doing, limit }.into())
            }
            _ => Ok(()),
        }
    }

    /// Returns how long to wait at most; `None` for no limit.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let start = self.run.limit.filter(|_| !self.session.is_running());
        [
            start.map(|limit| limit.saturating_sub(self.started.elapsed())),
            self.cancelled.map(|end| end.saturating_duration_since(now)),
            self.run.link.time_left(),
            self.run.report.progress.time_left(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Waits for an event, and reads standard input. Returns `true` if the server has sent
    /// something.
    fn wait(&mut self, is_connected: bool) -> Result<bool, Failure> {
        let wants_input = self.engine.wants_input();
        if wants_input && self.run.standard.is_none() {
            self.read_input()?;
            return Ok(false);
        }
        let mut polls = PollSet::with_capacity(3);
        polls.push_watch(sys::watch(&self.run.signals, true, false));
        let want = Interest { read: wants_input, write: self.engine.has_output(), hangup: false };
        let standard = self.run.standard.as_ref().filter(|_| want.any());
        if let Some(channel) = standard {
            polls.push(channel, want);
        }
        if is_connected {
            self.run.link.register(&mut polls);
        }
        let Some(mut events) = polls.wait(self.timeout())? else { return Ok(false) };
        events.take();
        let has_input = standard.is_some() && events.take().read && wants_input;
        let has_received = is_connected && self.run.link.ready(&mut events).read;
        if has_input {
            self.read_input()?;
        }
        Ok(has_received)
    }

    fn read_input(&mut self) -> Result<(), Failure> {
        let Some(input) = self.engine.wanted_input() else { return Ok(()) };
        let Some(channel) = &self.run.standard else {
            input.add(&[]);
            return Ok(());
        };
        let mut chunk = Chunk::default();
        match chunk.fill(|buffer| channel.read(buffer)) {
            Ok(_) => input.add(chunk.bytes()),
            Err(error) if sys::is_transient(&error) => {}
            Err(error) => return Err(Error::Input(error).into()),
        }
        Ok(())
    }

    /// Cancels the copy at the first signal. Returns `true` if the run must end now.
    fn obey_signals(&mut self) -> bool {
        while let Some(signal) = self.run.signals.next() {
            let Signal::Termination(name) = signal else { continue };
            if self.cancelled.is_some() {
                return true;
            }
            self.cancelled = Some(Instant::now() + CANCEL_TIMEOUT);
            let needs_server = self.engine.cancel();
            self.run.report.stopped(name);
            if !needs_server || !self.session.is_running() {
                return true;
            }
        }
        self.cancelled.is_some_and(|end| Instant::now() >= end)
    }
}

//! The loop that drives the connection, the program and the forwards.

use std::time::{Duration, Instant};

use super::failure::{Failure, Progress};
use super::forwards::Forwards;
use super::link::{Awaited, Link};
use super::program::{End, Program};
use crate::error::{Error, Peer};
use crate::ssh::connection::Event;
use crate::stream::PollSet;
use crate::sys::{self, Signal, Signals};

/// A run at a server: a program, forwards, or both.
pub(super) struct EventLoop {
    pub(super) link: Link,
    /// `None` to forward until a signal arrives.
    pub(super) program: Option<Program>,
    pub(super) forwards: Forwards,
    pub(super) signals: Signals,
    pub(super) server: Peer,
    /// The time limit for the server's answers to the first requests; `None` for none.
    pub(super) limit: Option<Duration>,
    pub(super) started: Instant,
}

/// The end of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The program has ended.
    Program(End),
    /// A signal, named without `SIG`, has ended a run without a program.
    Stopped(&'static str),
}

impl EventLoop {
    /// Runs to the end.
    ///
    /// # Errors
    /// The connection was lost, the server refused a request, or this system failed.
    pub(super) fn run(mut self) -> Result<Finish, Error> {
        let result = self.drive();
        let progress = self.progress();
        let Self { link, program, forwards, server, .. } = self;
        match result {
            Ok(finish) => {
                link.close();
                forwards.abort();
                // The output of a program whose reader is gone cannot be finished.
                let is_complete = matches!(finish, Finish::Program(End::Exit(_)));
                program.filter(|_| is_complete).map_or(Ok(()), Program::finish)?;
                Ok(finish)
            }
            Err(failure) => {
                link.fail(&failure);
                forwards.abort();
                Err(failure.into_error(&server, progress))
            }
        }
    }

    fn progress(&self) -> Progress {
        match &self.program {
            Some(program) if program.is_running() => Progress::Running,
            Some(_) => Progress::Starting,
            None if self.forwards.unanswered().is_some() => Progress::Starting,
            None => Progress::Working,
        }
    }

    fn drive(&mut self) -> Result<Finish, Failure> {
        self.forwards.request(&mut self.link)?;
        // The last read of the login may have received further packets.
        let mut fault = self.link.process_received().err();
        loop {
            self.process_events()?;
            if let Some(program) = &mut self.program
                && let Some(end) = program.advance(self.link.connection())?
            {
                return Ok(Finish::Program(end));
            }
            let has_output =
                self.program.as_ref().is_some_and(|it| it.has_pending_output(self.link.as_connection()));
            match fault.take_if(|_| !has_output) {
                Some(failure) => return self.after_loss(failure),
                None if fault.is_none() => self.advance()?,
                None => {}
            }
            if self.wait(fault.is_none())? {
                fault = self.link.receive().err();
            }
            if let Some(name) = self.pass_on_signals()? {
                let has_program = self.program.is_some();
                return Ok(if has_program {
                    Finish::Program(End::Stopped(name))
                } else {
                    Finish::Stopped(name)
                });
            }
        }
    }

    /// Returns the end of a program that had ended when the connection was lost.
    fn after_loss(&self, failure: Failure) -> Result<Finish, Failure> {
        let exit = self.program.as_ref().and_then(|program| program.complete_exit(self.link.as_connection()));
        exit.map_or(Err(failure), |exit| Ok(Finish::Program(End::Exit(Some(exit)))))
    }

    /// Moves data of the forwarded connections, and writes what the connection has to send.
    fn advance(&mut self) -> Result<(), Failure> {
        self.forwards.advance(self.link.connection())?;
        self.check_limit()?;
        self.link.on_time()?;
        self.link.send();
        Ok(())
    }

    fn process_events(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.link.connection().next_event() {
            let event = match &mut self.program {
                Some(program) => program.process(self.link.connection(), event)?,
                None => Some(event),
            };
            if let Some(event) = event {
                self.process(event)?;
            }
        }
        Ok(())
    }

    /// Processes an event that does not concern the program.
    fn process(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Opened(id) => self.forwards.opened(id),
            Event::Refused(id, reason, text) => self.forwards.refused(id, reason, text),
            Event::Asked(id, kind, data) => self.forwards.asked(self.link.connection(), id, &kind, &data)?,
            Event::Request(id, _, true, _) => self.link.connection().answer(id, false)?,
            Event::GlobalRequest(_, true, _) => self.link.connection().answer_global(None)?,
            Event::GlobalAnswer(answer) => {
                if let Awaited::Forward(index) = self.link.answered()? {
                    self.forwards.answered(index, answer.as_deref())?;
                }
            }
            Event::Request(..) | Event::GlobalRequest(..) | Event::Answer(..) => {}
        }
        Ok(())
    }

    /// Returns the first request that the server has not answered, as the end of a message.
    fn awaited(&self) -> Option<String> {
        if self.program.as_ref().is_some_and(|program| !program.is_running()) {
            return Some("did not open the channel".into());
        }
        self.forwards.unanswered().map(|from| format!("did not answer --remote-forward {from}"))
    }

    /// Fails if the server has not answered the first requests in time.
    fn check_limit(&self) -> Result<(), Failure> {
        let Some(limit) = self.limit.filter(|limit| self.started.elapsed() >= *limit) else { return Ok(()) };
        match self.awaited() {
            Some(doing) => Err(Error::TimedOut { peer: self.server.clone(), doing, limit }.into()),
            None => Ok(()),
        }
    }

    /// Returns how long to wait at most; `None` for no limit.
    fn timeout(&self, is_connected: bool) -> Option<Duration> {
        let program = self.program.as_ref().and_then(Program::time_left);
        if !is_connected {
            return program;
        }
        let limit = self.limit.filter(|_| self.awaited().is_some());
        let limit = limit.map(|limit| limit.saturating_sub(self.started.elapsed()));
        [program, limit, self.link.time_left(), self.forwards.time_left()].into_iter().flatten().min()
    }

    /// Waits for an event, and serves this end. Returns `true` if the server has sent something.
    fn wait(&mut self, is_connected: bool) -> Result<bool, Failure> {
        let timeout = self.timeout(is_connected);
        let connection = self.link.as_connection();
        let mut polls = PollSet::with_capacity(6);
        polls.push_watch(sys::watch(&self.signals, true, false));
        if let Some(program) = &self.program {
            program.register(connection, &mut polls);
        }
        let mut listeners = 0;
        if is_connected {
            self.link.register(&mut polls);
            listeners = self.forwards.register(connection, &mut polls);
        }
        let Some(mut events) = polls.wait(timeout)? else { return Ok(false) };
        events.take();
        if let Some(program) = &mut self.program {
            program.ready(self.link.as_connection(), &mut events)?;
        }
        if !is_connected {
            return Ok(false);
        }
        let ready = self.link.ready(&mut events);
        self.forwards.ready(self.link.connection(), listeners, &mut events)?;
        Ok(ready.read)
    }

    /// Passes signals on to the program. Returns the name of the signal that ends the run: without
    /// a program, or if the program has the user's terminal.
    fn pass_on_signals(&mut self) -> Result<Option<&'static str>, Failure> {
        while let Some(signal) = self.signals.next() {
            match (signal, &mut self.program) {
                (Signal::WindowChange, Some(program)) => program.resize(self.link.connection())?,
                (Signal::WindowChange, None) => {}
                (Signal::Termination(name), Some(program)) if !program.has_terminal() => {
                    program.signal(self.link.connection(), name)?;
                }
                (Signal::Termination(name), _) => return Ok(Some(name)),
            }
        }
        Ok(None)
    }
}

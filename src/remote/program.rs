//! A program at the server, and its standard streams at this end.

use std::io;
use std::time::{Duration, Instant};

use super::escapes::{self, Escapes, Found};
use super::failure::Failure;
use super::terminal;
use crate::error::Error;
use crate::ssh::connection::{ChannelId, Connection, Event, Source};
use crate::ssh::session::{Exit, Request, Session};
use crate::stream::{Chunk, Events, Interest, PollSet};
use crate::sys::{self, Channel, RawTerminal};

/// The time for the exit status after a signal was passed on.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The end of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server has closed the channel, and all output is written.
    Exit(Option<Exit>),
    /// The reader of the output is gone.
    ReaderGone,
    /// The user has typed the escape that ends the connection.
    Escaped,
    /// A signal has ended the run, because it restores the user's terminal.
    Stopped(&'static str),
    /// No exit status has arrived in time after this signal.
    NoStatus(&'static str),
}

/// A program at the server, and its standard streams at this end.
pub(super) struct Program {
    session: Session,
    input: Input,
    outputs: [Output; 2],
    /// The user's terminal in raw mode. Dropping it restores the settings.
    terminal: Option<RawTerminal>,
    escapes: Option<Escapes>,
    /// The first signal that was passed on, and when to stop waiting for the exit status.
    signalled: Option<(&'static str, Instant)>,
    end: Option<End>,
}

/// Input on its way to the program.
struct Input {
    /// `None` if the descriptor was closed at program start.
    channel: Option<Channel>,
    chunk: Chunk,
    has_ended: bool,
    is_end_sent: bool,
}

/// Output on its way from the program.
struct Output {
    source: Source,
    /// `None` if the descriptor was closed at program start. The output is then discarded.
    channel: Option<Channel>,
    chunk: Chunk,
    has_ended: bool,
}

/// Returns `false` if a write might block.
fn has_room(channel: &Channel) -> io::Result<bool> {
    Ok(channel.can_write_unpolled()
        || sys::poll(&mut [sys::watch(channel, false, true)], Some(Duration::ZERO))?)
}

impl Output {
    fn new(source: Source, channel: Option<Channel>) -> Self {
        Self { source, channel, chunk: Chunk::default(), has_ended: false }
    }

    /// Moves output until one side blocks.
    fn relay(&mut self, connection: &mut Connection, channel: ChannelId) -> Result<(), Failure> {
        loop {
            if !self.write()? || self.has_ended || !connection.is_readable(channel, self.source) {
                return Ok(());
            }
            let (source, mut result) = (self.source, Ok(None));
            self.chunk.fill(|buffer| {
                result = connection.read(channel, source, buffer);
                Ok(result.as_ref().ok().copied().flatten().unwrap_or_default())
            })?;
            match result? {
                Some(0) => self.has_ended = true,
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Writes the chunk. Returns `false` if there is no room for the rest.
    fn write(&mut self) -> Result<bool, Failure> {
        let Some(channel) = &self.channel else {
            self.chunk.consume(self.chunk.bytes().len());
            return Ok(true);
        };
        while !self.chunk.is_empty() {
            if !has_room(channel)? {
                return Ok(false);
            }
            match channel.write(self.chunk.bytes()) {
                Ok(count) => self.chunk.consume(count),
                Err(error) if sys::is_transient(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return self.lose_reader(),
                Err(error) => return Err(Error::Output(error).into()),
            }
        }
        Ok(true)
    }

    /// Continues without the reader of standard error. That of standard output ends the run,
    /// because a reader may stop once it has read enough.
    fn lose_reader(&mut self) -> Result<bool, Failure> {
        if self.source == Source::Data {
            return Err(Error::ReaderGone.into());
        }
        self.channel = None;
        self.chunk.consume(self.chunk.bytes().len());
        Ok(true)
    }

    /// Returns the channel to wait for.
    fn blocked(&self) -> Option<&Channel> {
        self.channel.as_ref().filter(|_| !self.chunk.is_empty())
    }
}

impl Program {
    /// Requests the program, and opens the standard streams.
    pub(super) fn start(
        connection: &mut Connection,
        request: Request,
        terminal: Option<RawTerminal>,
    ) -> Result<Self, Failure> {
        let system = |cause| Error::System { what: "use standard input and output", cause };
        let input = Channel::stdin().map_err(system)?;
        let outputs = [
            Output::new(Source::Data, Channel::stdout().map_err(system)?),
            Output::new(Source::Stderr, Channel::stderr().map_err(system)?),
        ];
        Ok(Self {
            session: Session::open(connection, request)?,
            input: Input {
                has_ended: input.is_none(),
                channel: input,
                chunk: Chunk::default(),
                is_end_sent: false,
            },
            outputs,
            escapes: terminal.as_ref().map(|_| Escapes::default()),
            terminal,
            signalled: None,
            end: None,
        })
    }

    /// Returns `true` once the server has started the program.
    pub(super) fn is_running(&self) -> bool {
        self.session.is_running()
    }

    /// Returns `true` if the user's terminal is in raw mode, so that its keys send no signals.
    pub(super) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Processes an event. Returns it if it does not concern the program.
    pub(super) fn process(
        &mut self,
        connection: &mut Connection,
        event: Event,
    ) -> Result<Option<Event>, Failure> {
        let other = self.session.process(connection, event)?;
        if let Some(enabled) = self.session.take_flow_control()
            && let Some(terminal) = &self.terminal
        {
            terminal.set_flow_control(enabled);
        }
        Ok(other)
    }

    /// Moves input and output as far as possible. Returns the end of the program.
    pub(super) fn advance(&mut self, connection: &mut Connection) -> Result<Option<End>, Failure> {
        let channel = self.session.channel();
        for output in &mut self.outputs {
            match output.relay(connection, channel) {
                Err(Failure::Other(error)) if matches!(*error, Error::ReaderGone) => {
                    return Ok(Some(End::ReaderGone));
                }
                result => result?,
            }
        }
        self.send_input(connection)?;
        if self.end.is_some() {
            return Ok(self.end.take());
        }
        if self.is_drained() && connection.has_closed(channel) {
            return Ok(Some(End::Exit(self.session.exit().cloned())));
        }
        match self.signalled {
            Some((signal, end)) if Instant::now() >= end => Ok(Some(End::NoStatus(signal))),
            _ => Ok(None),
        }
    }

    /// Returns `true` if all output that the server sends is written.
    fn is_drained(&self) -> bool {
        self.outputs.iter().all(|output| output.has_ended && output.chunk.is_empty())
    }

    /// Returns the end of the program, if the server has reported it and sends no more output.
    pub(super) fn complete_exit(&self, connection: &Connection) -> Option<Exit> {
        self.session.exit().filter(|_| connection.has_ended(self.session.channel())).cloned()
    }

    /// Returns `true` if output has arrived that is not written yet.
    pub(super) fn has_pending_output(&self, connection: &Connection) -> bool {
        let channel = self.session.channel();
        self.outputs.iter().any(|output| {
            let has_more = !output.has_ended && connection.is_readable(channel, output.source);
            !output.chunk.is_empty() || (has_more && !connection.has_ended(channel))
        })
    }

    /// Sends input, and then its end.
    fn send_input(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        let (channel, input) = (self.session.channel(), &mut self.input);
        if !self.session.is_running() {
            return Ok(());
        }
        while !input.chunk.is_empty() {
            let count = connection.write(channel, input.chunk.bytes())?;
            if count == 0 {
                return Ok(());
            }
            input.chunk.consume(count);
        }
        if input.has_ended && !input.is_end_sent {
            input.is_end_sent = true;
            connection.send_eof(channel)?;
        }
        Ok(())
    }

    /// Returns the channel of the input if more of it is wanted.
    fn wanted_input(&self, connection: &Connection) -> Option<&Channel> {
        let wants = !self.input.has_ended
            && self.input.chunk.is_empty()
            && self.session.is_running()
            && connection.is_writable(self.session.channel());
        self.input.channel.as_ref().filter(|_| wants)
    }

    /// Adds the standard streams to a set.
    pub(super) fn register<'a>(&'a self, connection: &Connection, polls: &mut PollSet<'a>) {
        if let Some(input) = self.wanted_input(connection) {
            polls.push(input, Interest::READ);
        }
        for output in self.outputs.iter().filter_map(Output::blocked) {
            polls.push(output, Interest::WRITE);
        }
    }

    /// Reads input if it is ready, after a wait with the channels of
    /// [`register`](Self::register).
    pub(super) fn ready(&mut self, connection: &Connection, events: &mut Events) -> Result<(), Failure> {
        let is_ready = self.wanted_input(connection).is_some() && events.take().read;
        for _ in self.outputs.iter().filter_map(Output::blocked) {
            events.take();
        }
        if is_ready { self.read_input() } else { Ok(()) }
    }

    fn read_input(&mut self) -> Result<(), Failure> {
        let Input { channel: Some(channel), chunk, has_ended, .. } = &mut self.input else { return Ok(()) };
        match chunk.fill(|buffer| channel.read(buffer)) {
            Ok(0) => *has_ended = true,
            Ok(_) => self.obey_escapes()?,
            Err(error) if sys::is_transient(&error) => {}
            // The terminal is gone.
            Err(_) if self.terminal.is_some() => *has_ended = true,
            Err(error) => return Err(Error::Input(error).into()),
        }
        Ok(())
    }

    /// Removes the escapes from the input that was read.
    fn obey_escapes(&mut self) -> Result<(), Failure> {
        let (Some(escapes), chunk) = (&mut self.escapes, &mut self.input.chunk) else { return Ok(()) };
        let Found { input, wants_help, ends_connection } = escapes.find(chunk.bytes());
        chunk.consume(chunk.bytes().len());
        chunk.extend(input.len())?.copy_from_slice(&input);
        if wants_help {
            // The output of the program may be in the way.
            let _ = io::Write::write_all(&mut io::stderr(), escapes::HELP);
        }
        if ends_connection {
            self.end = Some(End::Escaped);
        }
        Ok(())
    }

    /// Returns the time until [`advance`](Self::advance) has something to do; `None` for never.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.signalled.map(|(_, end)| end.saturating_duration_since(Instant::now()))
    }

    /// Passes on a signal, and waits for the exit status only for a limited time from now on.
    pub(super) fn signal(&mut self, connection: &mut Connection, name: &'static str) -> Result<(), Failure> {
        self.session.send_signal(connection, name)?;
        self.signalled.get_or_insert_with(|| (name, Instant::now() + SIGNAL_TIMEOUT));
        Ok(())
    }

    /// Reports the terminal's size.
    pub(super) fn resize(&self, connection: &mut Connection) -> Result<(), Failure> {
        if let Some(size) = terminal::size().filter(|_| self.has_terminal()) {
            self.session.send_size(connection, size)?;
        }
        Ok(())
    }

    /// Waits until the standard streams have taken all output, and restores the terminal.
    pub(super) fn finish(self) -> Result<(), Error> {
        for output in self.outputs {
            output.channel.map_or(Ok(()), Channel::finish).map_err(Error::Output)?;
        }
        Ok(())
    }
}

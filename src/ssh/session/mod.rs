//! A command, a shell or a subsystem at an SSH server (RFC 4254 §6).

use std::collections::VecDeque;

use super::connection::{ChannelId, Connection, Event};
use super::error::Error;
use super::message;
use super::wire::{Malformed, Reader, Write};
use crate::text::printable;

#[cfg(test)]
mod tests;

/// A request to run a program at the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The program.
    pub program: Program,
    /// Variables for it, as name and value. Servers ignore those that they do not permit.
    pub variables: Vec<(String, String)>,
    /// The terminal to create for it.
    pub terminal: Option<Terminal>,
}

/// The program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// The user's login shell.
    #[default]
    Shell,
    /// A command line for the user's shell.
    Command(Vec<u8>),
    /// A subsystem, such as `sftp`.
    Subsystem(String),
}

/// A terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// The type, as in the variable `TERM`.
    pub kind: String,
    /// The size.
    pub size: Size,
    /// The modes, as opcodes and values (RFC 4254 §8).
    pub modes: Vec<(u8, u32)>,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Width in characters.
    pub columns: u32,
    /// Height in characters.
    pub rows: u32,
    /// Width in pixels; 0 if unknown.
    pub width: u32,
    /// Height in pixels; 0 if unknown.
    pub height: u32,
}

/// The end of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The program has exited with this status.
    Status(u32),
    /// A signal has killed the program, named without `SIG` and made printable.
    Signal(String),
}

/// A channel in which a program runs. The connection belongs to the caller, because other channels
/// share it.
#[derive(Debug)]
pub struct Session {
    channel: ChannelId,
    request: Request,
    state: State,
    /// The requests whose answers are awaited.
    awaited: VecDeque<Awaited>,
    exit: Option<Exit>,
    /// The latest request to obey XON and XOFF at the user's terminal, or not (RFC 4254 §6.8).
    flow_control: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The channel is not open.
    Opening,
    /// The program is not started.
    Starting,
    Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Terminal,
    Program,
}

impl Session {
    /// Requests a channel to run a program in.
    ///
    /// # Errors
    /// Nothing can be sent any more, or the connection has too many channels.
    pub fn open(connection: &mut Connection, request: Request) -> Result<Self, Error> {
        let channel = connection.open("session", &[])?;
        let channel = channel.ok_or(Error::Violation("the session could not be opened"))?;
        Ok(Self {
            channel,
            request,
            state: State::Opening,
            awaited: VecDeque::new(),
            exit: None,
            flow_control: None,
        })
    }

    /// Returns the channel. Its data is that of the program.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Returns `true` once the server has started the program. Input must not be sent before.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Returns the end of the program, once the server has reported it.
    #[must_use]
    pub fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    /// Takes the latest request to obey XON and XOFF at the user's terminal, or not.
    pub fn take_flow_control(&mut self) -> Option<bool> {
        self.flow_control.take()
    }

    /// Processes an event of the connection. Returns it if it does not concern this channel.
    ///
    /// # Errors
    /// The server has refused something, has broken a rule, or has ended the connection.
    pub fn process(&mut self, connection: &mut Connection, event: Event) -> Result<Option<Event>, Error> {
        match event {
            Event::Opened(id) if id == self.channel => self.start(connection)?,
            Event::Refused(id, reason, text) if id == self.channel => {
                return Err(Error::ChannelRefused { reason, text });
            }
            Event::Answer(id, is_granted) if id == self.channel => self.answered(is_granted)?,
            Event::Request(id, name, wants_answer, data) if id == self.channel => {
                let malformed = |Malformed| Error::Malformed(message::CHANNEL_REQUEST);
                let is_known = self.channel_request(&name, &data).map_err(malformed)?;
                if wants_answer {
                    connection.answer(id, is_known)?;
                }
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn answered(&mut self, is_granted: bool) -> Result<(), Error> {
        match self.awaited.pop_front().ok_or(Error::Violation("an answer without a request"))? {
            Awaited::Terminal if is_granted => {}
            Awaited::Terminal => return Err(Error::RequestRefused("a terminal")),
            Awaited::Program if is_granted => self.state = State::Running,
            Awaited::Program => return Err(Error::RequestRefused(self.request.program.what())),
        }
        Ok(())
    }

    /// Sends all requests at once: the server answers them in order.
    fn start(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let Request { program, variables, terminal } = &self.request;
        self.state = State::Starting;
        if let Some(terminal) = terminal {
            connection.request(self.channel, "pty-req", true, &terminal.encoded())?;
            self.awaited.push_back(Awaited::Terminal);
        }
        for (name, value) in variables {
            let mut data = Vec::new();
            data.put_string(name).put_string(value);
            connection.request(self.channel, "env", false, &data)?;
        }
        let mut data = Vec::new();
        let name = match program {
            Program::Shell => "shell",
            Program::Command(line) => {
                data.put_string(line);
                "exec"
            }
            Program::Subsystem(name) => {
                data.put_string(name);
                "subsystem"
            }
        };
        connection.request(self.channel, name, true, &data)?;
        self.awaited.push_back(Awaited::Program);
        Ok(())
    }

    /// Processes a request of the server for the channel. Returns `false` for an unknown one.
    fn channel_request(&mut self, name: &str, data: &[u8]) -> Result<bool, Malformed> {
        let mut reader = Reader::new(data);
        match name {
            "exit-status" => self.exit = Some(Exit::Status(reader.u32()?)),
            "exit-signal" => self.exit = Some(Exit::Signal(printable(reader.string()?))),
            "xon-xoff" => self.flow_control = Some(reader.bool()?),
            // Some servers test with this request whether the client is alive.
            "keepalive@openssh.com" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sends a signal to the program, named without `SIG` (RFC 4254 §6.9).
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn send_signal(&self, connection: &mut Connection, name: &str) -> Result<(), Error> {
        let mut data = Vec::new();
        data.put_string(name);
        connection.request(self.channel, "signal", false, &data)
    }

    /// Reports that the user's terminal has another size (RFC 4254 §6.7).
    ///
    /// # Errors
    /// Nothing can be sent any more.
    pub fn send_size(&self, connection: &mut Connection, size: Size) -> Result<(), Error> {
        let mut data = Vec::new();
        put_size(&mut data, size);
        connection.request(self.channel, "window-change", false, &data)
    }
}

impl Program {
    /// Returns the object of the message about a refused request.
    fn what(&self) -> &'static str {
        match self {
            Self::Shell => "a shell",
            Self::Command(_) => "the command",
            Self::Subsystem(_) => "the subsystem",
        }
    }
}

impl Terminal {
    /// Returns the data of a request for this terminal (RFC 4254 §6.2).
    fn encoded(&self) -> Vec<u8> {
        let mut modes = Vec::new();
        for (opcode, value) in &self.modes {
            modes.put_u8(*opcode).put_u32(*value);
        }
        // TTY_OP_END
        modes.put_u8(0);
        let mut data = Vec::new();
        data.put_string(&self.kind);
        put_size(&mut data, self.size);
        data.put_string(&modes);
        data
    }
}

fn put_size(data: &mut Vec<u8>, size: Size) {
    data.put_u32(size.columns).put_u32(size.rows).put_u32(size.width).put_u32(size.height);
}

//! The channels of a host: programs, and forwarded connections.

use std::sync::{Arc, Mutex};

use connect::ssh::connection::{ChannelId, Connection, Event};
use connect::ssh::wire::{Reader, Write};

use super::server::{Channel, Setup, Target};
use crate::listening::eventually;

/// Starts the program of a request such as `exec ls`, `shell` or `subsystem sftp`. `None` refuses.
type Start = Box<dyn FnMut(&str) -> Option<Target> + Send>;

/// Opens the target of a channel such as `direct-tcpip inner:80`.
type Open = Box<dyn FnMut(&str) -> Channel + Send>;

/// The answer to a request to listen, and the connection that a client then opens there.
type Listen = Box<dyn FnMut(&str) -> Option<(Vec<u8>, Vec<Dialled>)> + Send>;

/// A channel that the server asks for: its type, its data, and the client at the server.
pub(crate) type Dialled = (&'static str, Vec<u8>, Target);

/// A line of the log after which the host closes the TCP connection.
pub(crate) const HANG_UP: &str = "hang up";

/// The requests that a host has received, in their order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, line: &str) -> bool {
        self.lines().iter().any(|known| known == line)
    }

    /// Waits for a request.
    #[track_caller]
    pub(crate) fn wait_for(&self, line: &str) {
        eventually(line, || self.has(line));
    }
}

/// The channels of a host.
pub(crate) struct Host {
    log: Log,
    start: Start,
    open: Open,
    listen: Listen,
    running: Vec<(ChannelId, Target)>,
    dialled: Vec<(ChannelId, Target)>,
}

impl Host {
    /// A host that runs these programs.
    pub(crate) fn new(start: impl FnMut(&str) -> Option<Target> + Send + 'static) -> Self {
        Self {
            log: Log::default(),
            start: Box::new(start),
            open: Box::new(|_| Channel::Refuse(1, "no forwards")),
            listen: Box::new(|_| None),
            running: Vec::new(),
            dialled: Vec::new(),
        }
    }

    /// A host whose programs use the log as well.
    pub(crate) fn with_log(self, log: &Log) -> Self {
        Self { log: log.clone(), ..self }
    }

    /// A host that opens these channels.
    pub(crate) fn forwarding(self, open: impl FnMut(&str) -> Channel + Send + 'static) -> Self {
        Self { open: Box::new(open), ..self }
    }

    /// A host that listens at these addresses.
    pub(crate) fn listening(
        self,
        listen: impl FnMut(&str) -> Option<(Vec<u8>, Vec<Dialled>)> + Send + 'static,
    ) -> Self {
        Self { listen: Box::new(listen), ..self }
    }

    /// Returns a server with this host, and the log of the requests.
    pub(crate) fn setup(mut self) -> (Setup, Log) {
        let log = self.log.clone();
        let handler = move |connection: &mut Connection, event: Option<Event>| {
            if let Some(event) = event {
                self.event(connection, event);
                return true;
            }
            // The output of the last turn is sent by now.
            let goes_on = !self.log.has(HANG_UP);
            self.running.retain_mut(|(id, target)| target(connection, *id));
            goes_on
        };
        (Setup { handler: Some(Box::new(handler)), ..Setup::new() }, log)
    }

    fn event(&mut self, connection: &mut Connection, event: Event) {
        match event {
            Event::Asked(id, kind, _) if kind == "session" => connection.accept(id).unwrap(),
            Event::Asked(id, kind, data) => self.asked(connection, id, &kind, &data),
            Event::Request(id, name, wants_answer, data) => {
                let line = described(&name, &data);
                self.log.push(line.clone());
                let is_program = ["exec", "shell", "subsystem"].contains(&name.as_str());
                let program = if is_program { (self.start)(&line) } else { None };
                if wants_answer {
                    connection.answer(id, !is_program || program.is_some()).unwrap();
                }
                self.running.extend(program.map(|program| (id, program)));
            }
            Event::GlobalRequest(name, wants_answer, data) => {
                let line = described(&name, &data);
                self.log.push(line.clone());
                let answer = (self.listen)(&line);
                if wants_answer {
                    connection.answer_global(answer.as_ref().map(|(data, _)| &data[..])).unwrap();
                }
                for (kind, data, target) in answer.into_iter().flat_map(|(_, dialled)| dialled) {
                    let id = connection.open(kind, &data).unwrap().unwrap();
                    self.dialled.push((id, target));
                }
            }
            Event::Opened(id) => {
                let index = self.dialled.iter().position(|(known, _)| *known == id).unwrap();
                self.log.push("opened".into());
                self.running.push(self.dialled.swap_remove(index));
            }
            Event::Refused(_, reason, text) => self.log.push(format!("refused {reason} {text}")),
            Event::Answer(..) | Event::GlobalAnswer(_) => {}
        }
    }

    fn asked(&mut self, connection: &mut Connection, id: ChannelId, kind: &str, data: &[u8]) {
        let mut reader = Reader::new(data);
        let host = reader.text().unwrap();
        let line = match reader.u32() {
            Ok(port) if kind == "direct-tcpip" => format!("{kind} {host}:{port}"),
            _ => format!("{kind} {host}"),
        };
        self.log.push(line.clone());
        match (self.open)(&line) {
            Channel::Open(target) => {
                connection.accept(id).unwrap();
                self.running.push((id, target));
            }
            Channel::Refuse(reason, text) => connection.refuse(id, reason, text).unwrap(),
            _ => unreachable!("not used by hosts"),
        }
    }
}

/// Describes a request.
fn described(name: &str, data: &[u8]) -> String {
    let mut reader = Reader::new(data);
    match name {
        "exec" | "subsystem" | "signal" | "streamlocal-forward@openssh.com" => {
            format!("{name} {}", reader.text().unwrap())
        }
        "env" => format!("{name} {}={}", reader.text().unwrap(), reader.text().unwrap()),
        "tcpip-forward" => format!("{name} {}:{}", reader.text().unwrap(), reader.u32().unwrap()),
        "pty-req" => {
            let kind = reader.text().unwrap();
            format!("{name} {kind} {}x{}", reader.u32().unwrap(), reader.u32().unwrap())
        }
        "window-change" => format!("{name} {}x{}", reader.u32().unwrap(), reader.u32().unwrap()),
        _ => name.to_owned(),
    }
}

/// Ends a program with this status.
pub(crate) fn exit(connection: &mut Connection, channel: ChannelId, status: u32) -> bool {
    connection.request(channel, "exit-status", false, &status.to_be_bytes()).unwrap();
    connection.send_eof(channel).unwrap();
    connection.close_sending(channel).unwrap();
    false
}

/// Ends a program by a signal.
pub(crate) fn exit_by_signal(connection: &mut Connection, channel: ChannelId, name: &str) -> bool {
    let mut data = Vec::new();
    data.put_string(name).put_bool(false).put_string("").put_string("");
    connection.request(channel, "exit-signal", false, &data).unwrap();
    connection.send_eof(channel).unwrap();
    connection.close_sending(channel).unwrap();
    false
}

/// A program that prints these texts on standard output and standard error, and exits with this
/// status.
pub(crate) fn prints(output: impl Into<Vec<u8>>, errors: impl Into<Vec<u8>>, status: u32) -> Target {
    let (mut output, mut errors) = (output.into(), errors.into());
    Box::new(move |connection, channel| {
        let count = connection.write(channel, &output).unwrap();
        output.drain(..count);
        let count = connection.write_stderr(channel, &errors).unwrap();
        errors.drain(..count);
        let is_done = output.is_empty() && errors.is_empty();
        if is_done { exit(connection, channel, status) } else { true }
    })
}

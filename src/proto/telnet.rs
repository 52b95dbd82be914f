//! Telnet-style proxies: a command goes out, and lines of text come back until one of them is a verdict. No
//! specification: the phrases are those that the C program looks for.

use super::{Credentials, Error, Limit, Negotiation, Step, Wire};
use crate::addr::Endpoint;
use crate::text::printable;

/// What a proxy says when it has made the connection.
const GOOD: &[u8] = b"connected to";
/// What it says when it has not.
const BAD: [&[u8]; 4] = [b" failed", b" refused", b" rejected", b" closed"];
/// The most bytes that are read before there is a verdict.
const MAX_ANSWER: usize = 64 * 1024;
/// The command of proxies that are like the telnet program.
pub const COMMAND: &str = "telnet %h %p";

/// A negotiation with a telnet-style proxy.
#[derive(Debug)]
pub struct Telnet {
    target: Endpoint,
    command: String,
    state: State,
    line: Vec<u8>,
    received: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SendCommand,
    AwaitVerdict,
    Done,
}

impl Telnet {
    /// Starts a negotiation for a tunnel to `target`. In the command, `%h` and `%p` are the target's host and port,
    /// `\r \n \t` the control characters, `%%` and `\\` a percent sign and a backslash. CR LF is added to its end.
    #[must_use]
    pub fn new(target: Endpoint, command: String) -> Self {
        Self { target, command, state: State::SendCommand, line: Vec::new(), received: 0 }
    }

    fn expanded(&self) -> Vec<u8> {
        let mut text = String::new();
        let mut rest = self.command.chars();
        while let Some(c) = rest.next() {
            match (c, rest.clone().next()) {
                ('%', Some('h')) => text += &self.target.host.to_string(),
                ('%', Some('p')) => text += &self.target.port.to_string(),
                ('\\', Some('r')) => text.push('\r'),
                ('\\', Some('n')) => text.push('\n'),
                ('\\', Some('t')) => text.push('\t'),
                ('%', Some('%')) | ('\\', Some('\\')) => text.push(c),
                _ => {
                    text.push(c);
                    continue;
                }
            }
            rest.next();
        }
        text += "\r\n";
        text.into_bytes()
    }

    /// A line is complete.
    fn judge(&mut self) -> Result<(), Error> {
        let line = self.line.to_ascii_lowercase();
        let says = |phrase: &[u8]| line.windows(phrase.len()).any(|window| window == phrase);
        if says(GOOD) {
            self.state = State::Done;
        } else if BAD.iter().any(|phrase| says(phrase)) {
            return Err(Error::TelnetRefused {
                target: self.target.to_string(),
                text: printable(&self.line),
            });
        }
        self.line.clear();
        Ok(())
    }
}

impl Negotiation for Telnet {
    fn restart(&mut self) {
        self.state = State::SendCommand;
        self.line.clear();
        self.received = 0;
    }

    fn step(&mut self) -> Result<Step, Error> {
        Ok(match self.state {
            State::SendCommand => {
                self.state = State::AwaitVerdict;
                Step::Send(Wire::public(self.expanded()))
            }
            State::AwaitVerdict => Step::Receive(Limit::Unknown),
            State::Done => Step::Done,
        })
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        for (index, &byte) in bytes.iter().enumerate() {
            self.received += 1;
            if self.received > MAX_ANSWER {
                return Err(Error::NoAnswerLine(MAX_ANSWER / 1024));
            }
            self.line.push(byte);
            if byte == b'\n' {
                self.judge()?;
                if self.state == State::Done {
                    return Ok(index + 1);
                }
            }
        }
        Ok(bytes.len())
    }

    fn closed(&mut self) -> Result<(), Error> {
        // A last line without its end can still be a refusal, but no tunnel.
        self.judge()?;
        Err(Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), Error> {
        Err(Error::NotEncodable("telnet-style proxies are not told passwords"))
    }

    fn waiting_for(&self) -> &'static str {
        "the line that says it is connected"
    }

    fn is_text(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;

//! Telnet-style proxies: we send a command, and the proxy sends lines of text until one reports
//! success or failure. There is no specification; we recognize the same phrases as the C program.

use super::{Awaited, Credentials, Error, Limit, Negotiation, Redactor, Step, Unencodable, Wire};
use crate::addr::Endpoint;

/// The phrase that indicates success.
const SUCCESS: &[u8] = b"connected to";
/// Phrases that indicate failure.
const FAILURE: [&[u8]; 4] = [b" failed", b" refused", b" rejected", b" closed"];
/// Maximum number of bytes up to and including the line that reports success or failure.
const MAX_ANSWER: usize = 64 * 1024;
/// The default command, in the syntax of the telnet program.
pub const COMMAND: &str = "telnet %h %p";

/// A negotiation with a telnet-style proxy.
#[derive(Debug)]
pub struct Telnet {
    target: Endpoint,
    command: String,
    state: State,
    line: Vec<u8>,
    received: usize,
    redactor: Redactor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SendCommand,
    AwaitLine,
    Done,
}

impl Telnet {
    /// Creates a negotiation for a tunnel to `target`.
    ///
    /// In `command`, `%h` and `%p` expand to the target's host and port; `\r`, `\n` and `\t` to
    /// control characters; and `%%` and `\\` to a percent sign and a backslash. CR LF is appended.
    #[must_use]
    pub fn new(target: Endpoint, command: String) -> Self {
        let redactor = Redactor::default();
        Self { target, command, state: State::SendCommand, line: Vec::new(), received: 0, redactor }
    }

    /// Masks the secrets of this redactor in messages. Telnet-style proxies get no password, but
    /// may have seen those of other hops.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
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

    /// Checks whether the line received so far reports success or failure, and then clears it.
    fn check_line(&mut self) -> Result<(), Error> {
        let line = self.line.to_ascii_lowercase();
        let contains = |phrase: &[u8]| line.windows(phrase.len()).any(|window| window == phrase);
        if contains(SUCCESS) {
            self.state = State::Done;
        } else if FAILURE.iter().any(|phrase| contains(phrase)) {
            return Err(Error::TelnetRefused {
                target: self.target.clone().into(),
                text: self.redactor.printable(&self.line),
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
                self.state = State::AwaitLine;
                Step::Send(Wire::public(self.expanded()))
            }
            State::AwaitLine => Step::Receive(Limit::Unknown),
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
                self.check_line()?;
                if self.state == State::Done {
                    return Ok(index + 1);
                }
            }
        }
        Ok(bytes.len())
    }

    fn closed(&mut self) -> Result<(), Error> {
        // An unterminated last line can be a refusal, but never a success.
        self.check_line()?;
        Err(Error::Closed(self.waiting_for()))
    }

    fn credentials(&mut self, _: Credentials) -> Result<(), Error> {
        Err(Error::NotEncodable(Unencodable::TelnetPassword))
    }

    fn waiting_for(&self) -> Awaited {
        Awaited::TelnetLine
    }

    fn is_text(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;

//! One of the four kinds of copies, as the loop sees it: bytes from and for a program at the
//! server.

use super::get::SftpGet;
use super::input::Input;
use super::output::Output;
use super::put::SftpPut;
use super::report::Report;
use super::scp_get::ScpGet;
use super::scp_put::ScpPut;
use crate::plan::Copying;
use crate::ssh::scp::{self, Options, client_command};
use crate::ssh::session::Program;
use crate::ssh::sftp::{self, Direction};

/// A copy over one channel.
#[derive(Debug)]
pub(super) enum Engine {
    SftpPut(SftpPut),
    SftpGet(SftpGet),
    ScpPut(ScpPut),
    ScpGet(ScpGet),
}

/// A failure after which nothing more can be copied over the channel.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server has violated the protocol of sftp.
    Sftp(sftp::Error),
    /// The server has violated the protocol of scp, or has ended the copy.
    Scp(scp::Error),
}

impl Engine {
    /// Returns the program to start at the server, or the reason why scp cannot copy this name.
    pub(super) fn program(&self, plan: &Copying) -> Result<Program, scp::InvalidName> {
        let options = Options { recursive: plan.recursive, preserve: plan.preserve, directory: false };
        let command = match self {
            Self::SftpPut(_) | Self::SftpGet(_) => return Ok(Program::Subsystem("sftp".into())),
            Self::ScpPut(_) => {
                let directory = plan.files.len() > 1 || plan.destination.ends_with('/');
                let options = Options { directory, ..options };
                client_command(Direction::Put, options, plan.destination.as_bytes())?
            }
            Self::ScpGet(copy) => client_command(Direction::Get, options, copy.remote())?,
        };
        Ok(Program::Command(command))
    }

    /// Returns the bytes for the server.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::SftpPut(copy) => copy.client().output(),
            Self::SftpGet(copy) => copy.client().output(),
            Self::ScpPut(copy) => copy.sender().output(),
            Self::ScpGet(copy) => copy.receiver().output(),
        }
    }

    /// Removes the first `count` bytes for the server.
    pub(super) fn sent(&mut self, count: usize) {
        match self {
            Self::SftpPut(copy) => copy.client_mut().sent(count),
            Self::SftpGet(copy) => copy.client_mut().sent(count),
            Self::ScpPut(copy) => copy.sender_mut().sent(count),
            Self::ScpGet(copy) => copy.receiver_mut().sent(count),
        }
    }

    /// Adds bytes from the server.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        match self {
            Self::SftpPut(copy) => copy.client_mut().receive(bytes),
            Self::SftpGet(copy) => copy.client_mut().receive(bytes),
            Self::ScpPut(copy) => copy.sender_mut().receive(bytes),
            Self::ScpGet(copy) => copy.receiver_mut().receive(bytes),
        }
    }

    /// Processes what has arrived, and reads and writes local files.
    pub(super) fn advance(&mut self, report: &mut Report) -> Result<(), Fault> {
        match self {
            Self::SftpPut(copy) => copy.advance(report).map_err(Fault::Sftp),
            Self::SftpGet(copy) => copy.advance(report).map_err(Fault::Sftp),
            Self::ScpPut(copy) => copy.advance(report).map_err(Fault::Scp),
            Self::ScpGet(copy) => copy.advance(report).map_err(Fault::Scp),
        }
    }

    /// Returns `true` if the copy is complete and this side ends it.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::SftpPut(copy) => copy.is_over(),
            Self::SftpGet(copy) => copy.is_over(),
            Self::ScpPut(copy) => copy.is_over(),
            Self::ScpGet(_) => false,
        }
    }

    /// Returns `true` for sftp, whose server only waits for more requests in the end.
    pub(super) fn is_sftp(&self) -> bool {
        matches!(self, Self::SftpPut(_) | Self::SftpGet(_))
    }

    /// Aborts the copy. Returns `true` if more requests are needed to remove partial files at the
    /// server. Dropping the engine removes the local ones.
    pub(super) fn cancel(&mut self) -> bool {
        if let Self::SftpPut(copy) = self {
            copy.cancel();
            return true;
        }
        false
    }

    /// Returns standard input if more of it is needed.
    pub(super) fn wanted_input(&mut self) -> Option<&mut Input> {
        match self {
            Self::SftpPut(copy) if copy.wants_input() => copy.input(),
            _ => None,
        }
    }

    /// Returns `true` if more of standard input is needed.
    pub(super) fn wants_input(&self) -> bool {
        matches!(self, Self::SftpPut(copy) if copy.wants_input())
    }

    /// Returns the bytes for standard output.
    pub(super) fn output(&self) -> Option<&Output> {
        match self {
            Self::SftpGet(copy) => Some(copy.as_output()),
            Self::ScpGet(copy) => Some(copy.as_output()),
            Self::SftpPut(_) | Self::ScpPut(_) => None,
        }
    }

    /// Returns the bytes for standard output.
    pub(super) fn output_mut(&mut self) -> Option<&mut Output> {
        match self {
            Self::SftpGet(copy) => Some(copy.output()),
            Self::ScpGet(copy) => Some(copy.output()),
            Self::SftpPut(_) | Self::ScpPut(_) => None,
        }
    }

    /// Returns `true` if bytes wait for standard output. The server's bytes then wait, too.
    pub(super) fn has_output(&self) -> bool {
        self.output().is_some_and(|output| !output.is_empty())
    }

    /// Completes the copy when the server has ended the channel. Returns `false` if it is
    /// incomplete.
    pub(super) fn finish(&mut self, report: &mut Report) -> bool {
        match self {
            Self::SftpPut(_) | Self::SftpGet(_) => false,
            Self::ScpPut(copy) => copy.is_over(),
            Self::ScpGet(copy) => {
                let is_complete = copy.has_answered() && copy.receiver().end_of_input().is_ok();
                copy.finish(report);
                is_complete
            }
        }
    }
}

//! Copies files to or from the server (`--put`, `--get`): by sftp, or by scp.

use std::path::Path;

use super::failure::Failure;
use super::link::Link;
use crate::error::{Error, ExitCode, Peer};
use crate::plan::{CopyProtocol, Copying, Direction, Limits, Plan, Remote};
use crate::ssh::sftp;
use crate::sys::{self, Channel, Signals};
use engine::Engine;
use get::SftpGet;
use local::Place;
use put::SftpPut;
use report::Report;
use run::{End, Run};
use scp_get::ScpGet;
use scp_put::ScpPut;

mod engine;
mod get;
mod input;
mod local;
mod output;
mod progress;
mod put;
mod report;
mod run;
mod scp_get;
mod scp_put;
mod walk;

/// Copies files over a connection. Returns the exit code of the first failure.
///
/// # Errors
/// The connection was lost, or standard input or output failed.
pub(super) fn run(
    link: Link,
    remote: &Remote,
    copying: &Copying,
    plan: &Plan,
    server: Peer,
) -> Result<ExitCode, Error> {
    let system = |what| move |cause| Error::System { what, cause };
    // The handlers come first, so that a signal leaves no partial file behind.
    let signals = Signals::watch().map_err(system("watch for signals"))?;
    sys::report_file_size_limit();
    let direction = match copying.direction {
        Direction::Get => sftp::Direction::Get,
        Direction::Put => sftp::Direction::Put,
    };
    let mut run = Run {
        link,
        signals,
        plan: copying,
        limit: plan.limits.for_step(Limits::HANDSHAKE_TIMEOUT),
        report: Report::new(direction, server.to_string(), !remote.is_quiet),
        server,
        standard: standard(copying).map_err(system("use standard input and output"))?,
    };
    let result = copy_all(&mut run);
    run.finish(result)
}

fn uses_standard(copying: &Copying) -> bool {
    match copying.direction {
        Direction::Put => copying.files == ["-"],
        Direction::Get => copying.destination == "-",
    }
}

fn standard(copying: &Copying) -> std::io::Result<Option<Channel>> {
    match copying.direction {
        _ if !uses_standard(copying) => Ok(None),
        Direction::Put => Channel::stdin(),
        Direction::Get => Channel::stdout(),
    }
}

/// Copies by sftp, or by scp if the server has no sftp.
fn copy_all(run: &mut Run<'_>) -> Result<(), Failure> {
    let copying = run.plan;
    let place = if copying.direction == Direction::Get && !uses_standard(copying) {
        match Place::find(&copying.destination, copying.files.len()) {
            Ok(place) => Some(place),
            Err(error) => {
                run.report.local_failed("write", Path::new(&copying.destination), &error);
                return Ok(());
            }
        }
    } else {
        None
    };
    if copying.protocol != Some(CopyProtocol::Scp) {
        let mut engine = match copying.direction {
            Direction::Put => Engine::SftpPut(SftpPut::new(copying)),
            Direction::Get => Engine::SftpGet(SftpGet::new(copying, place.clone())),
        };
        let program = engine.program(copying);
        let end = program.map_or(Ok(End::Done), |program| run.copy(&mut engine, program))?;
        if end != End::Unavailable {
            return Ok(());
        }
        if copying.protocol.is_some() {
            run.report.server_says(&"refused to start sftp; use --copy-by scp");
            return Ok(());
        }
    }
    copy_by_scp(run, place.as_ref())
}

fn copy_by_scp(run: &mut Run<'_>, place: Option<&Place>) -> Result<(), Failure> {
    let copying = run.plan;
    match copying.direction {
        Direction::Put if uses_standard(copying) => {
            let cause = "scp cannot send standard input, and the server has no sftp";
            run.report.server_failed(copying.destination.as_bytes(), &cause);
        }
        Direction::Put => drop(by_scp(run, Engine::ScpPut(ScpPut::new(copying)))?),
        Direction::Get => {
            for file in &copying.files {
                let (recursive, preserve) = (copying.recursive, copying.preserve);
                let Some(copy) = ScpGet::new(file.as_bytes(), place.cloned(), recursive, preserve) else {
                    run.report.not_copied(file.as_bytes(), &"invalid name");
                    continue;
                };
                if by_scp(run, Engine::ScpGet(copy))? != End::Done {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Copies over one channel by scp.
fn by_scp(run: &mut Run<'_>, mut engine: Engine) -> Result<End, Failure> {
    let end = match engine.program(run.plan) {
        Ok(program) => run.copy(&mut engine, program)?,
        Err(error) => {
            let name = match &engine {
                Engine::ScpGet(copy) => copy.remote(),
                _ => run.plan.destination.as_bytes(),
            };
            run.report.not_copied(name, &error);
            End::Done
        }
    };
    if end == End::Unavailable {
        run.report.server_says(&"refused to run scp");
    }
    Ok(end)
}

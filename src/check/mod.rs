//! `--check`: prints the plan and the origin of each setting, then tries the run step by step.
//!
//! The report goes to standard output, either as text that is printed while the check runs or as
//! one JSON object at the end. The exit code is the same as for a session.

use std::io;
use std::time::Instant;

use crate::config::SettingRecord;
use crate::connector::Connector;
use crate::error::{Error, ExitCode};
use crate::plan::Local;
pub use report::Format;
use report::{Report, State};
use served::Served;

mod facts;
mod json;
mod report;
mod served;
mod server;
mod session;
mod step;
mod text;

/// Prints the plan and tries each step of the run.
///
/// # Errors
/// Writing to standard output failed. A failed connection is not an error here: the exit code
/// reports it.
pub fn run(connector: &Connector, records: &[SettingRecord], format: Format) -> Result<ExitCode, Error> {
    let (started, plan) = (Instant::now(), connector.plan());
    let report = Report::new(format, started);
    report.print(|style| text::plan(style, plan, records));
    let failure = match &plan.local {
        Local::Origin(settings) => server::check_origin(&report, connector, settings),
        local => {
            let served = Served::in_plan(local).map_or(Ok(()), |served| server::check(&report, &served));
            if matches!(local, Local::Hub(_)) {
                served
            } else {
                served.and(session::check(&report, connector))
            }
        }
    };
    let failure = failure.err();
    let code = failure.as_ref().map_or(ExitCode::Ok, |failure| failure.code);
    let State { steps, output, .. } = report.state.into_inner();
    let written = output.and_then(|()| match report.style {
        Some(style) => text::verdict(style, code, started.elapsed()),
        None => json::write(plan, records, &steps, failure.as_ref(), code),
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(code),
    }
}

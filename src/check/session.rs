//! The check of a session: connects to the target.

use std::time::Duration;

use super::report::{Failure, Report};
use super::step::Verdict;
use crate::connector::Connector;
use crate::error::Error;
use crate::net::Tunnel;
use crate::plan::{Local, Target};
use crate::stream;

/// Time limit for a greeting. A target that sends nothing for this long is assumed to wait for the
/// client.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to the target.
pub(super) fn check(report: &Report, connector: &Connector) -> Result<(), Failure> {
    let routes = connector.plan().routes.len();
    let is_remote = matches!(connector.plan().local, Local::Remote(_));
    let mut state = report.state.borrow_mut();
    (state.routes, state.ends_with_login) = (routes, is_remote);
    drop(state);
    let result = match connector.connect_with_progress(None, report) {
        Ok(tunnel) => {
            let target = &connector.plan().target;
            if is_remote {
                // Every byte of the connection belongs to SSH.
                report.note("target", Verdict::Note, "--check starts nothing at the server".into(), None);
                return Ok(());
            }
            greeting(report, target, tunnel).inspect_err(|error| report.failure(error))
        }
        // With several routes, `Stage::Failed` has already reported each failure, except a final
        // one.
        Err(error) if routes > 1 && !error.is_final() => Err(error),
        Err(error) => {
            report.failure(&error);
            Err(error)
        }
    };
    result.map_err(|error| Failure::from(&error))
}

/// Reports the first line that the target sends unprompted.
///
/// # Errors
/// The connection was closed before the target sent anything, or it broke.
fn greeting(report: &Report, target: &Target, tunnel: Tunnel) -> Result<(), Error> {
    let Tunnel { mut stream, peers } = tunnel;
    let mut bytes = [0; 256];
    let received = stream::read_within(&mut *stream, &mut bytes, GREETING_TIMEOUT)
        .map_err(|cause| Error::remote(peers.remote.clone(), cause, true))
        .map_err(|error| peers.session_error(error))?;
    stream::close(stream);
    let (verdict, text) = match received {
        None => (Verdict::Note, format!("{target} sent no greeting")),
        Some(0) => return Err(peers.nothing_received()),
        Some(count) => {
            let shown = report.redactor.redact_start(&bytes[..count]);
            let line = shown.split(|&byte| byte == b'\n').next().unwrap_or_default();
            (Verdict::Good, format!("{target} sent: {}", report.redactor.printable(line)))
        }
    };
    report.note("target", verdict, text, None);
    Ok(())
}

//! Replaces `remote` in a build without SSH.

use super::sources::Sources;
use crate::addr::Endpoint;
use crate::cli::Args;
use crate::error::Error;
use crate::plan::{Local, Route, Target};

/// Returns `None`, because no option for work at an SSH server is given.
///
/// # Errors
/// [`Error::Config`] if one is.
pub(super) fn server(args: &Args) -> Result<Option<Endpoint>, Error> {
    let is_given = args.remote.server.is_some();
    match is_given.then_some("--ssh").or_else(|| args.remote.dependents().next()) {
        Some(option) => Err(Error::Config(format!("cannot use {option}: this build has no SSH"))),
        None => Ok(None),
    }
}

/// Returns the target of the plan.
pub(super) fn target(server: &Endpoint) -> Target {
    Target::AtServer(Some(server.host.clone()))
}

/// Returns the local end without a server.
///
/// # Errors
/// None.
#[expect(clippy::unnecessary_wraps, reason = "with SSH, the settings may be invalid")]
pub(super) fn local(_: &Args, _: &Sources<'_>) -> Result<Local, Error> {
    Ok(Local::Stdio)
}

/// Leaves the routes unchanged.
///
/// # Errors
/// None.
#[expect(clippy::unnecessary_wraps, reason = "with SSH, the settings may be invalid")]
pub(super) fn append(_: &mut [Route], _: &Args, _: &Sources<'_>) -> Result<(), Error> {
    Ok(())
}

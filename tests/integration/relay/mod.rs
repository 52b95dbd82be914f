//! Relaying between stdin and stdout on one side and the remote on the other. Each test is named
//! after the rule that it checks.
//!
//! The tests in `bulk`, `ending` and `idle` depend on how bytes are moved. They run again in
//! `relay_copying`, where the program copies instead of using splice(2).

mod bulk;
mod closed;
mod early;
mod ending;
mod flags;
mod idle;
mod idle_timeout;
mod kinds;
mod session;
mod through_proxy;

use std::time::Duration;

use crate::kit::*;

/// Time limit for a session to end. It is long enough for a busy machine, but shorter than the 5
/// seconds for which a stalled peer may delay the end.
pub(crate) const SOON: Duration = Duration::from_secs(4);

/// Returns a run of the program that uses splice(2) where it can.
fn connect(args: impl AsRef<str>) -> Program {
    crate::kit::connect(args).env("CONNECT_RELAY", "splice")
}

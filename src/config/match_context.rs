//! The values that `Match` blocks are evaluated against: the target and this machine.

use std::cell::OnceCell;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::conditions::MatchEnv;
use crate::error::{GIVEN_UP, os_message, seconds};
use crate::plan::{Limits, Target};
use crate::secret;
use crate::sys::{self, DumpGuard, Program, SignalReport};
use crate::trace::trace;

/// Time limit for an `exec` command, which is then killed, unless `-w` sets another limit.
const MATCH_EXEC_TIMEOUT: Duration = Duration::from_secs(10);

/// The context that `Match` conditions are evaluated in: the target and this machine.
#[derive(Debug, Default)]
pub(super) struct MatchContext {
    host: String,
    port: Option<u16>,
    /// No client has named a target yet, so `exec` commands are not run.
    has_no_target: bool,
    limits: Limits,
    /// Engaged before the first command runs, because the environment may contain a password.
    dump_guard: OnceCell<DumpGuard>,
}

impl MatchContext {
    /// Creates the context for a target, with the time limits for `exec` commands.
    pub(super) fn new(target: &Target, limits: Limits) -> Self {
        let (host, port) = match target {
            Target::Tcp(endpoint) => (endpoint.host.to_string(), Some(endpoint.port.get())),
            Target::Unix(_) | Target::Queue(_) => (target.to_string(), None),
            Target::AtServer(host) => (host.as_ref().map(ToString::to_string).unwrap_or_default(), None),
        };
        Self { host, port, has_no_target: false, limits, dump_guard: OnceCell::new() }
    }

    /// Creates the context for a run whose clients name the targets, in which no `exec` command
    /// succeeds.
    pub(super) fn without_target(limits: Limits) -> Self {
        Self { has_no_target: true, limits, ..Self::default() }
    }
}

impl MatchEnv for MatchContext {
    fn host(&self) -> &str {
        &self.host
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        sys::own_addresses()
    }

    fn user(&self) -> Option<String> {
        sys::login_name()
    }

    fn succeeds(&self, command: &str) -> Result<bool, String> {
        if self.has_no_target {
            return Ok(false);
        }
        self.dump_guard.get_or_init(DumpGuard::engage);
        trace!("running {}", secret::masked_text(command));
        let limit = self.limits.for_step(MATCH_EXEC_TIMEOUT);
        let _report = SignalReport::start("a Match exec command".into(), Instant::now(), GIVEN_UP);
        match sys::run_within(Program::Shell(command), limit) {
            Ok(Some(status)) => Ok(status.success()),
            Ok(None) => {
                let limit = limit.unwrap_or_default();
                Err(format!("the exec command did not finish within {}", seconds(&limit)))
            }
            Err(error) => Err(format!("cannot run the exec command: {}", os_message(&error))),
        }
    }
}

//! What the conditions of a parameter file look at: the target, and this machine.

use std::io;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use super::conditions::Surroundings;
use crate::error::{os_message, seconds};
use crate::plan::Target;
use crate::sys;
use crate::trace::trace;

/// For so long a command of a condition may run, unless `-w` says otherwise.
const MATCH_EXEC_TIMEOUT: Duration = Duration::from_secs(10);

/// A target, and this machine.
#[derive(Debug, Default)]
pub(super) struct Here {
    host: String,
    port: Option<u16>,
    limit: Option<Duration>,
}

impl Here {
    /// On the way to a target, within so much time.
    pub(super) fn heading_for(target: &Target, limit: Option<Duration>) -> Self {
        let (host, port) = match target {
            Target::Tcp(at) => (at.host.to_string(), Some(at.port.get())),
            Target::Unix(_) => (target.to_string(), None),
        };
        Self { host, port, limit }
    }
}

impl Surroundings for Here {
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
        trace!("running {command}");
        let limit = self.limit.unwrap_or(MATCH_EXEC_TIMEOUT);
        // Standard input and output carry the session.
        let mut shell = sys::shell(command);
        match sys::run_within(shell.stdin(Stdio::null()).stdout(Stdio::null()), limit) {
            Ok(Some(status)) => Ok(status.success()),
            Ok(None) => Err(format!("its command was not done after {}", seconds(&limit))),
            Err(error) => Err(format!("its command cannot be run ({})", os_message(&error))),
        }
    }
}

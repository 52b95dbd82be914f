//! The report of an EOF that is not passed on to the remote.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::error::Peer;
use crate::trace;

/// Delay between the EOF of standard input and the report that the session continues.
const REPORT_DELAY: Duration = Duration::from_secs(1);

/// The EOF of standard input, if the remote would discard data at it. The user might take the
/// session for stuck.
#[derive(Debug, Default)]
pub(super) struct WithheldEof {
    /// When it is reported; `None` before the EOF, and after the report.
    report_at: Option<Instant>,
}

impl WithheldEof {
    /// Starts to wait.
    pub(super) fn start(&mut self) {
        self.report_at = Instant::now().checked_add(REPORT_DELAY);
    }

    /// Returns the time left until the report.
    pub(super) fn remaining(&self) -> Option<Duration> {
        self.report_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Reports the EOF on the terminal, if it is time.
    pub(super) fn report(&mut self, peer: &Peer) {
        if self.remaining() != Some(Duration::ZERO) {
            return;
        }
        self.report_at = None;
        if io::stderr().is_terminal() {
            trace::message(&format!(
                "standard input has ended; waiting for {peer} to close, because most servers discard data when the client \
                 closes first (if this one does not, use #eof=close)"
            ));
        }
    }
}

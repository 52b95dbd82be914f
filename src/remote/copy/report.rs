//! Reports what failed, and shows the progress.

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::progress::Progress;
use crate::error::{ExitCode, os_message};
use crate::ssh::sftp::{Direction, failure_line};
use crate::text::printable;
use crate::trace;

/// The failures so far, and the progress of the copies.
pub(super) struct Report {
    direction: Direction,
    /// The server, in messages.
    server: String,
    pub(super) progress: Progress,
    /// The exit code of the first failure.
    code: Option<ExitCode>,
}

impl Report {
    /// Starts a report. `shows_progress` allows a line on the terminal.
    pub(super) fn new(direction: Direction, server: String, shows_progress: bool) -> Self {
        Self { direction, server, progress: Progress::new(shows_progress), code: None }
    }

    /// Returns the exit code of the run.
    pub(super) fn exit_code(&self) -> ExitCode {
        self.code.unwrap_or(ExitCode::Ok)
    }

    /// Reports that the server failed to read or write a file.
    pub(super) fn server_failed(&mut self, name: &[u8], cause: &dyn Display) {
        let line = failure_line(self.direction, name, &self.server, cause);
        self.failed(ExitCode::Refused, &line);
    }

    /// Reports that a file cannot be copied for a reason on this side.
    pub(super) fn not_copied(&mut self, name: &[u8], cause: &dyn Display) {
        let line = failure_line(self.direction, name, &self.server, cause);
        self.failed(ExitCode::System, &line);
    }

    /// Reports that this system failed to do something with a file: `what` follows "cannot".
    pub(super) fn local_failed(&mut self, what: &str, path: &Path, cause: &io::Error) {
        let path = printable(path.as_os_str().as_encoded_bytes());
        self.failed(ExitCode::System, &format!("cannot {what} \"{path}\": {}", os_message(cause)));
    }

    /// Reports a failure that concerns the server, and no file: `what` follows its name.
    pub(super) fn server_says(&mut self, what: &dyn Display) {
        let line = format!("{} {what}", self.server);
        self.failed(ExitCode::Refused, &line);
    }

    /// Reports a violation of the protocol.
    pub(super) fn violated(&mut self, cause: &dyn Display) {
        let line = format!("{} violated the protocol: {cause}", self.server);
        self.failed(ExitCode::Relay, &line);
    }

    /// Reports that a signal has ended the copies.
    pub(super) fn stopped(&mut self, signal: &str) {
        self.failed(ExitCode::System, &format!("stopped by SIG{signal}; the copy is incomplete"));
    }

    fn failed(&mut self, code: ExitCode, line: &str) {
        self.code.get_or_insert(code);
        self.progress.clear();
        trace::message(line);
    }
}

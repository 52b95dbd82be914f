//! The report of a check: a record of its steps.

use std::cell::RefCell;
use std::io;
use std::time::Instant;

use super::step::{Step, Verdict};
use super::text;
use crate::error::{Error, ExitCode};
use crate::net::{Progress, Stage};
use crate::proto::Redactor;
use crate::secret;

/// The format of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// JSON for scripts.
    Json,
}

impl Format {
    /// Parses the value of `--check`. An empty value selects text.
    ///
    /// # Errors
    /// The format is unknown.
    pub fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Error::Config(format!(
                "invalid value '{}' for --check; use --check or --check=json",
                secret::masked(word)
            ))),
        }
    }
}

/// A record of the steps. If the format is text, each step is printed as it completes.
pub(super) struct Report {
    /// The style of the text; `None` for JSON.
    pub(super) style: Option<text::Style>,
    /// Masks the run's secrets in what the target sends.
    pub(super) redactor: Redactor,
    pub(super) state: RefCell<State>,
}

pub(super) struct State {
    pub(super) steps: Vec<Step>,
    /// The heading of the next steps, without the number of the route.
    pub(super) title: &'static str,
    /// The number of the current route, from 1. The steps before the first one have 0.
    pub(super) route: usize,
    /// The number of routes to the current destination.
    pub(super) routes: usize,
    /// The last hop is the server of `--ssh`, which opens no tunnel.
    pub(super) ends_with_login: bool,
    step_started: Instant,
    /// The first error that occurred while writing the report.
    pub(super) output: io::Result<()>,
}

/// The first failure of a check.
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) hint: Option<String>,
    pub(super) code: ExitCode,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { text: error.to_string(), hint: error.hint(), code: error.exit_code() }
    }
}

impl Progress for Report {
    fn is_check(&self) -> bool {
        true
    }

    fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    fn reached(&self, stage: &Stage<'_>) {
        match stage {
            Stage::Route(index) => {
                let mut current = self.state.borrow_mut();
                (current.route, current.step_started) = (index + 1, Instant::now());
                let (title, routes) = (current.title, current.routes);
                drop(current);
                self.print(|style| text::route(style, title, index + 1, routes));
            }
            Stage::Bypassed => {
                self.note(
                    "direct",
                    Verdict::Note,
                    "the target is in the bypass list: no proxy is used".into(),
                    None,
                );
            }
            Stage::Resolved { name, addresses, ignored } => {
                let mut addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                if *ignored > 0 {
                    addresses.push(format!("{ignored} more, which are not used"));
                }
                let text = format!("{} resolved to {}", name.as_str(), addresses.join(", "));
                self.note("name", Verdict::Good, text, None);
            }
            Stage::Dialled { peer, at } => {
                let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
                self.note("dial", Verdict::Good, format!("connected to {peer}{at}"), None);
            }
            Stage::Secured { peer, facts } => {
                self.note("tls", Verdict::Good, format!("TLS with {peer}: {facts}"), None);
            }
            Stage::Progressed { peer, text } => {
                self.note("hop", Verdict::Good, format!("{peer}: {text}"), None);
            }
            Stage::Negotiated(peer) => {
                let is_last = peer.hop.is_none_or(|(index, count)| index == count);
                let logs_in = is_last && self.state.borrow().ends_with_login;
                let what = if logs_in { "accepted the login" } else { "opened the tunnel" };
                self.note("hop", Verdict::Good, format!("{peer} {what}"), None);
            }
            // If there is only one route, the caller reports its failure.
            Stage::Failed(error) if self.state.borrow().routes > 1 => self.failure(error),
            Stage::Failed(_) => {}
        }
    }
}

impl Report {
    pub(super) fn new(format: Format, started: Instant) -> Self {
        let style = (format == Format::Text).then(text::Style::for_stdout);
        let state = State {
            steps: Vec::new(),
            title: "Connecting",
            route: 0,
            routes: 1,
            ends_with_login: false,
            step_started: started,
            output: Ok(()),
        };
        Self { style, redactor: Redactor::default(), state: RefCell::new(state) }
    }

    /// Prints something, if the format is text.
    pub(super) fn print(&self, print: impl FnOnce(text::Style) -> io::Result<()>) {
        if let Some(style) = self.style {
            let written = print(style);
            let mut current = self.state.borrow_mut();
            current.output = std::mem::replace(&mut current.output, Ok(())).and(written);
        }
    }

    pub(super) fn note(&self, stage: &'static str, verdict: Verdict, text: String, hint: Option<String>) {
        let current = self.state.borrow();
        let elapsed = current.step_started.elapsed();
        let step = Step { route: current.route, stage, verdict, elapsed, text, hint };
        drop(current);
        self.print(|style| text::step(style, &step));
        let mut current = self.state.borrow_mut();
        current.steps.push(step);
        current.step_started = Instant::now();
    }

    pub(super) fn failure(&self, error: &Error) {
        let stage = match error {
            Error::Resolve { .. } => "name",
            Error::Dial { .. } | Error::NoAddress { .. } => "dial",
            Error::Tls { .. } => "tls",
            Error::TimedOut { .. } => "time",
            Error::NothingReceived { .. } | Error::Remote { .. } => "target",
            Error::Negotiation { .. } | Error::Lost { .. } | Error::NoPassword { .. } => "hop",
            Error::Listen { .. } => "bind",
            _ => "error",
        };
        self.note(stage, Verdict::Bad, error.to_string(), error.hint());
    }
}

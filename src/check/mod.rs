//! `--check`: prints the plan and the origin of each setting, then connects stage by stage.
//!
//! The report goes to standard output, either as text that is printed while the check runs or as
//! one JSON object at the end. The exit code is the same as for a session.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crate::config::SettingRecord;
use crate::connector::Connector;
use crate::error::{Error, ExitCode};
use crate::net::{Progress, Stage, Tunnel};
use crate::proto::Redactor;
use crate::secret;
use crate::stream;
use step::{Step, Verdict};

mod facts;
mod json;
mod step;
mod text;

/// Time limit for a greeting. A target that sends nothing for this long is assumed to wait for the
/// client.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

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
struct Report<'a> {
    /// The style of the text; `None` for JSON.
    style: Option<text::Style>,
    connector: &'a Connector,
    /// Masks the run's secrets in what the target sends.
    redactor: Redactor,
    state: RefCell<State>,
}

struct State {
    steps: Vec<Step>,
    /// The number of the current route, from 1.
    route: usize,
    step_started: Instant,
    /// The first error that occurred while writing the report.
    output: io::Result<()>,
}

/// Prints the plan and connects to the target.
///
/// # Errors
/// Writing to standard output failed. A failed connection is not an error here: the exit code
/// reports it.
pub fn run(connector: &Connector, records: &[SettingRecord], format: Format) -> Result<ExitCode, Error> {
    let started = Instant::now();
    let style = (format == Format::Text).then(text::Style::for_stdout);
    let state = State { steps: Vec::new(), route: 1, step_started: started, output: Ok(()) };
    let redactor = Redactor::default();
    let report = Report { style, connector, redactor, state: RefCell::new(state) };
    if let Some(style) = style {
        report.state.borrow_mut().output = text::plan(style, connector.plan(), records);
    }
    let failure = match connector.connect_with_progress(None, &report) {
        Ok(tunnel) => report.greeting(tunnel).inspect_err(|error| report.failure(error)).err(),
        Err(error) => {
            // With several routes, `Stage::Failed` has already reported each failure, except a
            // final one.
            if connector.plan().routes.len() == 1 || error.is_final() {
                report.failure(&error);
            }
            Some(error)
        }
    };
    let code = failure.as_ref().map_or(ExitCode::Ok, Error::exit_code);
    let State { steps, output, .. } = report.state.into_inner();
    let written = output.and_then(|()| match style {
        Some(style) => text::verdict(style, code, started.elapsed()),
        None => json::write(connector.plan(), records, &steps, failure.as_ref(), code),
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(code),
    }
}

impl Progress for Report<'_> {
    fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    fn reached(&self, stage: &Stage<'_>) {
        match stage {
            Stage::Route(index) => {
                let mut current = self.state.borrow_mut();
                (current.route, current.step_started) = (index + 1, Instant::now());
                if let Some(style) = self.style {
                    let written = text::route(style, index + 1, self.connector.plan().routes.len());
                    current.output = std::mem::replace(&mut current.output, Ok(())).and(written);
                }
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
            Stage::Negotiated(peer) => {
                self.note("hop", Verdict::Good, format!("{peer} opened the tunnel"), None);
            }
            // If the plan has only one route, `run` reports its failure.
            Stage::Failed(error) if self.connector.plan().routes.len() > 1 => self.failure(error),
            Stage::Failed(_) => {}
        }
    }
}

impl Report<'_> {
    fn note(&self, stage: &'static str, verdict: Verdict, text: String, hint: Option<String>) {
        let mut current = self.state.borrow_mut();
        let elapsed = current.step_started.elapsed();
        let step = Step { route: current.route, stage, verdict, elapsed, text, hint };
        if let Some(style) = self.style {
            let written = text::step(style, &step);
            current.output = std::mem::replace(&mut current.output, Ok(())).and(written);
        }
        current.steps.push(step);
        current.step_started = Instant::now();
    }

    fn failure(&self, error: &Error) {
        let stage = match error {
            Error::Resolve { .. } => "name",
            Error::Dial { .. } | Error::NoAddress { .. } => "dial",
            Error::Tls { .. } => "tls",
            Error::TimedOut { .. } => "time",
            Error::NothingReceived { .. } | Error::Remote { .. } => "target",
            Error::Negotiation { .. } | Error::Lost { .. } | Error::NoPassword { .. } => "hop",
            _ => "error",
        };
        self.note(stage, Verdict::Bad, error.to_string(), error.hint());
    }

    /// Reports the first line that the target sends unprompted.
    ///
    /// # Errors
    /// The connection was closed before the target sent anything, or it broke.
    fn greeting(&self, tunnel: Tunnel) -> Result<(), Error> {
        let Tunnel { mut stream, peers } = tunnel;
        let mut bytes = [0; 256];
        let received = stream::read_within(&mut *stream, &mut bytes, GREETING_TIMEOUT)
            .map_err(|cause| Error::Remote { peer: peers.remote.clone(), cause, unanswered: true })
            .map_err(|error| peers.session_error(error))?;
        stream::close(stream);
        let target = &self.connector.plan().target;
        let (verdict, text) = match received {
            None => (Verdict::Note, format!("{target} sent no greeting")),
            Some(0) => return Err(peers.nothing_received()),
            Some(count) => {
                let shown = self.redactor.redact_start(&bytes[..count]);
                let line = shown.split(|&byte| byte == b'\n').next().unwrap_or_default();
                (Verdict::Good, format!("{target} sent: {}", self.redactor.printable(line)))
            }
        };
        self.note("target", verdict, text, None);
        Ok(())
    }
}

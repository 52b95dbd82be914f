//! `--check`: says what the plan is and where it comes from, and tries it stage by stage.
//!
//! What is said goes to standard output, as a text that grows while it is tried, or in one JSON object at the end. The
//! exit code is that of a run.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crate::config::Record;
use crate::connector::Connector;
use crate::error::{Error, ExitCode, os_message};
use crate::net::{Progress, Stage, Tunnel};
use crate::sys;
use crate::text::printable;

mod facts;
mod json;
mod text;

/// A target that speaks first does so within this time, or is taken for one that waits for us.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl Format {
    /// What stands behind `--check=`, if anything does.
    ///
    /// # Errors
    /// It is no format.
    pub fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Error::Config("--check takes json, or nothing".into())),
        }
    }
}

/// What came of one stage.
#[derive(Debug)]
struct Step {
    /// The route, counted from 1.
    route: usize,
    /// What kind of stage: one word.
    stage: &'static str,
    verdict: Verdict,
    took: Duration,
    text: String,
    /// What to try, if it failed and we know.
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Neither good nor bad.
    Note,
    Bad,
}

/// The steps so far, each told as it comes where people read it.
struct Report<'a> {
    shown: Option<text::Style>,
    connector: &'a Connector,
    so_far: RefCell<SoFar>,
}

struct SoFar {
    steps: Vec<Step>,
    route: usize,
    since: Instant,
    /// Nobody reads it any more, or it cannot be written.
    output: io::Result<()>,
}

/// Tells of the plan and tries it.
///
/// # Errors
/// Standard output cannot be written. That the way leads nowhere is none: the exit code says so.
pub fn run(connector: &Connector, records: &[Record], format: Format) -> Result<ExitCode, Error> {
    let started = Instant::now();
    let shown = (format == Format::Text).then(text::Style::of_standard_output);
    let so_far = SoFar { steps: Vec::new(), route: 1, since: started, output: Ok(()) };
    let report = Report { shown, connector, so_far: RefCell::new(so_far) };
    if let Some(style) = shown {
        report.so_far.borrow_mut().output = text::plan(style, connector.plan(), records);
    }
    let failure = match connector.connect_with_progress(None, &report) {
        Ok(tunnel) => {
            report.greeting(&tunnel);
            None
        }
        Err(error) => {
            report.failed(&error);
            Some(error)
        }
    };
    let code = failure.as_ref().map_or(ExitCode::Ok, Error::exit_code);
    let SoFar { steps, output, .. } = report.so_far.into_inner();
    let told = output.and_then(|()| match shown {
        Some(style) => text::verdict(style, code, started.elapsed()),
        None => json::tell(connector.plan(), records, &steps, failure.as_ref(), code),
    });
    match told {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(code),
    }
}

impl Progress for Report<'_> {
    fn reached(&self, stage: &Stage<'_>) {
        match stage {
            Stage::Route(index) => {
                let mut so_far = self.so_far.borrow_mut();
                (so_far.route, so_far.since) = (index + 1, Instant::now());
                if let Some(style) = self.shown {
                    let told = text::route(style, index + 1, self.connector.plan().routes.len());
                    so_far.output = std::mem::replace(&mut so_far.output, Ok(())).and(told);
                }
            }
            Stage::Bypassed => {
                self.note("direct", Verdict::Note, "the target is one that needs no proxy".into(), None);
            }
            Stage::Resolved { name, addresses } => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                let text = format!("{} is {}", name.as_str(), addresses.join(", "));
                self.note("name", Verdict::Good, text, None);
            }
            Stage::Dialled { peer, at } => {
                self.note("dial", Verdict::Good, format!("{peer} took the connection at {at}"), None);
            }
            Stage::Secured { peer, facts } => {
                self.note("tls", Verdict::Good, format!("{peer} speaks TLS: {facts}"), None);
            }
            Stage::Negotiated(peer) => {
                self.note("hop", Verdict::Good, format!("{peer} made the tunnel"), None);
            }
            // The last one is told with the whole result.
            Stage::Failed(error) if self.connector.plan().routes.len() > 1 => self.failure(error),
            Stage::Failed(_) => {}
        }
    }
}

impl Report<'_> {
    fn note(&self, stage: &'static str, verdict: Verdict, text: String, hint: Option<String>) {
        let mut so_far = self.so_far.borrow_mut();
        let took = so_far.since.elapsed();
        let step = Step { route: so_far.route, stage, verdict, took, text, hint };
        if let Some(style) = self.shown {
            let told = text::step(style, &step);
            so_far.output = std::mem::replace(&mut so_far.output, Ok(())).and(told);
        }
        so_far.steps.push(step);
        so_far.since = Instant::now();
    }

    fn failure(&self, error: &Error) {
        let stage = match error {
            Error::Resolve { .. } => "name",
            Error::Dial { .. } => "dial",
            Error::Tls { .. } => "tls",
            Error::TimedOut { .. } => "time",
            Error::Negotiation { .. } | Error::Lost { .. } | Error::NoPassword { .. } => "hop",
            _ => "error",
        };
        self.note(stage, Verdict::Bad, error.to_string(), error.hint());
    }

    /// Where there were several routes each was told of, but for what ended it before they were all tried.
    fn failed(&self, error: &Error) {
        if self.connector.plan().routes.len() == 1 || error.is_final() {
            self.failure(error);
        }
    }

    /// What the target says by itself.
    fn greeting(&self, tunnel: &Tunnel) {
        let mut watches = [sys::watch(&tunnel.channel, true, false)];
        let mut bytes = [0; 256];
        let said = match sys::poll(&mut watches, Some(GREETING_TIMEOUT)) {
            Ok(true) => tunnel.channel.read(&mut bytes).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let target = &self.connector.plan().target;
        let (verdict, text) = match said {
            Ok(None) => (Verdict::Note, format!("{target} says nothing by itself")),
            Ok(Some(0)) => (Verdict::Note, format!("{target} closed the connection at once")),
            Ok(Some(count)) => {
                let line = bytes[..count].split(|&byte| byte == b'\n').next().unwrap_or_default();
                (Verdict::Good, format!("{target} says: {}", printable(line)))
            }
            Err(error) => (Verdict::Note, format!("{target} broke the connection: {}", os_message(&error))),
        };
        self.note("target", verdict, text, None);
    }
}

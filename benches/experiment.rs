//! An experiment: participants that take turns, round by round, and their measurements.

use std::io::{self, IsTerminal, Write};

use crate::statistics::Summary;

/// A quantity that is measured in each run.
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    /// Heading of the table column.
    pub(crate) label: &'static str,
    pub(crate) digits: usize,
}

/// The measurements of one run, in the order of the experiment's metrics, or why the run failed.
pub(crate) type Sample = Result<Vec<f64>, String>;

/// A participant: one competitor in one configuration.
pub(crate) struct Participant<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut() -> Sample + 'a>,
}

impl<'a> Participant<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> Sample + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The measurements of one participant.
pub(crate) struct Row {
    pub(crate) name: String,
    /// One sample per round; `None` if the participant was skipped or its run failed.
    pub(crate) samples: Vec<Option<Vec<f64>>>,
    /// The reason for the latest failure; `None` if no run failed.
    pub(crate) failure: Option<String>,
}

impl Row {
    fn values(&self, metric: usize) -> impl Iterator<Item = f64> {
        self.samples.iter().flatten().map(move |sample| sample[metric])
    }

    /// Summarizes one metric; `None` if no run succeeded.
    pub(crate) fn summary(&self, metric: usize) -> Option<Summary> {
        Summary::from_values(self.values(metric))
    }
}

pub(crate) struct Experiment {
    pub(crate) key: &'static str,
    pub(crate) title: String,
    pub(crate) metrics: &'static [Metric],
    /// Names of the participants that serve as references for the others.
    pub(crate) references: &'static [&'static str],
    pub(crate) rows: Vec<Row>,
}

impl Experiment {
    /// Returns the row of this participant.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Divides one participant's values by another's, round by round, and summarizes the ratios.
    pub(crate) fn ratio(&self, metric: usize, of: &str, to: &str) -> Option<Summary> {
        let (of, to) = (self.row(of)?, self.row(to)?);
        let pairs = of.samples.iter().zip(&to.samples);
        Summary::from_values(pairs.filter_map(|(of, to)| Some(of.as_ref()?[metric] / to.as_ref()?[metric])))
    }
}

/// Number of failed runs after which a participant is excluded.
const MAX_FAILURES: usize = 2;

/// Runs every participant once per round.
///
/// If `is_slow` returns `true` for a participant's first sample, the participant runs only in every
/// tenth round.
pub(crate) fn take_turns(
    title: &str,
    rounds: usize,
    participants: Vec<Participant<'_>>,
    is_slow: impl Fn(&[f64]) -> bool,
) -> Vec<Row> {
    let count = participants.len();
    let mut rows: Vec<_> = participants
        .iter()
        .map(|participant| Row { name: participant.name.clone(), samples: vec![None; rounds], failure: None })
        .collect();
    let mut participants = participants;
    let mut failures = vec![0; count];
    for round in 0..rounds {
        for turn in 0..count {
            // Rotate the order, because a participant's position in the round may affect its speed.
            let index = (round + turn) % count;
            let row = &mut rows[index];
            let slow = row.samples.iter().flatten().next().is_some_and(|sample| is_slow(sample));
            if failures[index] == MAX_FAILURES || (slow && round % 10 != 0) {
                continue;
            }
            show_progress(&format!("{title}: round {} of {rounds}, {}", round + 1, row.name));
            match (participants[index].run)() {
                Ok(sample) => row.samples[round] = Some(sample),
                Err(failure) => {
                    failures[index] += 1;
                    row.failure = Some(failure);
                }
            }
        }
    }
    show_progress("");
    rows
}

/// Overwrites the progress line if stderr is a terminal.
fn show_progress(line: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
    }
}

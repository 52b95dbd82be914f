//! The measures. Each is an `Experiment`: participants who take turns, round by round.

mod bulk;
mod ping_pong;
mod port;
mod sessions;
mod start;

use std::io::{self, IsTerminal, Write};

use crate::competitors::Competitor;
use crate::options::{Measure, Options};
use crate::report::table;
use crate::statistics::Summary;

/// One figure of a run.
pub(crate) struct Metric {
    pub(crate) key: &'static str,
    /// What stands above its column.
    pub(crate) label: &'static str,
    pub(crate) digits: usize,
}

/// The figures of one run, in the order of the experiment's metrics; or what went wrong.
pub(crate) type Sample = Result<Vec<f64>, String>;

/// Somebody who takes turns with others.
pub(crate) struct Participant<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut() -> Sample + 'a>,
}

impl<'a> Participant<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() -> Sample + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// What came of one participant.
pub(crate) struct Row {
    pub(crate) name: String,
    /// One for each round; none where it had no turn or no luck.
    pub(crate) samples: Vec<Option<Vec<f64>>>,
    pub(crate) trouble: Option<String>,
}

pub(crate) struct Experiment {
    pub(crate) key: &'static str,
    pub(crate) title: String,
    pub(crate) metrics: &'static [Metric],
    /// Whose figures the others are divided by.
    pub(crate) yardsticks: &'static [&'static str],
    pub(crate) rows: Vec<Row>,
}

impl Experiment {
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// One participant's figures divided by another's, round by round.
    pub(crate) fn ratio(&self, metric: usize, of: &str, to: &str) -> Option<Summary> {
        let (of, to) = (self.row(of)?, self.row(to)?);
        let pairs = of.samples.iter().zip(&to.samples);
        Summary::of(pairs.filter_map(|(of, to)| Some(of.as_ref()?[metric] / to.as_ref()?[metric])))
    }
}

impl Row {
    pub(crate) fn values(&self, metric: usize) -> impl Iterator<Item = f64> {
        self.samples.iter().flatten().map(move |sample| sample[metric])
    }

    pub(crate) fn summary(&self, metric: usize) -> Option<Summary> {
        Summary::of(self.values(metric))
    }
}

/// A run is repeated this often before its participant is out.
const TROUBLES: usize = 2;

/// Gives every participant its turn in each round. Who `is_slow` in its first turn has only every tenth one.
pub(crate) fn in_turn(
    title: &str,
    rounds: usize,
    participants: Vec<Participant<'_>>,
    is_slow: impl Fn(&[f64]) -> bool,
) -> Vec<Row> {
    let count = participants.len();
    let mut rows: Vec<_> = participants
        .iter()
        .map(|participant| Row { name: participant.name.clone(), samples: vec![None; rounds], trouble: None })
        .collect();
    let mut participants = participants;
    let mut troubles = vec![0; count];
    for round in 0..rounds {
        for turn in 0..count {
            // Who comes first changes, since the first after a pause has it easier, or harder.
            let index = (round + turn) % count;
            let row = &mut rows[index];
            let slow = row.samples.iter().flatten().next().is_some_and(|sample| is_slow(sample));
            if troubles[index] == TROUBLES || (slow && round % 10 != 0) {
                continue;
            }
            progress(&format!("{title}: round {} of {rounds}, {}", round + 1, row.name));
            match (participants[index].run)() {
                Ok(sample) => row.samples[round] = Some(sample),
                Err(trouble) => {
                    troubles[index] += 1;
                    row.trouble = Some(trouble);
                }
            }
        }
    }
    progress("");
    rows
}

/// One line that is written over and over, for who is watching.
fn progress(line: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
    }
}

/// Runs what was asked for, and shows each experiment when it is done.
pub(crate) fn all(options: &Options, competitors: &[Competitor]) -> Vec<Experiment> {
    let mut experiments = Vec::new();
    let mut add = |experiment: Experiment| {
        table::experiment(&experiment);
        experiments.push(experiment);
    };
    for measure in &options.measures {
        match measure {
            Measure::Down => bulk::experiments(bulk::Way::Down, options, competitors, &mut add),
            Measure::Up => bulk::experiments(bulk::Way::Up, options, competitors, &mut add),
            Measure::PingPong => add(ping_pong::experiment(options, competitors)),
            Measure::Start => start::experiments(options, competitors, &mut add),
            Measure::Port => port::experiments(options, competitors, &mut add),
            Measure::Memory => add(bulk::memory(options, competitors)),
            Measure::Sessions => add(sessions::experiment(options, competitors)),
        }
    }
    experiments
}

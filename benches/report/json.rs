//! All results as JSON, for other programs.

use serde_json::{Value, json};

use super::goals::{Mark, Verdict};
use crate::competitors::Competitor;
use crate::experiment::{Experiment, Row};
use crate::machine::Machine;

pub(super) fn text(
    machine: &Machine,
    competitors: &[Competitor],
    experiments: &[Experiment],
    verdicts: &[Verdict],
) -> String {
    let value = json!({
        "date": machine.date,
        "command": machine.command,
        "machine": { "cpu": machine.cpu, "cores": machine.cores, "kernel": machine.kernel },
        "competitors": competitors.iter().map(|one| json!({ "name": one.name, "version": one.version })).collect::<Value>(),
        "experiments": experiments.iter().map(experiment).collect::<Value>(),
        "goals": verdicts.iter().map(goal).collect::<Value>(),
    });
    format!("{value:#}\n")
}

fn experiment(experiment: &Experiment) -> Value {
    let row = |row: &Row| {
        let figures = experiment.metrics.iter().enumerate().map(|(index, metric)| {
            let all: Vec<_> = row.samples.iter().map(|sample| sample.as_ref().map(|sample| sample[index])).collect();
            let summary = row.summary(index).map(|summary| {
                json!({ "median": summary.median, "lower_quartile": summary.lower, "upper_quartile": summary.upper })
            });
            (metric.key.to_owned(), json!({ "summary": summary, "rounds": all }))
        });
        json!({ "name": row.name, "figures": figures.collect::<Value>(), "failure": row.failure })
    };
    let rows = experiment.rows.iter().map(row).collect::<Value>();
    json!({ "name": experiment.key, "title": experiment.title, "rows": rows })
}

fn goal(verdict: &Verdict) -> Value {
    let mark = match verdict.mark {
        Mark::Met => "met",
        Mark::Near => "within the quartiles",
        Mark::Missed => "missed",
    };
    json!({ "what": verdict.what, "limit": verdict.limit(), "median": verdict.figure.median, "mark": mark })
}

//! The output: tables, JSON and a plot.

pub(crate) mod goals;
mod json;
mod plot;
pub(crate) mod table;

use std::fs;
use std::process::ExitCode;

use crate::competitors::Competitor;
use crate::experiment::Experiment;
use crate::machine::Machine;
use crate::options::Options;
use goals::Verdict;

/// Writes bench.json and bench.svg.
pub(crate) fn write(
    options: &Options,
    machine: &Machine,
    competitors: &[Competitor],
    experiments: &[Experiment],
    verdicts: &[Verdict],
) -> ExitCode {
    let json = options.write.join("bench.json");
    let plot = options.write.join("bench.svg");
    let written = fs::create_dir_all(&options.write)
        .and_then(|()| fs::write(&json, json::text(machine, competitors, experiments, verdicts)))
        .and_then(|()| fs::write(&plot, plot::text(machine, experiments)));
    match written {
        Ok(()) => {
            println!("\nwritten: {}, {}", json.display(), plot.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cargo bench: cannot write to '{}': {error}", options.write.display());
            ExitCode::FAILURE
        }
    }
}

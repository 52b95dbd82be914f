//! What is shown and kept.

mod json;
mod plot;
pub(crate) mod table;
pub(crate) mod targets;

use std::fs;
use std::process::ExitCode;

use crate::competitors::Competitor;
use crate::machine::Machine;
use crate::measure::Experiment;
use crate::options::Options;
use targets::Verdict;

/// Writes the files.
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
            eprintln!("cargo bench: {}: {error}", options.write.display());
            ExitCode::FAILURE
        }
    }
}

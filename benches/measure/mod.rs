//! The measurements, each of which consists of one or more experiments.

mod bulk;
mod idle;
mod ping_pong;
mod port;
mod sessions;
mod start;

use crate::competitors::Competitor;
use crate::experiment::Experiment;
use crate::options::{Measurement, Options};
use crate::tunnels;

/// Runs the selected measurements, and calls `show` with each experiment when it is done.
pub(crate) fn run_all(
    options: &Options,
    competitors: &[Competitor],
    show: impl Fn(&Experiment),
) -> Vec<Experiment> {
    let mut experiments = Vec::new();
    let mut add = |experiment: Experiment| {
        show(&experiment);
        experiments.push(experiment);
    };
    for measurement in &options.measurements {
        match measurement {
            Measurement::Down => bulk::experiments(bulk::Direction::Down, options, competitors, &mut add),
            Measurement::Up => bulk::experiments(bulk::Direction::Up, options, competitors, &mut add),
            Measurement::PingPong => add(ping_pong::experiment(options, competitors)),
            Measurement::Start => start::experiments(options, competitors, &mut add),
            Measurement::Port => port::experiments(options, competitors, &mut add),
            Measurement::Memory => add(bulk::memory(options, competitors)),
            Measurement::Sessions => add(sessions::experiment(options, competitors)),
            Measurement::Idle => idle::experiments(options, competitors, &mut add),
            Measurement::Tunnels(kind) => tunnels::experiments(*kind, options, competitors, &mut add),
        }
    }
    experiments
}

//! Measures round-trip times through a tunnel.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::participants::REFERENCES;
use super::processes::Servers;
use super::tunnel::Tunnel;
use crate::competitors::Route;
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::options::Options;
use crate::remote::{Service, Target};
use crate::statistics::percentiles;

const METRICS: &[Metric] = &[
    Metric { key: "p50_microseconds", label: "p50 µs", digits: 0 },
    Metric { key: "p99_microseconds", label: "p99 µs", digits: 0 },
];

/// About the size of the packet that ssh sends for a keystroke.
const SIZE: usize = 32;
/// Round trips before the measurement.
const WARM_UP: usize = 100;
/// Average time allowed per round trip.
const ROUND_TRIP_LIMIT: Duration = Duration::from_millis(5);

pub(super) fn experiment(key: &'static str, options: &Options, tunnels: &[Tunnel]) -> Experiment {
    let trips = options.round_trips;
    let participants = tunnels.iter().map(|tunnel| {
        Participant::new(tunnel.name.clone(), move || {
            run(tunnel, trips).map(|times| percentiles(times, [50, 99]).to_vec())
        })
    });
    let title = format!("{}: {SIZE} bytes there and back, {trips} times per run", key.replace('_', " "));
    let rows = take_turns(&title, options.rounds, participants.collect(), |_| false);
    Experiment { key, title, metrics: METRICS, references: REFERENCES, rows }
}

/// Returns the times of all round trips, in microseconds.
fn run(tunnel: &Tunnel, trips: usize) -> Result<Vec<f64>, String> {
    let limit = Duration::from_secs(10) + ROUND_TRIP_LIMIT * u32::try_from(trips).unwrap_or(u32::MAX);
    let go = || -> io::Result<_> {
        let target = Target::start(Route::Direct, Service::Echo)?;
        let servers = Servers::start(tunnel, target.address.port(), limit)?;
        let mut client = servers.client(tunnel, limit)?;
        let (stdin, stdout) = client.pipes();
        let mut ball = [b'.'; SIZE];
        let mut times = Vec::with_capacity(WARM_UP + trips);
        for _ in 0..WARM_UP + trips {
            let started = Instant::now();
            if stdin.write_all(&ball).and_then(|()| stdout.read_exact(&mut ball)).is_err() {
                break;
            }
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        let outcome = client.finish()?;
        drop(target);
        servers.stop()?;
        Ok((outcome, times))
    };
    let (outcome, mut times) = go().map_err(|error| error.to_string())?;
    if times.len() < WARM_UP + trips {
        return Err(outcome.failure((times.len() * SIZE) as u64, ((WARM_UP + trips) * SIZE) as u64));
    }
    Ok(times.split_off(WARM_UP))
}

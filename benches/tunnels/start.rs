//! Measures the time from the client's exec to the first byte of the target. The servers are
//! already running.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::participants::REFERENCES;
use super::processes::Servers;
use super::tunnel::Tunnel;
use crate::experiment::{Experiment, Metric, Participant, Sample, take_turns};
use crate::options::Options;
use crate::remote::{GREETING, Service, Standing};

const METRICS: &[Metric] = &[
    Metric { key: "milliseconds", label: "ms", digits: 3 },
    Metric { key: "cpu_milliseconds", label: "CPU ms", digits: 3 },
];

/// Time limit for one run.
const LIMIT: Duration = Duration::from_secs(5);
/// Time limit for all runs, through which the servers stay.
const SERVER_LIMIT: Duration = Duration::from_secs(3600);
/// Programs that take longer than this many milliseconds are run less often.
const SLOW: f64 = 15.0;

pub(super) fn experiment<'a>(
    key: &'static str,
    options: &Options,
    tunnels: impl Iterator<Item = &'a Tunnel>,
) -> Experiment {
    let participants = tunnels.map(|tunnel| {
        let mut servers = None;
        Participant::new(tunnel.name.clone(), move || run(tunnel, &mut servers))
    });
    let title = format!("{}: exec to first byte, {} times", key.replace('_', " "), options.starts);
    let rows = take_turns(&title, options.starts, participants.collect(), |sample| sample[0] > SLOW);
    Experiment { key, title, metrics: METRICS, references: REFERENCES, rows }
}

/// Starts the client, and before the first run also the target and the servers.
fn run(tunnel: &Tunnel, kept: &mut Option<(Standing, Servers)>) -> Sample {
    let mut go = || -> io::Result<_> {
        let (_, servers) = if let Some(kept) = kept {
            kept
        } else {
            let target = Standing::start(Service::Greet)?;
            let servers = Servers::start(tunnel, target.port, SERVER_LIMIT)?;
            kept.insert((target, servers))
        };
        let started = Instant::now();
        let mut client = servers.client(tunnel, LIMIT)?;
        let mut greeting = vec![0; GREETING.len()];
        let (_, stdout) = client.pipes();
        let first = stdout.read(&mut greeting)?;
        let elapsed = started.elapsed();
        let complete = first > 0 && stdout.read_exact(&mut greeting[first..]).is_ok() && greeting == GREETING;
        Ok((client.finish()?, elapsed, complete))
    };
    let (outcome, elapsed, complete) = go().map_err(|error| error.to_string())?;
    if !complete {
        return Err(outcome.failure(0, GREETING.len() as u64));
    }
    Ok(vec![elapsed.as_secs_f64() * 1e3, outcome.cpu.as_secs_f64() * 1e3])
}

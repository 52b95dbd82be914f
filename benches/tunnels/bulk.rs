//! Measures bulk transfers through a tunnel.

use std::io;
use std::time::Duration;

use super::participants::REFERENCES;
use super::processes::Servers;
use super::tunnel::Tunnel;
use crate::competitors::Route;
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::flow::{Flow, discard_pipe, pour};
use crate::options::Options;
use crate::relay::{Outcome, Relay};
use crate::remote::{Service, Target, hello_back};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the target to the client's standard output.
    Down,
    /// From the client's standard input to the target.
    Up,
}

const METRICS: &[Metric] = &[
    Metric { key: "megabytes_per_second", label: "MB/s", digits: 0 },
    Metric { key: "client_cpu_seconds_per_gib", label: "client CPU s/GiB", digits: 3 },
    Metric { key: "server_cpu_seconds_per_gib", label: "server CPU s/GiB", digits: 3 },
];

/// Returns the time limit for a run. Assumes at least 20 MiB/s.
fn limit(bytes: u64) -> Duration {
    Duration::from_secs(10 + bytes / (20 << 20))
}

pub(super) fn experiment(
    key: &'static str,
    direction: Direction,
    options: &Options,
    tunnels: &[Tunnel],
) -> Experiment {
    let bytes = options.mib << 20;
    let participants = tunnels.iter().map(|tunnel| {
        Participant::new(tunnel.name.clone(), move || {
            let (outcome, flow, servers) =
                run(direction, tunnel, bytes).map_err(|error| error.to_string())?;
            if flow.bytes < bytes {
                return Err(outcome.failure(flow.bytes, bytes));
            }
            let per_gib = |cpu: Duration| cpu.as_secs_f64() * f64::from(1 << 30) / bytes as f64;
            let speed = bytes as f64 / 1e6 / flow.elapsed.as_secs_f64();
            Ok(vec![speed, per_gib(outcome.cpu), per_gib(servers)])
        })
    });
    let what = match direction {
        Direction::Down => "from the target to standard output",
        Direction::Up => "from standard input to the target",
    };
    let title = format!("{}: {what}, {} MiB", key.replace('_', " "), options.mib);
    let rows = take_turns(&title, options.rounds, participants.collect(), |_| false);
    Experiment { key, title, metrics: METRICS, references: REFERENCES, rows }
}

/// Returns the client's outcome, the received data, and the servers' CPU time.
fn run(direction: Direction, tunnel: &Tunnel, bytes: u64) -> io::Result<(Outcome, Flow, Duration)> {
    let service = match direction {
        Direction::Down => Service::Source(bytes),
        Direction::Up => Service::Sink(bytes),
    };
    let target = Target::start(Route::Direct, service)?;
    let servers = Servers::start(tunnel, target.address.port(), limit(bytes))?;
    let mut client = servers.client(tunnel, limit(bytes))?;
    let before = servers.cpu();
    let flow = match direction {
        Direction::Down => down(&mut client, bytes)?,
        Direction::Up => up(&mut client, target, bytes),
    };
    // Some servers start a process for each connection, so read this before the connection ends.
    let cpu = servers.cpu().saturating_sub(before);
    let outcome = client.finish()?;
    servers.stop()?;
    Ok((outcome, flow, cpu))
}

fn down(client: &mut Relay, bytes: u64) -> io::Result<Flow> {
    let (stdin, stdout) = client.pipes();
    // Ignore a failure here, because the caller detects the missing bytes.
    let _ = hello_back(&mut *stdout, stdin);
    discard_pipe(stdout, bytes)
}

fn up(client: &mut Relay, target: Target, bytes: u64) -> Flow {
    let (stdin, stdout) = client.pipes();
    let _ = hello_back(stdout, &mut *stdin).and_then(|()| pour(stdin, bytes));
    target.finish()
}

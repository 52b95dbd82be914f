//! Measures bulk transfers in one direction, between pipes and a target.

use std::io;
use std::time::Duration;

use crate::competitors::{BASELINE, Competitor, LocalEnd, OURS, Route};
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::flow::{Flow, discard_pipe, pour};
use crate::options::Options;
use crate::relay::{Outcome, Relay};
use crate::remote::{Service, Target, hello_back};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the target to standard output.
    Down,
    /// From standard input to the target.
    Up,
}

pub(super) const METRICS: &[Metric] = &[
    Metric { key: "cpu_seconds_per_gib", label: "CPU s/GiB", digits: 3 },
    Metric { key: "gib_per_second", label: "GiB/s", digits: 2 },
];

const MEMORY: &[Metric] = &[Metric { key: "peak_rss_kib", label: "peak KiB", digits: 0 }];

/// Returns the time limit for a run. Assumes at least 20 MiB/s, a tenth of the speed of the slowest
/// program on a slow machine.
pub(super) fn limit(bytes: u64) -> Duration {
    Duration::from_secs(10 + bytes / (20 << 20))
}

/// Converts bytes to GiB.
pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Returns a run's values for the [`METRICS`].
pub(super) fn sample(cpu: Duration, flow: Flow) -> Vec<f64> {
    vec![cpu.as_secs_f64() / gib(flow.bytes), gib(flow.bytes) / flow.elapsed.as_secs_f64()]
}

/// Measures direct connections and connections through proxies. Both should cost the same.
pub(super) fn experiments(
    direction: Direction,
    options: &Options,
    competitors: &[Competitor],
    mut add: impl FnMut(Experiment),
) {
    let bytes = options.mib << 20;
    let participant = |competitor, route| {
        let run = move || direction.run(competitor, route, bytes).map(|(figures, _)| figures);
        Participant::new(name(competitor, route), run)
    };
    let direct =
        able(competitors, Route::Direct).map(|competitor| participant(competitor, Route::Direct)).collect();
    let mut proxied: Vec<_> = competitors
        .iter()
        .filter(|one| one.name == OURS)
        .map(|one| participant(one, Route::Direct))
        .collect();
    for route in [Route::Socks5, Route::Http] {
        proxied.extend(able(competitors, route).map(|competitor| participant(competitor, route)));
    }
    let (keys, what) = match direction {
        Direction::Down => (["down", "down_proxied"], "down: target to standard output"),
        Direction::Up => (["up", "up_proxied"], "up: standard input to target"),
    };
    let mut add = |key, title: String, references, rounds, participants| {
        let rows = take_turns(&title, rounds, participants, |_| false);
        add(Experiment { key, title, metrics: METRICS, references, rows });
    };
    let title = format!("{what}, {} MiB", options.mib);
    let proxied_title = format!("{title}, through a proxy");
    add(keys[0], title, &[BASELINE, OURS], options.rounds, direct);
    add(keys[1], proxied_title, &[OURS], options.rounds.div_ceil(2), proxied);
}

/// Measures the peak memory of each program during a download.
pub(super) fn memory(options: &Options, competitors: &[Competitor]) -> Experiment {
    let bytes = options.mib << 20;
    let participant = |competitor| {
        Participant::new(name(competitor, Route::Direct), move || {
            let (_, peak) = Direction::Down.run(competitor, Route::Direct, bytes)?;
            Ok(vec![peak.ok_or("it exited before its memory could be read")?])
        })
    };
    let title = format!("memory: peak resident set while {} MiB come down", options.mib);
    let participants = able(competitors, Route::Direct).map(participant).collect();
    let rows = take_turns(&title, options.rounds.min(3), participants, |_| false);
    Experiment { key: "memory", title, metrics: MEMORY, references: &["connect-proxy", OURS], rows }
}

/// Returns the competitors that can relay between pipes and a target on this route.
pub(super) fn able(competitors: &[Competitor], route: Route) -> impl Iterator<Item = &Competitor> {
    competitors.iter().filter(move |competitor| competitor.can(LocalEnd::Pipes, route))
}

/// Returns the participant's name, which includes the route unless it is direct.
pub(super) fn name(competitor: &Competitor, route: Route) -> String {
    match route {
        Route::Direct => competitor.name.clone(),
        _ => format!("{}, {}", competitor.name, route.name()),
    }
}

impl Direction {
    /// Transfers the bytes. Returns the measurements and, for a download, the peak memory.
    fn run(
        self,
        competitor: &Competitor,
        route: Route,
        bytes: u64,
    ) -> Result<(Vec<f64>, Option<f64>), String> {
        let (outcome, flow, peak) = match self {
            Self::Down => down(competitor, route, bytes),
            Self::Up => up(competitor, route, bytes),
        }
        .map_err(|error| error.to_string())?;
        if flow.bytes == bytes {
            Ok((sample(outcome.cpu, flow), peak))
        } else {
            Err(outcome.failure(flow.bytes, bytes))
        }
    }
}

type Run = io::Result<(Outcome, Flow, Option<f64>)>;

fn down(competitor: &Competitor, route: Route, bytes: u64) -> Run {
    let target = Target::start(route, Service::Source(bytes))?;
    let args = competitor.args(LocalEnd::Pipes, route, target.address);
    let mut relay = Relay::start(competitor, &args, limit(bytes))?;
    let (stdin, stdout) = relay.pipes();
    // Ignore a failure here, because `run` detects the missing bytes.
    let _ = hello_back(&mut *stdout, stdin);
    let flow = discard_pipe(stdout, bytes)?;
    // The relay is still running, because the target sends no EOF until `target` is dropped.
    let peak = relay.peak_kib();
    drop(target);
    Ok((relay.finish()?, flow, peak))
}

fn up(competitor: &Competitor, route: Route, bytes: u64) -> Run {
    let target = Target::start(route, Service::Sink(bytes))?;
    let args = competitor.args(LocalEnd::Pipes, route, target.address);
    let mut relay = Relay::start(competitor, &args, limit(bytes))?;
    let (stdin, stdout) = relay.pipes();
    let _ = hello_back(stdout, &mut *stdin).and_then(|()| pour(stdin, bytes));
    relay.stdin = None;
    let flow = target.finish();
    Ok((relay.finish()?, flow, None))
}

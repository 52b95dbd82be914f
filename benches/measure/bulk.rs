//! Much data one way, between pipes and a target.

use std::io;
use std::time::Duration;

use super::{Experiment, Metric, Participant, in_turn};
use crate::competitors::{Competitor, FLOOR, Near, OURS, Route};
use crate::options::Options;
use crate::relay::{Ended, Relay};
use crate::stage::{Flow, Service, Stage, discard_pipe, hello_back, pour};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
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

/// A tenth of what the slowest of them can do on a slow machine.
pub(super) fn limit(bytes: u64) -> Duration {
    Duration::from_secs(10 + bytes / (20 << 20))
}

pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

pub(super) fn sample(cpu: Duration, flow: Flow) -> Vec<f64> {
    vec![cpu.as_secs_f64() / gib(flow.bytes), gib(flow.bytes) / flow.elapsed.as_secs_f64()]
}

/// On the direct way; and through proxies, to see that nothing is different there.
pub(super) fn experiments(
    way: Way,
    options: &Options,
    competitors: &[Competitor],
    mut add: impl FnMut(Experiment),
) {
    let bytes = options.mib << 20;
    let participant = |competitor, route| {
        let run = move || way.run(competitor, route, bytes).map(|(figures, _)| figures);
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
    let (keys, what) = match way {
        Way::Down => (["down", "down_proxied"], "down: target to standard output"),
        Way::Up => (["up", "up_proxied"], "up: standard input to target"),
    };
    let mut add = |key, title: String, yardsticks, rounds, participants| {
        let rows = in_turn(&title, rounds, participants, |_| false);
        add(Experiment { key, title, metrics: METRICS, yardsticks, rows });
    };
    let title = format!("{what}, {} MiB", options.mib);
    let behind = format!("{title}, after a negotiation with a proxy");
    add(keys[0], title, &[FLOOR, OURS], options.rounds, direct);
    add(keys[1], behind, &[OURS], options.rounds.div_ceil(2), proxied);
}

/// The most memory that each had at once while that much came down.
pub(super) fn memory(options: &Options, competitors: &[Competitor]) -> Experiment {
    let bytes = options.mib << 20;
    let participant = |competitor| {
        Participant::new(name(competitor, Route::Direct), move || {
            let (_, peak) = Way::Down.run(competitor, Route::Direct, bytes)?;
            Ok(vec![peak.ok_or("it left before its memory could be read")?])
        })
    };
    let title = format!("memory: resident at the most, while {} MiB came down", options.mib);
    let participants = able(competitors, Route::Direct).map(participant).collect();
    let rows = in_turn(&title, options.rounds.min(3), participants, |_| false);
    Experiment { key: "memory", title, metrics: MEMORY, yardsticks: &["connect-proxy", OURS], rows }
}

/// Those that can relay between pipes and a target on this route.
pub(super) fn able(competitors: &[Competitor], route: Route) -> impl Iterator<Item = &Competitor> {
    competitors.iter().filter(move |competitor| competitor.can(Near::Pipes, route))
}

pub(super) fn name(competitor: &Competitor, route: Route) -> String {
    match route {
        Route::Direct => competitor.name.clone(),
        _ => format!("{}, {}", competitor.name, route.name()),
    }
}

impl Way {
    /// Moves the bytes, and tells the figures and the peak of memory.
    fn run(
        self,
        competitor: &Competitor,
        route: Route,
        bytes: u64,
    ) -> Result<(Vec<f64>, Option<f64>), String> {
        let (ended, flow, peak) = match self {
            Self::Down => down(competitor, route, bytes),
            Self::Up => up(competitor, route, bytes),
        }
        .map_err(|error| error.to_string())?;
        if flow.bytes == bytes {
            Ok((sample(ended.cpu, flow), peak))
        } else {
            Err(ended.excuse(flow.bytes, bytes))
        }
    }
}

type Run = io::Result<(Ended, Flow, Option<f64>)>;

fn down(competitor: &Competitor, route: Route, bytes: u64) -> Run {
    let stage = Stage::open(route, Service::Source(bytes))?;
    let words = competitor.words(Near::Pipes, route, stage.address);
    let mut relay = Relay::start(competitor, &words, limit(bytes))?;
    let (stdin, stdout) = relay.pipes();
    // Where this or what follows breaks, bytes will be missing in the end.
    let _ = hello_back(&mut *stdout, stdin);
    let flow = discard_pipe(stdout, bytes)?;
    // The target holds its end back until here, so that the relay is still there.
    let peak = relay.peak_kib();
    drop(stage);
    Ok((relay.finish()?, flow, peak))
}

fn up(competitor: &Competitor, route: Route, bytes: u64) -> Run {
    let stage = Stage::open(route, Service::Sink(bytes))?;
    let words = competitor.words(Near::Pipes, route, stage.address);
    let mut relay = Relay::start(competitor, &words, limit(bytes))?;
    let (stdin, stdout) = relay.pipes();
    let _ = hello_back(stdout, &mut *stdin).and_then(|()| pour(stdin, bytes));
    relay.stdin = None;
    let flow = stage.finish();
    Ok((relay.finish()?, flow, None))
}

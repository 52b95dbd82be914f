//! Measures a listener with few and with many concurrent sessions.

use std::io;
use std::net::TcpStream;

use super::bulk::{gib, limit};
use super::port::listen;
use crate::competitors::{Competitor, LocalEnd, Route};
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::options::Options;
use crate::remote::Sessions;

pub(crate) const METRICS: &[Metric] = &[
    Metric { key: "cpu_seconds_per_gib", label: "CPU s/GiB", digits: 3 },
    Metric { key: "gib_per_second", label: "GiB/s", digits: 2 },
    Metric { key: "idle_kib_per_session", label: "idle KiB", digits: 1 },
    Metric { key: "used_kib_per_session", label: "used KiB", digits: 1 },
];

/// The small number of sessions, with which the large number is compared.
pub(crate) const FEW: usize = 10;
/// Name of the row that serves as the reference for the others.
pub(crate) const OURS_WITH_FEW: &str = "connect, 10";

pub(super) fn experiment(options: &Options, competitors: &[Competitor]) -> Experiment {
    let bytes = options.mib << 20;
    let able = competitors.iter().filter(|competitor| competitor.can(LocalEnd::Listen(0), Route::Direct));
    let participants = able.flat_map(|competitor| {
        [FEW, options.sessions].map(|sessions| {
            Participant::new(name(&competitor.name, sessions), move || {
                run(competitor, sessions, bytes).map_err(|error| error.to_string())
            })
        })
    });
    let title = format!(
        "sessions: a listener with {FEW} and with {} sessions at once, {} MiB down in total",
        options.sessions, options.mib
    );
    let rows = take_turns(&title, options.rounds.min(3), participants.collect(), |_| false);
    Experiment { key: "sessions", title, metrics: METRICS, references: &[OURS_WITH_FEW], rows }
}

pub(crate) fn name(competitor: &str, sessions: usize) -> String {
    format!("{competitor}, {sessions}")
}

fn run(competitor: &Competitor, sessions: usize, bytes: u64) -> io::Result<Vec<f64>> {
    let mut all = Sessions::new()?;
    let (relay, first) = listen(competitor, LocalEnd::Listen, Route::Direct, all.target()?, limit(bytes))?;
    let local = first.peer_addr()?;
    let fill = || {
        all.add(first)?;
        // The memory with one session includes the program itself, so subtract it below.
        let one = relay.memory_kib();
        for _ in 1..sessions {
            all.add(TcpStream::connect(local)?)?;
        }
        let each = |total: f64| (total - one) / (sessions - 1) as f64;
        let idle = each(relay.memory_kib());
        let before = relay.cpu_so_far();
        let flow = all.move_down(bytes)?;
        let cpu = relay.cpu_so_far().saturating_sub(before);
        let used = each(relay.memory_kib());
        let moved = gib(flow.bytes);
        Ok(vec![cpu.as_secs_f64() / moved, moved / flow.elapsed.as_secs_f64(), idle, used])
    };
    let figures = fill();
    relay.stop()?;
    figures
}

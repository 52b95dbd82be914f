//! Measures a listener with thousands of idle sessions: the memory of each, and how much they slow
//! down the round trips of a hundred busy sessions.

use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::port::listen;
use crate::competitors::{Competitor, LocalEnd, OURS, Route};
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::machine;
use crate::options::Options;
use crate::remote::EchoSessions;
use crate::statistics::percentiles;

const METRICS: &[Metric] = &[
    Metric { key: "kib_per_idle_session", label: "KiB each", digits: 1 },
    Metric { key: "threads", label: "threads", digits: 0 },
    Metric { key: "alone_p50_microseconds", label: "p50 µs", digits: 0 },
    Metric { key: "alone_p99_microseconds", label: "p99 µs", digits: 0 },
    Metric { key: "among_idle_p50_microseconds", label: "idle: p50 µs", digits: 0 },
    Metric { key: "among_idle_p99_microseconds", label: "idle: p99 µs", digits: 0 },
    Metric { key: "p99_ratio", label: "p99 ratio", digits: 2 },
];

const BUSY: usize = 100;
/// Number of idle sessions if the descriptor limit allows it.
const IDLE: usize = 10_000;
/// Number of idle sessions of a program that starts a process for each.
const PROCESSES: usize = 1000;
/// Descriptors for everything but the sessions.
const OTHER_DESCRIPTORS: usize = 200;
/// Multiplier for the number of round trips, because only one in a hundred decides the p99.
const TRIPS_FACTOR: usize = 50;
/// Delay between opening the sessions and measuring memory, because a program may cache the
/// resources that opening them required.
const SETTLE_TIME: Duration = Duration::from_secs(2);
/// Time limits of a run, and of each session in it.
const LIMIT: Duration = Duration::from_secs(60);
const SESSION_LIMIT: Duration = Duration::from_millis(20);

pub(super) fn experiments(options: &Options, competitors: &[Competitor], mut add: impl FnMut(Experiment)) {
    // Each session has two descriptors in this process and two in the relay.
    let possible = machine::max_descriptors().saturating_sub(OTHER_DESCRIPTORS) / 2;
    let idle = options.idle.unwrap_or_else(|| possible.saturating_sub(BUSY).clamp(1, IDLE));
    for (key, route, what) in
        [("idle", Route::Direct, ""), ("idle_tls", Route::Tls, " with TLS to the target")]
    {
        let able = competitors.iter().filter(|competitor| competitor.can(LocalEnd::Listen(0), route));
        let participants = able.map(|competitor| {
            let forks = competitor.tool.starts_processes();
            let idle = if forks { idle.min(PROCESSES) } else { idle };
            let name =
                if forks { format!("{}, {idle} idle", competitor.name) } else { competitor.name.clone() };
            Participant::new(name, move || {
                run(competitor, route, idle, options.round_trips).map_err(|error| error.to_string())
            })
        });
        let title = format!(
            "idle: a listener with {idle} idle sessions{what}; round trips in {BUSY} others, alone and among them"
        );
        let rows = take_turns(&title, options.rounds, participants.collect(), |_| false);
        add(Experiment { key, title, metrics: METRICS, references: &[OURS], rows });
    }
}

fn run(competitor: &Competitor, route: Route, idle: usize, round_trips: usize) -> io::Result<Vec<f64>> {
    let mut sessions = EchoSessions::new(route)?;
    let limit = LIMIT + SESSION_LIMIT * u32::try_from(idle).unwrap_or(u32::MAX);
    let (relay, first) = listen(competitor, LocalEnd::Listen, route, sessions.target()?, limit)?;
    let local = first.peer_addr()?;
    let measure = || {
        sessions.add_busy(first)?;
        for _ in 1..BUSY {
            sessions.add_busy(TcpStream::connect(local)?)?;
        }
        let trips = (round_trips * TRIPS_FACTOR).div_ceil(BUSY);
        let alone = sessions.round_trips(trips)?;
        thread::sleep(SETTLE_TIME);
        let before = relay.memory_kib();
        for _ in 0..idle {
            sessions.add_idle(TcpStream::connect(local)?)?;
        }
        thread::sleep(SETTLE_TIME);
        let each = (relay.memory_kib() - before) / idle as f64;
        let threads = relay.thread_count() as f64;
        let among_idle = sessions.round_trips(trips)?;
        let [alone, among_idle] = [alone, among_idle].map(|times| percentiles(times, [50, 99]));
        let ratio = among_idle[1] / alone[1];
        Ok(vec![each, threads, alone[0], alone[1], among_idle[0], among_idle[1], ratio])
    };
    let figures = measure();
    relay.stop()?;
    figures
}

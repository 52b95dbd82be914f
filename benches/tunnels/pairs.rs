//! Measures a hub alone: the benchmark plays clients and origins.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::ends::{Pair, Sessions};
use super::processes::Servers;
use super::tunnel::{Command, Tunnel};
use crate::competitors::{Competitor, OURS, Tool};
use crate::experiment::{Experiment, Metric, Participant, Sample, take_turns};
use crate::machine;
use crate::options::Options;
use crate::statistics::percentiles;

const PAIR_METRICS: &[Metric] = &[
    Metric { key: "megabytes_per_second", label: "MB/s", digits: 0 },
    Metric { key: "hub_cpu_seconds_per_gib", label: "hub CPU s/GiB", digits: 3 },
];

const PAIRS_METRICS: &[Metric] = &[
    Metric { key: "kib_per_pair", label: "KiB each", digits: 2 },
    Metric { key: "direct_p50_microseconds", label: "direct: p50 µs", digits: 0 },
    Metric { key: "alone_p50_microseconds", label: "p50 µs", digits: 0 },
    Metric { key: "among_idle_p50_microseconds", label: "idle: p50 µs", digits: 0 },
    Metric { key: "among_idle_p99_microseconds", label: "idle: p99 µs", digits: 0 },
    Metric { key: "added_p50_microseconds", label: "added µs", digits: 0 },
];

/// About the size of the packet that ssh sends for a keystroke.
const SIZE: usize = 32;
/// The number of pairs if the descriptor limit allows it.
const PAIRS: usize = 9000;
/// Descriptors for everything but the pairs.
const OTHER_DESCRIPTORS: usize = 200;
/// Delay between opening the pairs and measuring memory.
const SETTLE_TIME: Duration = Duration::from_secs(2);
/// Time limits of a run, and of each pair in it.
const LIMIT: Duration = Duration::from_secs(120);
const PAIR_LIMIT: Duration = Duration::from_millis(20);

/// A variant of the program, and the direction.
type Run<'a> = (&'a Tunnel, bool);

pub(super) fn experiments(options: &Options, competitors: &[Competitor], mut add: impl FnMut(Experiment)) {
    let hubs: Vec<_> = competitors.iter().filter(|one| one.tool == Tool::Ours).map(hub).collect();
    add(one_pair(options, &hubs));
    // Each pair has two descriptors in this process and two in the hub.
    let possible = machine::max_descriptors().saturating_sub(OTHER_DESCRIPTORS) / 2;
    let pairs = options.idle.unwrap_or(PAIRS).min(possible);
    let participants = hubs.iter().map(|hub| {
        Participant::new(hub.name.clone(), move || {
            many_pairs(hub, pairs, options.round_trips).map_err(|error| error.to_string())
        })
    });
    let title = format!("hub pairs: a hub with {pairs} idle pairs; round trips of {SIZE} bytes in another");
    let rows = take_turns(&title, options.rounds, participants.collect(), |_| false);
    add(Experiment { key: "hub_pairs", title, metrics: PAIRS_METRICS, references: &[OURS], rows });
}

/// Returns a hub without an origin. The ends that the benchmark plays send no Pongs.
fn hub(ours: &Competitor) -> Tunnel {
    let hub = Command::ours(ours, "--relay ws://127.0.0.1:{a} --open --keepalive 0");
    Tunnel::new(&ours.name, vec![hub], Command::ours(ours, ""))
}

fn one_pair(options: &Options, hubs: &[Tunnel]) -> Experiment {
    let bytes = options.mib << 20;
    let runs = hubs.iter().flat_map(|hub| [(hub, false), (hub, true)]);
    let participants = runs.map(|(hub, down): Run<'_>| {
        let name = if down { format!("{}, to the client", hub.name) } else { hub.name.clone() };
        Participant::new(name, move || bulk(hub, bytes, down))
    });
    let title = format!("hub pair: frames of 64 KiB from the client to the origin, {} MiB", options.mib);
    let rows = take_turns(&title, options.rounds, participants.collect(), |_| false);
    Experiment { key: "hub_pair", title, metrics: PAIR_METRICS, references: &[OURS], rows }
}

fn bulk(hub: &Tunnel, bytes: u64, down: bool) -> Sample {
    let go = || -> io::Result<_> {
        let servers = Servers::start(hub, 0, LIMIT)?;
        let mut sessions = Sessions::new(servers.number(hub.entry));
        let pair = sessions.open()?;
        // The kernel measures the round-trip time of a connection only by round trips.
        (0..10).try_for_each(|_| pair.round_trip(SIZE).map(drop))?;
        let before = servers.cpu();
        let flow = pair.bulk(bytes, down)?;
        let cpu = servers.cpu().saturating_sub(before);
        servers.stop()?;
        Ok((flow, cpu))
    };
    let (flow, cpu) = go().map_err(|error| error.to_string())?;
    if flow.bytes < bytes {
        return Err(format!("{} of {bytes} bytes", flow.bytes));
    }
    let gib = bytes as f64 / f64::from(1 << 30);
    Ok(vec![bytes as f64 / 1e6 / flow.elapsed.as_secs_f64(), cpu.as_secs_f64() / gib])
}

fn many_pairs(hub: &Tunnel, pairs: usize, trips: usize) -> io::Result<Vec<f64>> {
    let limit = LIMIT + PAIR_LIMIT * u32::try_from(pairs).unwrap_or(u32::MAX);
    let servers = Servers::start(hub, 0, limit)?;
    let mut sessions = Sessions::new(servers.number(hub.entry));
    let busy = sessions.open()?;
    let [direct] = percentiles(direct_round_trips(trips)?, [50]);
    let [alone] = percentiles(round_trips(&busy, trips)?, [50]);
    thread::sleep(SETTLE_TIME);
    let before = servers.memory_kib();
    let idle: Vec<_> = (0..pairs).map(|_| sessions.open()).collect::<io::Result<_>>()?;
    thread::sleep(SETTLE_TIME);
    let each = (servers.memory_kib() - before) / pairs as f64;
    let [p50, p99] = percentiles(round_trips(&busy, trips)?, [50, 99]);
    drop(idle);
    servers.stop()?;
    Ok(vec![each, direct, alone, p50, p99, p50 - direct])
}

/// Returns the times of round trips through the hub, in microseconds.
fn round_trips(pair: &Pair, trips: usize) -> io::Result<Vec<f64>> {
    (0..trips).map(|_| Ok(pair.round_trip(SIZE)?.as_secs_f64() * 1e6)).collect()
}

/// Returns the times of round trips over a single connection, in microseconds.
fn direct_round_trips(trips: usize) -> io::Result<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut ball = [b'.'; SIZE];
    let mut go = || -> io::Result<f64> {
        let started = Instant::now();
        client.write_all(&ball)?;
        server.read_exact(&mut ball)?;
        server.write_all(&ball)?;
        client.read_exact(&mut ball)?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    };
    (0..trips).map(|_| go()).collect()
}

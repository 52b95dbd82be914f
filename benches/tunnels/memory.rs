//! Measures the memory of each session at the servers, and of a client.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use super::participants::REFERENCES;
use super::processes::Servers;
use super::tunnel::Tunnel;
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::options::Options;
use crate::relay::Relay;
use crate::remote::{Service, Standing};

const METRICS: &[Metric] = &[
    Metric { key: "server_kib_per_session", label: "server KiB each", digits: 1 },
    Metric { key: "client_kib", label: "client KiB", digits: 0 },
];

/// The maximum number of sessions. Each has a client process of its own.
const SESSIONS: usize = 50;
/// Sessions before the first measurement, so that each thread of a server has its buffers.
const WARM_UP: usize = 8;
/// Delay between opening the sessions and measuring memory.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// Time limit of a run.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn experiment(key: &'static str, options: &Options, tunnels: &[Tunnel]) -> Experiment {
    let sessions = options.sessions.clamp(WARM_UP + 1, SESSIONS);
    // httptunnel has one session at a time, and the baseline has no server.
    let able = tunnels.iter().filter(|tunnel| !tunnel.servers.is_empty() && tunnel.name != "httptunnel");
    let participants = able.map(|tunnel| {
        Participant::new(tunnel.name.clone(), move || {
            run(tunnel, sessions).map_err(|error| error.to_string())
        })
    });
    let title = format!("{}: {sessions} idle sessions at once", key.replace('_', " "));
    let rows = take_turns(&title, options.rounds.min(3), participants.collect(), |_| false);
    Experiment { key, title, metrics: METRICS, references: REFERENCES, rows }
}

fn run(tunnel: &Tunnel, sessions: usize) -> io::Result<Vec<f64>> {
    let target = Standing::start(Service::Echo)?;
    let servers = Servers::start(tunnel, target.port, LIMIT)?;
    let mut clients = (0..WARM_UP).map(|_| open(tunnel, &servers)).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(SETTLE_TIME);
    // This memory includes the program itself.
    let before = servers.memory_kib();
    for _ in WARM_UP..sessions {
        clients.push(open(tunnel, &servers)?);
    }
    thread::sleep(SETTLE_TIME);
    let each = (servers.memory_kib() - before) / (sessions - WARM_UP) as f64;
    let client = clients[0].anonymous_memory_kib();
    clients.into_iter().try_for_each(|client| client.stop().map(drop))?;
    servers.stop()?;
    Ok(vec![each, client])
}

/// Starts a client and makes one round trip, so that all resources of the session are allocated.
fn open(tunnel: &Tunnel, servers: &Servers) -> io::Result<Relay> {
    let mut client = servers.client(tunnel, LIMIT)?;
    let (stdin, stdout) = client.pipes();
    stdin.write_all(b".")?;
    stdout.read_exact(&mut [0])?;
    Ok(client)
}

//! Measures bulk transfers through a local port instead of pipes: both ends of the relay are
//! sockets.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::bulk::{Direction, METRICS, limit, sample};
use crate::competitors::{BASELINE, Competitor, LocalEnd, OURS, Route, Tool};
use crate::experiment::{Experiment, Participant, Sample, take_turns};
use crate::flow::{discard, pour};
use crate::options::Options;
use crate::relay::Relay;
use crate::remote::{Service, Target, hello_back};

/// Time limit for a program to start listening.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 3;

pub(super) fn experiments(options: &Options, competitors: &[Competitor], mut add: impl FnMut(Experiment)) {
    let bytes = options.mib << 20;
    let directions = [
        ("port_down", Direction::Down, "down: target to client"),
        ("port_up", Direction::Up, "up: client to target"),
    ];
    for (key, direction, what) in directions {
        let title = format!("local port, {what}, {} MiB", options.mib);
        let first = competitors
            .iter()
            .map(|competitor| (competitor, LocalEnd::Port as fn(u16) -> LocalEnd, String::new()));
        let ours = competitors.iter().filter(|competitor| competitor.tool == Tool::Ours);
        let every = ours
            .map(|competitor| (competitor, LocalEnd::Listen as fn(u16) -> LocalEnd, " --listen".to_owned()));
        let able = first
            .chain(every)
            .filter(|(competitor, local_end, _)| competitor.can(local_end(0), Route::Direct));
        let participants = able.map(|(competitor, local_end, option)| {
            let name = format!("{}{option}", competitor.name);
            Participant::new(name, move || run(competitor, local_end, direction, bytes))
        });
        let rows = take_turns(&title, options.rounds, participants.collect(), |_| false);
        add(Experiment { key, title, metrics: METRICS, references: &[BASELINE, OURS], rows });
    }
}

fn run(competitor: &Competitor, local_end: fn(u16) -> LocalEnd, direction: Direction, bytes: u64) -> Sample {
    let go = || -> io::Result<_> {
        let service = match direction {
            Direction::Down => Service::Source(bytes),
            Direction::Up => Service::Sink(bytes),
        };
        let target = Target::start(Route::Direct, service)?;
        let (relay, client) = listen(competitor, local_end, Route::Direct, target.address, limit(bytes))?;
        let flow = match direction {
            Direction::Down => {
                let _ = hello_back(&client, &client);
                let flow = discard(&client, bytes);
                drop(target);
                flow
            }
            Direction::Up => {
                // Ignore a failure here, because it shows up as missing bytes at the target.
                let _ = hello_back(&client, &client)
                    .and_then(|()| pour(&client, bytes))
                    .and_then(|()| client.shutdown(Shutdown::Write));
                target.finish()
            }
        };
        drop(client);
        let outcome = if local_end(0) == LocalEnd::Listen(0) { relay.stop() } else { relay.finish() };
        Ok((outcome?, flow))
    };
    let (outcome, flow) = go().map_err(|error| error.to_string())?;
    if flow.bytes == bytes { Ok(sample(outcome.cpu, flow)) } else { Err(outcome.failure(flow.bytes, bytes)) }
}

/// Starts a listener on a free port and connects its first client.
pub(super) fn listen(
    competitor: &Competitor,
    local_end: fn(u16) -> LocalEnd,
    route: Route,
    target: SocketAddr,
    limit: Duration,
) -> io::Result<(Relay, TcpStream)> {
    let mut outcome = None;
    for _ in 0..ATTEMPTS {
        // The port was free a moment ago. If another process has taken it since, the relay exits,
        // and we try another port.
        let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let args = competitor.args(local_end(local.port()), route, target);
        let relay = Relay::start(competitor, &args, limit)?;
        let started = Instant::now();
        while !relay.has_exited() {
            match TcpStream::connect(local) {
                Ok(client) => {
                    client.set_nodelay(true)?;
                    return Ok((relay, client));
                }
                Err(_) if started.elapsed() < LISTEN_TIMEOUT => thread::sleep(Duration::from_millis(1)),
                Err(_) => return Err(io::Error::other("it does not listen on its port")),
            }
        }
        outcome = Some(relay.finish()?);
    }
    Err(io::Error::other(outcome.map_or_else(String::new, |outcome| outcome.failure(0, 1))))
}

//! A local port in the place of pipes: both ends of the relay are sockets.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::bulk::{METRICS, Way, limit, sample};
use super::{Experiment, Participant, Sample, in_turn};
use crate::competitors::{Competitor, FLOOR, Near, OURS, Route, Tool};
use crate::options::Options;
use crate::relay::Relay;
use crate::stage::{Service, Stage, discard, hello_back, pour};

/// How long a listener may take to be there.
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 3;

pub(super) fn experiments(options: &Options, competitors: &[Competitor], mut add: impl FnMut(Experiment)) {
    let bytes = options.mib << 20;
    let ways =
        [("port_down", Way::Down, "down: target to client"), ("port_up", Way::Up, "up: client to target")];
    for (key, way, what) in ways {
        let title = format!("local port, {what}, {} MiB", options.mib);
        let first =
            competitors.iter().map(|competitor| (competitor, Near::Port as fn(u16) -> Near, String::new()));
        let ours = competitors.iter().filter(|competitor| competitor.tool == Tool::Ours);
        let every =
            ours.map(|competitor| (competitor, Near::Listen as fn(u16) -> Near, " --listen".to_owned()));
        let able = first.chain(every).filter(|(competitor, near, _)| competitor.can(near(0), Route::Direct));
        let participants = able.map(|(competitor, near, option)| {
            let name = format!("{}{option}", competitor.name);
            Participant::new(name, move || run(competitor, near, way, bytes))
        });
        let rows = in_turn(&title, options.rounds, participants.collect(), |_| false);
        add(Experiment { key, title, metrics: METRICS, yardsticks: &[FLOOR, OURS], rows });
    }
}

fn run(competitor: &Competitor, near: fn(u16) -> Near, way: Way, bytes: u64) -> Sample {
    let go = || -> io::Result<_> {
        let service = match way {
            Way::Down => Service::Source(bytes),
            Way::Up => Service::Sink(bytes),
        };
        let stage = Stage::open(Route::Direct, service)?;
        let (relay, client) = listen(competitor, near, stage.address, limit(bytes))?;
        let flow = match way {
            Way::Down => {
                let _ = hello_back(&client, &client);
                let flow = discard(&client, bytes);
                drop(stage);
                flow
            }
            Way::Up => {
                // Where it breaks, bytes will be missing at the other end.
                let _ = hello_back(&client, &client)
                    .and_then(|()| pour(&client, bytes))
                    .and_then(|()| client.shutdown(Shutdown::Write));
                stage.finish()
            }
        };
        drop(client);
        let ended = if near(0) == Near::Listen(0) { relay.stop() } else { relay.finish() };
        Ok((ended?, flow))
    };
    let (ended, flow) = go().map_err(|error| error.to_string())?;
    if flow.bytes == bytes { Ok(sample(ended.cpu, flow)) } else { Err(ended.excuse(flow.bytes, bytes)) }
}

/// Starts it on a free port, and becomes its first client.
pub(super) fn listen(
    competitor: &Competitor,
    near: fn(u16) -> Near,
    target: SocketAddr,
    limit: Duration,
) -> io::Result<(Relay, TcpStream)> {
    let mut ended = None;
    for _ in 0..ATTEMPTS {
        // Free a moment ago; if somebody else was quicker, the relay ends, and another port will do.
        let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let words = competitor.words(near(local.port()), Route::Direct, target);
        let relay = Relay::start(competitor, &words, limit)?;
        let started = Instant::now();
        while !relay.has_ended() {
            match TcpStream::connect(local) {
                Ok(client) => {
                    client.set_nodelay(true)?;
                    return Ok((relay, client));
                }
                Err(_) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(1)),
                Err(_) => return Err(io::Error::other("it does not listen")),
            }
        }
        ended = Some(relay.finish()?);
    }
    Err(io::Error::other(ended.map_or_else(String::new, |ended| ended.excuse(0, 1))))
}

//! Round trips: what a keystroke and its echo take.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::bulk::{able, name};
use super::{Experiment, Metric, Participant, in_turn};
use crate::competitors::{Competitor, FLOOR, Near, OURS, Route};
use crate::options::Options;
use crate::relay::{Ended, Relay};
use crate::stage::{Service, Stage};

const METRICS: &[Metric] = &[
    Metric { key: "microseconds", label: "µs", digits: 1 },
    Metric { key: "cpu_microseconds", label: "CPU µs", digits: 1 },
];

/// About what ssh sends for a keystroke.
const SIZE: usize = 32;
/// Before the clock starts.
const WARM_UP: usize = 100;
/// For a round trip.
const PATIENCE: Duration = Duration::from_millis(1);
/// Rounds are short and many, since this is what others on the machine disturb most.
const ROUNDS: usize = 5;

pub(super) fn experiment(options: &Options, competitors: &[Competitor]) -> Experiment {
    let trips = options.round_trips;
    let participant = |competitor| {
        Participant::new(name(competitor, Route::Direct), move || {
            let (ended, elapsed, done) = run(competitor, trips).map_err(|error| error.to_string())?;
            if done < trips {
                return Err(ended.excuse((done * SIZE) as u64, (trips * SIZE) as u64));
            }
            let each = |time: Duration, trips: usize| time.as_secs_f64() * 1e6 / trips as f64;
            Ok(vec![each(elapsed, trips), each(ended.cpu, trips + WARM_UP)])
        })
    };
    let title = format!("ping-pong: {SIZE} bytes there and back, {trips} times a run");
    let participants = able(competitors, Route::Direct).map(participant).collect();
    let rows = in_turn(&title, options.rounds * ROUNDS, participants, |_| false);
    Experiment { key: "pingpong", title, metrics: METRICS, yardsticks: &[FLOOR, OURS], rows }
}

/// Tells the time that the round trips took, and how many of them there were.
fn run(competitor: &Competitor, trips: usize) -> io::Result<(Ended, Duration, usize)> {
    let stage = Stage::open(Route::Direct, Service::Echo)?;
    let words = competitor.words(Near::Pipes, Route::Direct, stage.address);
    let mut relay = Relay::start(
        competitor,
        &words,
        Duration::from_secs(10) + PATIENCE * u32::try_from(trips).unwrap_or(u32::MAX),
    )?;
    let (stdin, stdout) = relay.pipes();
    let mut ball = [b'.'; SIZE];
    let mut trip = || stdin.write_all(&ball).and_then(|()| stdout.read_exact(&mut ball)).is_ok();
    let warm = (0..WARM_UP).all(|_| trip());
    let started = Instant::now();
    let done = if warm { (0..trips).take_while(|_| trip()).count() } else { 0 };
    let elapsed = started.elapsed();
    let ended = relay.finish()?;
    drop(stage);
    Ok((ended, elapsed, done))
}

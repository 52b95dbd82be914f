//! Measures round-trip times, which ssh users notice as the delay between a keystroke and its echo.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::bulk::{able, name};
use crate::competitors::{BASELINE, Competitor, LocalEnd, OURS, Route};
use crate::experiment::{Experiment, Metric, Participant, take_turns};
use crate::options::Options;
use crate::relay::{Outcome, Relay};
use crate::remote::{Service, Target};

const METRICS: &[Metric] = &[
    Metric { key: "microseconds", label: "µs", digits: 1 },
    Metric { key: "cpu_microseconds", label: "CPU µs", digits: 1 },
];

/// About the size of the packet that ssh sends for a keystroke.
const SIZE: usize = 32;
/// Round trips before the clock starts.
const WARM_UP: usize = 100;
/// Average time allowed per round trip.
const ROUND_TRIP_LIMIT: Duration = Duration::from_millis(1);
/// Multiplier for the number of rounds. This measurement uses many short rounds, because other load
/// on the machine disturbs it the most.
const ROUNDS_FACTOR: usize = 5;

pub(super) fn experiment(options: &Options, competitors: &[Competitor]) -> Experiment {
    let trips = options.round_trips;
    let participant = |competitor| {
        Participant::new(name(competitor, Route::Direct), move || {
            let (outcome, elapsed, done) = run(competitor, trips).map_err(|error| error.to_string())?;
            if done < trips {
                return Err(outcome.failure((done * SIZE) as u64, (trips * SIZE) as u64));
            }
            let each = |time: Duration, trips: usize| time.as_secs_f64() * 1e6 / trips as f64;
            Ok(vec![each(elapsed, trips), each(outcome.cpu, trips + WARM_UP)])
        })
    };
    let title = format!("ping-pong: {SIZE} bytes there and back, {trips} times per run");
    let participants = able(competitors, Route::Direct).map(participant).collect();
    let rows = take_turns(&title, options.rounds * ROUNDS_FACTOR, participants, |_| false);
    Experiment { key: "pingpong", title, metrics: METRICS, references: &[BASELINE, OURS], rows }
}

/// Returns the relay's outcome, the total time of the round trips, and how many of them succeeded.
fn run(competitor: &Competitor, trips: usize) -> io::Result<(Outcome, Duration, usize)> {
    let target = Target::start(Route::Direct, Service::Echo)?;
    let args = competitor.args(LocalEnd::Pipes, Route::Direct, target.address);
    let mut relay = Relay::start(
        competitor,
        &args,
        Duration::from_secs(10) + ROUND_TRIP_LIMIT * u32::try_from(trips).unwrap_or(u32::MAX),
    )?;
    let (stdin, stdout) = relay.pipes();
    let mut ball = [b'.'; SIZE];
    let mut trip = || stdin.write_all(&ball).and_then(|()| stdout.read_exact(&mut ball)).is_ok();
    let warm = (0..WARM_UP).all(|_| trip());
    let started = Instant::now();
    let done = if warm { (0..trips).take_while(|_| trip()).count() } else { 0 };
    let elapsed = started.elapsed();
    let outcome = relay.finish()?;
    drop(target);
    Ok((outcome, elapsed, done))
}

//! Measures the time from exec to the first byte, which delays every `ssh` command.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::bulk::{able, name};
use crate::competitors::{Competitor, LocalEnd, OURS, Route};
use crate::experiment::{Experiment, Metric, Participant, Sample, take_turns};
use crate::options::Options;
use crate::relay::Relay;
use crate::remote::{GREETING, Service, Target};

const METRICS: &[Metric] = &[
    Metric { key: "milliseconds", label: "ms", digits: 3 },
    Metric { key: "cpu_milliseconds", label: "CPU ms", digits: 3 },
];

const LIMIT: Duration = Duration::from_secs(5);
/// Programs that take longer than this many milliseconds are run less often.
const SLOW: f64 = 15.0;

pub(super) fn experiments(options: &Options, competitors: &[Competitor], mut add: impl FnMut(Experiment)) {
    for (key, route) in
        [("start_direct", Route::Direct), ("start_socks5", Route::Socks5), ("start_http", Route::Http)]
    {
        let participant =
            |competitor| Participant::new(name(competitor, Route::Direct), move || run(competitor, route));
        let title = format!("start: exec to first byte, {}, {} times", route.name(), options.starts);
        let participants = able(competitors, route).map(participant).collect();
        let rows = take_turns(&title, options.starts, participants, |sample| sample[0] > SLOW);
        add(Experiment { key, title, metrics: METRICS, references: &["connect-proxy", OURS], rows });
    }
}

fn run(competitor: &Competitor, route: Route) -> Sample {
    let go = || -> io::Result<_> {
        let target = Target::start(route, Service::Greet)?;
        let args = competitor.args(LocalEnd::Pipes, route, target.address);
        let started = Instant::now();
        let mut relay = Relay::start(competitor, &args, LIMIT)?;
        let mut greeting = vec![0; GREETING.len()];
        let (_, stdout) = relay.pipes();
        let first = stdout.read(&mut greeting)?;
        let elapsed = started.elapsed();
        let rest = if first > 0 { stdout.read_exact(&mut greeting[first..]) } else { Ok(()) };
        let received = if rest.is_ok() { first } else { 0 };
        drop(target);
        Ok((relay.finish()?, elapsed, received, greeting))
    };
    let (outcome, elapsed, received, greeting) = go().map_err(|error| error.to_string())?;
    if received == 0 || greeting != GREETING {
        return Err(outcome.failure(received as u64, GREETING.len() as u64));
    }
    Ok(vec![elapsed.as_secs_f64() * 1e3, outcome.cpu.as_secs_f64() * 1e3])
}

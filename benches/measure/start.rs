//! From exec to the first byte: what everyone waits for who types `ssh`.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::bulk::{able, name};
use super::{Experiment, Metric, Participant, Sample, in_turn};
use crate::competitors::{Competitor, Near, OURS, Route};
use crate::options::Options;
use crate::relay::Relay;
use crate::stage::{GREETING, Service, Stage};

const METRICS: &[Metric] = &[
    Metric { key: "milliseconds", label: "ms", digits: 3 },
    Metric { key: "cpu_milliseconds", label: "CPU ms", digits: 3 },
];

const LIMIT: Duration = Duration::from_secs(5);
/// Whoever takes longer need not be measured that often.
const SLOW: f64 = 15.0;

pub(super) fn experiments(options: &Options, competitors: &[Competitor], mut add: impl FnMut(Experiment)) {
    for (key, route) in
        [("start_direct", Route::Direct), ("start_socks5", Route::Socks5), ("start_http", Route::Http)]
    {
        let participant =
            |competitor| Participant::new(name(competitor, Route::Direct), move || run(competitor, route));
        let title = format!("start: exec to first byte, {}, {} times", route.name(), options.starts);
        let participants = able(competitors, route).map(participant).collect();
        let rows = in_turn(&title, options.starts, participants, |sample| sample[0] > SLOW);
        add(Experiment { key, title, metrics: METRICS, yardsticks: &["connect-proxy", OURS], rows });
    }
}

fn run(competitor: &Competitor, route: Route) -> Sample {
    let go = || -> io::Result<_> {
        let stage = Stage::open(route, Service::Greet)?;
        let words = competitor.words(Near::Pipes, route, stage.address);
        let started = Instant::now();
        let mut relay = Relay::start(competitor, &words, LIMIT)?;
        let mut greeting = vec![0; GREETING.len()];
        let (_, stdout) = relay.pipes();
        let first = stdout.read(&mut greeting)?;
        let elapsed = started.elapsed();
        let rest = if first > 0 { stdout.read_exact(&mut greeting[first..]) } else { Ok(()) };
        let came = if rest.is_ok() { first } else { 0 };
        // What befalls the target now is of no interest.
        drop(stage);
        Ok((relay.finish()?, elapsed, came, greeting))
    };
    let (ended, elapsed, came, greeting) = go().map_err(|error| error.to_string())?;
    if came == 0 || greeting != GREETING {
        return Err(ended.excuse(came as u64, GREETING.len() as u64));
    }
    Ok(vec![elapsed.as_secs_f64() * 1e3, ended.cpu.as_secs_f64() * 1e3])
}

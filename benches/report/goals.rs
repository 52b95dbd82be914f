//! The performance goals.

use crate::competitors::{BASELINE, COPIES, OURS};
use crate::experiment::Experiment;
use crate::statistics::Summary;

/// The degree to which a goal was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    Met,
    /// The median misses the limit, but a quartile meets it, so another run may meet the goal.
    Near,
    Missed,
}

/// A goal and the measured value.
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) figure: Summary,
    at_most: bool,
    bound: f64,
    pub(crate) mark: Mark,
}

impl Verdict {
    fn new(what: String, figure: Summary, at_most: bool, bound: f64) -> Self {
        let holds = |value: f64| if at_most { value <= bound } else { value >= bound };
        let mark = match (holds(figure.median), holds(figure.lower) || holds(figure.upper)) {
            (true, _) => Mark::Met,
            (false, true) => Mark::Near,
            (false, false) => Mark::Missed,
        };
        Self { what, figure, at_most, bound, mark }
    }

    /// Returns the limit as text, such as `≤ 1.2`.
    pub(crate) fn limit(&self) -> String {
        format!("{} {}", if self.at_most { '≤' } else { '≥' }, self.bound)
    }
}

/// Experiment, metric, numerator, denominator, `true` for an upper bound, and the bound.
type Goal = (&'static str, usize, &'static str, &'static str, bool, f64);

const LISTEN: &str = "connect --listen";

const GOALS: &[Goal] = &[
    ("down", 0, OURS, BASELINE, true, 1.2),
    ("up", 0, OURS, BASELINE, true, 1.2),
    ("down", 0, COPIES, OURS, false, 2.5),
    ("up", 0, COPIES, OURS, false, 2.5),
    ("down", 0, "nc", OURS, false, 6.0),
    ("up", 0, "nc", OURS, false, 6.0),
    ("port_down", 0, OURS, BASELINE, true, 1.5),
    ("port_up", 0, OURS, BASELINE, true, 1.5),
    ("port_down", 0, LISTEN, BASELINE, true, 1.5),
    ("port_up", 0, LISTEN, BASELINE, true, 1.5),
    ("pingpong", 0, OURS, BASELINE, true, 1.1),
    ("start_socks5", 0, OURS, "connect-proxy", true, 1.0),
    ("start_socks5", 1, OURS, "connect-proxy", true, 1.0),
    ("memory", 0, OURS, "connect-proxy", true, 1.5),
    ("ws_start", 0, OURS, "connect, SOCKS5", true, 1.3),
    ("ws_down", 0, OURS, "websocat", false, 1.0),
    ("ws_up", 0, OURS, "websocat", false, 1.0),
    ("ws_pingpong", 0, OURS, "websocat", true, 1.0),
    ("post_down", 0, OURS, "httptunnel", false, 1.0),
    ("post_up", 0, OURS, "httptunnel", false, 1.0),
    ("hub_down", 0, OURS, "ssh -R", false, 1.0),
    ("hub_up", 0, OURS, "ssh -R", false, 1.0),
    ("hub_start", 0, OURS, "websocat, no hub", true, 1.0),
    ("ssh_down", 1, "connect, aes256-gcm", "ssh -W, aes256-gcm", true, 0.6),
    ("ssh_up", 1, "connect, aes256-gcm", "ssh -W, aes256-gcm", true, 0.6),
    ("ssh_down", 1, "connect, chacha20", "ssh -W, chacha20", true, 0.9),
    ("ssh_up", 1, "connect, chacha20", "ssh -W, chacha20", true, 0.9),
    ("ssh_pingpong", 0, "connect, aes256-gcm", "ssh -W, aes256-gcm", true, 1.0),
    ("ssh_start", 0, "connect, aes256-gcm", "ssh -W, aes256-gcm", true, 0.4),
    ("ssh_start_at_100_ms", 0, "connect, aes256-gcm", "ssh -W, aes256-gcm", true, 0.65),
];

/// Experiment, metric, participant, `true` for an upper bound, and the bound.
type Bound = (&'static str, usize, &'static str, bool, f64);

const BOUNDS: &[Bound] = &[
    ("ws_down", 0, OURS, false, 1000.0),
    ("ws_up", 0, OURS, false, 1000.0),
    ("ws_memory", 0, OURS, true, 4.0),
    ("post_down", 0, OURS, false, 400.0),
    ("post_up", 0, OURS, false, 400.0),
    ("post_down", 0, "connect, nginx", false, 150.0),
    ("post_up", 0, "connect, nginx", false, 150.0),
    ("post_pingpong", 0, "connect, nginx", true, 1000.0),
    ("hub_down", 0, OURS, false, 600.0),
    ("hub_up", 0, OURS, false, 600.0),
    ("hub_down", 0, "connect, link", false, 600.0),
    ("hub_up", 0, "connect, link", false, 600.0),
    ("hub_down", 0, "connect, key", false, 400.0),
    ("hub_up", 0, "connect, key", false, 400.0),
    ("hub_start", 0, "connect, link", true, 2.5),
    ("hub_pair", 0, OURS, false, 1000.0),
    ("hub_pair", 1, OURS, true, 0.45),
    ("hub_pairs", 0, OURS, true, 4.0),
    ("hub_pairs", 5, OURS, true, 40.0),
];

/// Upper bound on the memory per session.
const KIB_PER_SESSION: f64 = 64.0;

/// Upper bounds on the memory per idle session, by experiment.
const KIB_PER_IDLE_SESSION: [(&str, f64); 2] = [("idle", 4.0), ("idle_tls", 40.0)];

/// Upper bound on the p99 of round trips among idle sessions, relative to the p99 without idle
/// sessions.
const P99_AMONG_IDLE: f64 = 2.0;

/// Compares the goals with the experiments. Goals that were not measured are left out.
pub(crate) fn judge(experiments: &[Experiment]) -> Vec<Verdict> {
    let find = |key: &str| experiments.iter().find(|experiment| experiment.key == key);
    let mut verdicts: Vec<_> = GOALS
        .iter()
        .filter_map(|&(key, metric, of, to, at_most, bound)| {
            let experiment = find(key)?;
            let what = format!("{key}: {}, {of} ÷ {to}", experiment.metrics[metric].label);
            Some(Verdict::new(what, experiment.ratio(metric, of, to)?, at_most, bound))
        })
        .collect();
    verdicts.extend(BOUNDS.iter().filter_map(|&(key, metric, name, at_most, bound)| {
        let experiment = find(key)?;
        let what = format!("{key}: {}, {name}", experiment.metrics[metric].label);
        Some(Verdict::new(what, experiment.row(name)?.summary(metric)?, at_most, bound))
    }));
    if let Some(experiment) = find("sessions") {
        // The row with few sessions comes first.
        let ours: Vec<_> = experiment.rows.iter().filter(|row| row.name.starts_with("connect, ")).collect();
        if let [few, many] = ours[..] {
            let memory = many.summary(3).map(|kib| {
                Verdict::new(format!("sessions: KiB each, {}", many.name), kib, true, KIB_PER_SESSION)
            });
            let speed = experiment.ratio(1, &many.name, &few.name).map(|ratio| {
                Verdict::new(format!("sessions: GiB/s, {} ÷ {}", many.name, few.name), ratio, false, 1.0)
            });
            verdicts.extend([memory, speed].into_iter().flatten());
        }
    }
    for (key, kib) in KIB_PER_IDLE_SESSION {
        let summary = |metric| find(key)?.row(OURS)?.summary(metric);
        let memory = summary(0)
            .map(|each| Verdict::new(format!("{key}: KiB per idle session, {OURS}"), each, true, kib));
        let what = format!("{key}: p99, {OURS}, among idle ÷ alone");
        let latency = summary(6).map(|ratio| Verdict::new(what, ratio, true, P99_AMONG_IDLE));
        verdicts.extend([memory, latency].into_iter().flatten());
    }
    verdicts
}

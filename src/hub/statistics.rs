//! The figures of a hub, which all its threads share.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, json};

use crate::proto::hub::Label;
use crate::text::date::rfc3339;

/// The upper bounds of the histogram's buckets, in microseconds, as they are written.
const BUCKETS: [(u64, &str); 14] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1.0"),
    (2_500_000, "2.5"),
    (5_000_000, "5.0"),
    (10_000_000, "10.0"),
    (25_000_000, "25.0"),
];

/// The figures since the start.
#[derive(Debug)]
pub(super) struct Statistics {
    started: u64,
    /// The sessions with an origin.
    sessions: AtomicI64,
    pairs: AtomicI64,
    dest_to_origin: AtomicU64,
    origin_to_dest: AtomicU64,
    refusals: [AtomicU64; Label::ALL.len()],
    /// The handshakes of each bucket; the last is for those beyond all.
    handshakes: [AtomicU64; BUCKETS.len() + 1],
    handshake_microseconds: AtomicU64,
}

impl Statistics {
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            started,
            sessions: AtomicI64::new(0),
            pairs: AtomicI64::new(0),
            dest_to_origin: AtomicU64::new(0),
            origin_to_dest: AtomicU64::new(0),
            refusals: Default::default(),
            handshakes: Default::default(),
            handshake_microseconds: AtomicU64::new(0),
        }
    }

    pub(super) fn add_sessions(&self, change: i64) {
        self.sessions.fetch_add(change, Ordering::Relaxed);
    }

    pub(super) fn add_pairs(&self, change: i64) {
        self.pairs.fetch_add(change, Ordering::Relaxed);
    }

    /// Returns the number of pairs.
    pub(super) fn pairs(&self) -> i64 {
        self.pairs.load(Ordering::Relaxed)
    }

    pub(super) fn add_bytes(&self, from_dest: bool, count: u64) {
        let counter = if from_dest { &self.dest_to_origin } else { &self.origin_to_dest };
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_refusal(&self, label: Label) {
        self.refusals[label as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Records the time from a client's head to its 101.
    pub(super) fn add_handshake(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(bound, _)| microseconds <= *bound);
        self.handshakes[bucket.unwrap_or(BUCKETS.len())].fetch_add(1, Ordering::Relaxed);
        self.handshake_microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Returns the figures as a JSON object.
    pub(super) fn json(&self) -> String {
        let refused = self.refusals().map(|(label, count)| (label.name().to_owned(), count.into()));
        let refused: Map<_, _> = refused.collect();
        let object = json!({
            "since": rfc3339(self.started),
            "sessions": self.sessions.load(Ordering::Relaxed),
            "pairs": self.pairs(),
            "bytes": {
                "dest_to_origin": self.dest_to_origin.load(Ordering::Relaxed),
                "origin_to_dest": self.origin_to_dest.load(Ordering::Relaxed),
            },
            "refused": refused,
        });
        format!("{object}\n")
    }

    fn refusals(&self) -> impl Iterator<Item = (Label, u64)> {
        Label::ALL.into_iter().zip(self.refusals.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the figures for Prometheus: text format 0.0.4, or `OpenMetrics` 1.0.0 with `open`.
    pub(super) fn metrics(&self, open: bool) -> String {
        let mut text = String::new();
        let sessions = self.sessions.load(Ordering::Relaxed);
        for (name, help, value) in [
            ("sessions", "Sessions that an origin offers.", sessions.to_string()),
            ("pairs", "Connections between a client and an origin.", self.pairs().to_string()),
            ("start_time_seconds", "Time of the start since 1970.", self.started.to_string()),
        ] {
            describe(&mut text, name, "gauge", help);
            let _ = writeln!(text, "connect_hub_{name} {value}");
        }
        // In OpenMetrics, the name of a counter's family lacks the suffix of its samples.
        let suffix = if open { "" } else { "_total" };
        describe(&mut text, &format!("bytes{suffix}"), "counter", "Payload bytes relayed.");
        for (direction, count) in
            [("dest_to_origin", &self.dest_to_origin), ("origin_to_dest", &self.origin_to_dest)]
        {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(text, "connect_hub_bytes_total{{direction=\"{direction}\"}} {count}");
        }
        describe(&mut text, &format!("refusals{suffix}"), "counter", "Refused requests.");
        for (label, count) in self.refusals() {
            let _ = writeln!(text, "connect_hub_refusals_total{{reason=\"{}\"}} {count}", label.name());
        }
        self.add_histogram(&mut text);
        if open {
            text.push_str("# EOF\n");
        }
        text
    }

    fn add_histogram(&self, text: &mut String) {
        const NAME: &str = "connect_hub_handshake_seconds";
        describe(text, "handshake_seconds", "histogram", "Time from a client's request to its 101.");
        let mut total = 0;
        let bounds = BUCKETS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        for (bound, count) in bounds.zip(&self.handshakes) {
            total += count.load(Ordering::Relaxed);
            let _ = writeln!(text, "{NAME}_bucket{{le=\"{bound}\"}} {total}");
        }
        let sum = Duration::from_micros(self.handshake_microseconds.load(Ordering::Relaxed));
        let _ = writeln!(text, "{NAME}_sum {}\n{NAME}_count {total}", sum.as_secs_f64());
    }
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP connect_hub_{name} {help}\n# TYPE connect_hub_{name} {kind}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn used() -> Statistics {
        let statistics = Statistics::new();
        statistics.add_sessions(3);
        statistics.add_sessions(-1);
        statistics.add_pairs(5);
        statistics.add_bytes(true, 10);
        statistics.add_bytes(false, 20);
        for label in Label::ALL {
            statistics.add_refusal(label);
        }
        statistics.add_refusal(Label::Draining);
        for milliseconds in [1, 2, 3, 30_000] {
            statistics.add_handshake(Duration::from_millis(milliseconds));
        }
        statistics
    }

    #[test]
    fn the_json_object_has_all_figures() {
        let value: serde_json::Value = serde_json::from_str(&used().json()).unwrap();
        assert_eq!((&value["sessions"], &value["pairs"]), (&2.into(), &5.into()));
        assert_eq!(value["bytes"], json!({"dest_to_origin": 10, "origin_to_dest": 20}));
        let refused = value["refused"].as_object().unwrap();
        assert_eq!(refused.len(), Label::ALL.len());
        assert_eq!((&refused["malformed"], &refused["draining"]), (&1.into(), &2.into()));
        assert!(value["since"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_metrics_have_all_labels_from_the_start() {
        let text = Statistics::new().metrics(false);
        for label in Label::ALL {
            assert!(text.contains(&format!("connect_hub_refusals_total{{reason=\"{}\"}} 0\n", label.name())));
        }
        assert!(text.contains("# TYPE connect_hub_bytes_total counter\n") && !text.contains("# EOF"));
        let text = Statistics::new().metrics(true);
        assert!(text.contains("# TYPE connect_hub_bytes counter\n") && text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn the_histogram_is_cumulative() {
        let text = used().metrics(false);
        for line in [
            "_bucket{le=\"0.001\"} 1",
            "_bucket{le=\"0.0025\"} 2",
            "_bucket{le=\"0.005\"} 3",
            "_bucket{le=\"25.0\"} 3",
            "_bucket{le=\"+Inf\"} 4",
            "_sum 30.006",
            "_count 4",
        ] {
            assert!(text.contains(&format!("connect_hub_handshake_seconds{line}\n")), "{line}\n{text}");
        }
    }
}

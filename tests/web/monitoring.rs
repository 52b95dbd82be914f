//! The metrics of hubs, read by Prometheus and by its client library, and the alert rules in
//! `examples/relay`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::context::{Case, Context, Topic, program};
use crate::daemon::Daemon;
use crate::hubs::{HUBS, page};
use crate::kit::TIMEOUT;
use crate::token_hub::Keys;
use crate::websocket_servers::script;

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("monitoring");
    topic.ours("Prometheus' client library reads the metrics of a hub in both formats", parsed_metrics);
    topic.ours("Prometheus reads the metrics of three hubs", scraped_metrics);
    topic.ours("the alert rules fire when they should", |_| {
        program("promtool", ["test", "rules"]).arg(script("alerts.yml")).run().expect_code(0);
    });
    topic.into_cases()
}

fn parsed_metrics(context: &Context) {
    let keys = Keys::new(context);
    let hub = keys.hub("");
    let port = hub.port;
    for path in ["/metrics", "/v1/stats"] {
        assert_eq!(page(port, path).0, 401, "{path} without a token");
    }
    let _origin = keys.origin(port, context.port());
    let token = keys.token("client.token", "role=dest,session=lab,ttl=1h");
    let url = format!("-x ws://127.0.0.1:{port}/v1/lab/dest --token-file");
    let session = context.connect(url).arg(token).input("SSH-2.0-x\r\n").run();
    let token = keys.token("stats.token", "role=stats,ttl=1h");
    let out = program("/usr/bin/python3", [script("metrics.py")]).arg(port.to_string()).arg(token).run();
    out.expect_success();
    let received = session.stdout.len();
    assert!(received > 20, "no identification of sshd: {session:?}");
    for format in ["text", "openmetrics"] {
        let expected = [
            "gauge connect_hub_sessions{} 1.0".to_owned(),
            "gauge connect_hub_pairs{} 0.0".to_owned(),
            "counter connect_hub_bytes_total{direction=dest_to_origin} 11.0".to_owned(),
            format!("counter connect_hub_bytes_total{{direction=origin_to_dest}} {received}.0"),
            "counter connect_hub_refusals_total{reason=token} 2.0".to_owned(),
            "counter connect_hub_refusals_total{reason=limit} 0.0".to_owned(),
            "histogram connect_hub_handshake_seconds_bucket{le=25.0} 1.0".to_owned(),
            "histogram connect_hub_handshake_seconds_bucket{le=+Inf} 1.0".to_owned(),
            "histogram connect_hub_handshake_seconds_count{} 1.0".to_owned(),
        ];
        for line in expected {
            let line = format!("{format} {line}\n");
            assert!(out.stdout_text().contains(&line), "no {line} in {}", out.stdout_text());
        }
    }
}

/// Prometheus runs with the example. Only addresses and files differ.
fn scraped_metrics(context: &Context) {
    let keys = Keys::new(context);
    let hubs: Vec<_> = HUBS.iter().map(|_| keys.hub("")).collect();
    let _origin = keys.origin(hubs[0].port, context.port());
    let token = keys.token("stats.token", "role=stats,ttl=1h");
    let config = include_str!("../../examples/relay/prometheus.yml")
        .replace("/etc/prometheus/connect-hub.token", &token.display().to_string())
        .replace("scrape_interval: 15s", "scrape_interval: 1s");
    let config = HUBS.iter().zip(&hubs).fold(config, |config, (address, hub)| {
        assert!(config.contains(address), "no {address} in {config}");
        config.replace(address, &format!("127.0.0.1:{}", hub.port))
    });
    fs::write(context.folder.join("alerts.yml"), include_str!("../../examples/relay/alerts.yml")).unwrap();
    let config = context.file("prometheus.yml", config);
    let prometheus = Daemon::start("prometheus", 1, &context.folder.join("log"), |ports| {
        let mut command = context.peers.command("prometheus", &[]);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", context.folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", ports[0]));
        command
    });
    let prometheus = prometheus.unwrap_or_else(|error| panic!("{error}"));
    let query = |query: &str| sum(prometheus.ports[0], query);
    for (text, expected) in
        [("up", "3"), ("connect_hub_sessions", "1"), ("connect_hub_refusals_total{reason=\"token\"}", "0")]
    {
        let begin = Instant::now();
        while query(text).as_deref() != Some(expected) {
            assert!(begin.elapsed() < TIMEOUT, "sum({text}) is {:?}, expected {expected}", query(text));
            sleep(Duration::from_millis(100));
        }
    }
}

/// Returns the sum of the series that a query selects; `None` if there are none.
fn sum(port: u16, query: &str) -> Option<String> {
    let query: Vec<_> = format!("sum({query})").bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET /api/v1/query?query={} HTTP/1.0\r\n\r\n", query.concat()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    body["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
}

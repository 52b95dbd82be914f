//! WebSocket and POST tunnels against real web servers, WebSocket libraries and OpenSSH.
//!
//!     cargo test --test web -- [--full] [NAME]
//!     tests/web/run [--full] [--only NAME] [PROGRAM]
//!
//! `NAME` selects the cases whose names contain it. `--full` adds cases that take long. The
//! variables `CONNECT_UNDER_TEST`, `REAL_TIMES` and `REAL_KEEP` have the same meaning as in
//! `tests/real`, which also contains the modules that both suites share.
//!
//! lighttpd's configuration names port 9001, so the suite runs in a network namespace of its own;
//! see `run`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::process::ExitCode;

mod agents;
mod browser;
#[allow(dead_code, reason = "tests/real uses the rest")]
#[path = "../real/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "tests/real uses the rest")]
#[path = "../real/context.rs"]
mod context;
mod cutting_relay;
#[allow(dead_code, reason = "tests/real uses the rest")]
#[path = "../real/daemon.rs"]
mod daemon;
mod devtools;
mod fault_proxy;
mod faults;
mod hub_scale;
mod hubs;
#[path = "../kit/mod.rs"]
mod kit;
mod links;
mod monitoring;
#[allow(dead_code, reason = "tests/real uses the rest")]
#[path = "../real/peers.rs"]
mod peers;
mod requests;
mod routes;
#[path = "../real/runner.rs"]
mod runner;
mod scenarios;
mod servers;
mod sessions;
mod status_page;
mod token_hub;
mod web_servers;
mod websocket_servers;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let full = args.iter().any(|arg| arg == "--full");
    let filter = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    let topics = [
        faults::cases(full),
        routes::cases(full),
        sessions::cases(),
        requests::cases(),
        browser::cases(),
        status_page::cases(),
        hub_scale::cases(full),
        hubs::cases(),
        monitoring::cases(),
        scenarios::cases(full),
        agents::cases(),
        links::cases(full),
    ];
    runner::run(topics, filter, false, |_, _| {})
}

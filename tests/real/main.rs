//! The program against real peers: OpenSSH, microsocks, danted, tinyproxy, squid, stunnel,
//! `haproxy`, `ssh -D`, dnsmasq, git, rsync, curl, apt, proxychains and Chromium; the SSH servers
//! dropbear, tinysshd, asyncssh, paramiko, ssh2 (npm) and libssh's sample server.
//!
//!     cargo test --test real -- [--original] [--full] [NAME]
//!     tests/real/run [--only NAME] [--original] [--full] [PROGRAM]
//!
//! `NAME` selects the cases whose names contain it. The environment variable `CONNECT_UNDER_TEST`
//! holds the path of the program to test. `--original` means that this is the C program, whose exit
//! codes and messages differ; cases that do not apply to it are then listed as n/a. `--full` adds
//! cases that take long. `REAL_TIMES=1` prints how long each case took, and `REAL_KEEP=1` keeps the
//! working directory with all logs.
//!
//! All servers listen on free loopback ports, and all files are in one temporary directory, except
//! `/run/sshd`, which sshd requires and the suite creates when run as root. The suite is meant to
//! run as root, in a container for example. Without root, some cases need user namespaces, and
//! OpenSSH's own tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::process::ExitCode;

mod bastion;
mod certificates;
mod chains;
mod context;
#[allow(dead_code, reason = "tests/web uses the rest")]
mod daemon;
mod dns;
mod errors;
mod http;
#[path = "../kit/mod.rs"]
mod kit;
mod listeners;
mod names;
mod openssh;
mod peers;
mod remote;
mod routes;
mod runner;
mod servers;
mod ssh_algorithms;
mod ssh_files;
mod ssh_hops;
mod ssh_servers;
mod ssh_target;
mod terminal;
mod tls;
mod tokens;
mod tools;
mod users;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [original, full] = ["--original", "--full"].map(|flag| args.iter().any(|arg| arg == flag));
    let filter = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    let topics = [
        routes::cases(),
        bastion::cases(),
        ssh_hops::cases(),
        ssh_algorithms::cases(),
        remote::cases(),
        ssh_files::cases(),
        chains::cases(),
        tls::cases(),
        tools::cases(),
        http::cases(),
        listeners::cases(),
        names::cases(),
        dns::cases(),
        errors::cases(),
        tokens::cases(),
        terminal::cases(),
        // Last, because these cases only wait for results of tests that run in the background.
        openssh::cases(full),
    ];
    runner::run(topics, filter, original, |cases, peers| openssh::begin(full, cases, peers))
}

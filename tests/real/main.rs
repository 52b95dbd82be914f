//! The program against real peers: OpenSSH, microsocks, danted, tinyproxy, squid, stunnel,
//! `haproxy`, `ssh -D`, dnsmasq, git, rsync, curl, apt, proxychains and Chromium.
//!
//!     cargo test --test real -- [--original] [NAME]
//!     tests/real/run [--only NAME] [--original] [PROGRAM]
//!
//! `NAME` selects the cases whose names contain it. The environment variable `CONNECT_UNDER_TEST`
//! holds the path of the program to test. `--original` means that this is the C program, whose exit
//! codes and messages differ; cases that do not apply to it are then listed as n/a. `REAL_TIMES=1`
//! prints how long each case took, and `REAL_KEEP=1` keeps the working directory with all logs.
//!
//! All servers listen on free loopback ports, and all files are in one temporary directory, except
//! `/run/sshd`, which sshd requires and the suite creates when run as root. The suite is meant to
//! run as root, in a container for example. Without root, some cases need user namespaces, and
//! OpenSSH's own tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

mod certificates;
mod chains;
mod context;
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
mod routes;
mod runner;
mod terminal;
mod tls;
mod tools;

use peers::Peers;

/// Written to the signal pipe at the end of the run, to end the thread that reads it. signal-hook
/// writes a different byte for a signal.
const FINISHED: u8 = b'F';

/// The exit code after any signal: 128 plus the number of SIGINT.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let original = args.iter().any(|arg| arg == "--original");
    let filter = args.iter().find(|arg| !arg.starts_with('-'));

    let missing = peers::missing_programs();
    if !missing.is_empty() {
        for line in &missing {
            println!("FAIL {line}");
        }
        println!("0 passed, {} failed", missing.len());
        return ExitCode::FAILURE;
    }
    let topics = [
        routes::cases(),
        chains::cases(),
        tls::cases(),
        tools::cases(),
        http::cases(),
        listeners::cases(),
        names::cases(),
        dns::cases(),
        errors::cases(),
        terminal::cases(),
        // Last, because these cases only wait for results of tests that run in the background.
        openssh::cases(),
    ];
    let mut cases: Vec<_> = topics.into_iter().flatten().collect();
    cases.retain(|case| filter.is_none_or(|part| case.name.contains(part)));
    if cases.is_empty() {
        println!("FAIL no case has '{}' in its name", filter.map_or("", String::as_str));
        return ExitCode::FAILURE;
    }

    let peers = match Peers::new(&PathBuf::from(kit::program_path())) {
        Ok(peers) => peers,
        Err(error) => {
            println!("FAIL {error}\n0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    };
    std::thread::scope(|scope| {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone().unwrap()).unwrap();
        }
        let peers = &peers;
        scope.spawn(move || {
            let mut byte = [0];
            if reader.read(&mut byte).is_ok_and(|length| length > 0) && byte[0] != FINISHED {
                peers.abort();
                std::process::exit(INTERRUPTED);
            }
        });
        openssh::begin(&cases, peers);
        let tally = runner::run(&cases, peers, original);
        (&writer).write_all(&[FINISHED]).unwrap();
        peers.stop();
        println!("{tally}");
        ExitCode::from(u8::from(!tally.is_success()))
    })
}

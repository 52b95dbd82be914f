//! Local faults during a session: too few descriptors, too little memory, a full disk, unreadable
//! input, closed descriptors, a clock that jumps. Either all data arrives, or a one-line message
//! says what failed. (`tests/faults` covers failing system calls and bad network links.)

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::time::Duration;

use crate::kit::*;
use crate::listening::*;

/// Exit code of the dynamic loader when it cannot start the program.
const NOT_LOADED: i32 = 127;

#[test]
fn with_few_descriptors_a_session_works_or_reports_that() {
    let (mut successes, mut failures) = (0, 0);
    for limit in 3..=20 {
        let target = Server::repeat(|| script().expect("ping").expect_eof().send("pong"));
        for mode in ["splice", "copy"] {
            let run = with_ulimit(&format!("-n {limit}"), &target.args()).env("CONNECT_RELAY", mode);
            let out = run.input("ping").run();
            match out.code {
                Some(NOT_LOADED) => assert!(limit < 4, "{out:?}"),
                Some(0) => {
                    successes += 1;
                    out.expect_success().expect_stdout("pong");
                }
                _ => {
                    failures += 1;
                    out.expect_failure(1, &["open files"]);
                }
            }
        }
        drop(target);
    }
    // The program needs only four descriptors: the three standard ones and a socket. The dynamic
    // loader needs four as well.
    assert!(successes >= 30 && failures == 0, "{successes} successes, {failures} failures");
}

#[test]
fn with_few_descriptors_a_local_port_works_or_reports_that() {
    let (mut successes, mut failures) = (0, 0);
    for limit in 4..=16 {
        let target = Server::repeat(|| script().expect("ping").expect_eof().send("pong"));
        let args = format!("-d -p 0 {}", target.args());
        let run = Listening::start(with_ulimit(&format!("-n {limit}"), &args));
        match run.address_or_exit() {
            None => {
                failures += 1;
                run.end().expect_failure(1, &["open files"]);
            }
            Some(address) => {
                let mut client = connect_to(address);
                // The program may close the connection before it reads anything.
                let written = client.write_all(b"ping");
                let _ = client.shutdown(Shutdown::Write);
                let mut answer = Vec::new();
                let read = client.read_to_end(&mut answer);
                let end = run.end();
                if end.code == Some(0) {
                    successes += 1;
                    assert_eq!((read.ok(), answer.as_slice()), (Some(4), &b"pong"[..]));
                } else {
                    failures += 1;
                    end.expect_failure(end.code.unwrap(), &["open files"]);
                    // The kernel reports a reset to only one of the two calls.
                    assert!(written.is_err() || read.is_err(), "a clean EOF without an answer");
                }
            }
        }
        drop(target);
    }
    assert!(successes >= 3 && failures >= 3, "{successes} successes, {failures} failures");
}

/// The test limits the address space. It finds the smallest limit at which the program loads by
/// bisection, then raises the limit in small steps, so that the program's own allocations fail,
/// too.
#[cfg(target_os = "linux")]
#[test]
fn with_little_memory_a_session_works_or_reports_that() {
    let target = Server::repeat(|| script().expect("ping").expect_eof().send("pong"));
    let run = |step: u32| {
        let limit = 2_000 + 16 * step;
        let args = target.args();
        let run = with_ulimit(&format!("-v {limit}"), &args).env("CONNECT_RELAY", "copy");
        run.input("ping").run()
    };
    // The kernel kills a program that it cannot even map.
    let is_loaded = |out: &Outcome| !matches!(out.code, None | Some(NOT_LOADED));
    let (mut too_little, mut enough) = (0, 12_000);
    assert!(!is_loaded(&run(too_little)) && is_loaded(&run(enough)));
    while enough - too_little > 1 {
        let middle = u32::midpoint(too_little, enough);
        if is_loaded(&run(middle)) { enough = middle } else { too_little = middle }
    }
    let (mut successes, mut failures) = (0, 0);
    for step in too_little.. {
        let out = run(step);
        match out.code {
            // Address space randomization shifts the boundary a little.
            None | Some(NOT_LOADED) => assert!(step < enough + 16, "{out:?}"),
            Some(0) => {
                successes += 1;
                out.expect_success().expect_stdout("pong");
            }
            _ => {
                failures += 1;
                out.expect_failure(1, &["out of memory"]);
            }
        }
        if successes >= 3 {
            break;
        }
        assert!(step < enough + 4_000, "it never works");
    }
    assert!(failures >= 1, "memory was never too little: this test says nothing");
}

/// The failed write used to go unreported while there was input to send.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_was_not_reported_during_a_large_upload() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = script().send("does not fit").then("read until it breaks", |session| {
        while !session.receive_or_reset(64 * 1024)?.is_empty() {
            session.record().received.clear();
        }
        Ok(())
    });
    let server = server.serve();
    let mut run = connect(server.args()).stdout(full).limit(Duration::from_secs(10)).start();
    run.feed(std::io::repeat(b'.'));
    run.wait().expect_failure(8, &["no space left"]);
    server.finish();
}

/// splice(2) needs kernel memory. When it failed, the session used to end as if the remote had
/// failed, although copying still worked.
#[cfg(target_os = "linux")]
#[test]
fn a_lack_of_memory_for_splice_ended_the_session() {
    for fault in [CallFault::SpliceLacksMemory, CallFault::DrainLacksMemory] {
        let (up, down) = (bytes(1, 3_000_000), bytes(2, 3_000_000));
        let server = || script().send_in_background(2, 3_000_000).sink_bytes(3_000_000).expect_eof();
        let remote = server().serve();
        let out = connect(remote.args()).fault(fault).input(up.clone()).run();
        out.expect_success();
        assert!(out.stdout == down, "{} bytes", out.stdout.len());
        remote.finish();

        // Between two sockets, the data is in a pipe when the second call fails.
        let remote = server().serve();
        let run = Listening::start(connect(format!("-d -p 0 {}", remote.args())).fault(fault));
        let client = run.client();
        let sender = client.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            (&sender).write_all(&up).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        assert!(Digest::from_reader(&client) == Digest::from_reader(data(2, 3_000_000)));
        sending.join().unwrap();
        run.wait_for_line("Cannot allocate memory");
        run.end().expect_success();
        remote.finish();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_lack_of_memory_was_blamed_on_the_remote() {
    let server = script().send("hello").expect_disconnect().serve();
    let program = connect(server.args()).env("CONNECT_RELAY", "copy").fault(CallFault::ReceiveLacksMemory);
    program.run().expect_failure(1, &["cannot relay data: Cannot allocate memory"]);
    server.finish();
}

/// This used to deadlock: the remote waited for more data, and the program waited for the remote's
/// answer.
#[test]
fn a_session_with_unreadable_input_never_ended() {
    for mode in ["splice", "copy"] {
        let server = script().expect_reset().serve();
        let directory = File::open("/").unwrap();
        let mut run = connect(server.args()).env("CONNECT_RELAY", mode).stdin(directory).start();
        run.wait().expect_failure(8, &["cannot read standard input", "directory"]);
        server.finish();
    }
}

/// Once the slave of a pseudo-terminal is closed, reading from the master fails with EIO.
#[cfg(target_os = "linux")]
#[test]
fn eio_on_input_is_reported_and_resets_the_remote() {
    let pty = Pty::raw();
    let slave = pty.slave();
    let master = pty.master.try_clone().unwrap();
    drop((slave, pty));
    let server = script().expect_reset().serve();
    let mut run = connect(server.args()).stdin(master).start();
    run.wait().expect_failure(8, &["cannot read standard input", "input/output error"]);
    server.finish();
}

/// Tries all combinations of closed standard descriptors with sessions that fail while dialling,
/// negotiating or relaying. (`relay::closed` tests sessions that succeed.)
#[test]
fn a_failure_with_closed_descriptors_has_its_exit_code_and_message() {
    let refusing = RefusingPort::new();
    for closed in 0..8 {
        let with_closed = |args: String| {
            let mut run = connect(args);
            for (bit, set) in [
                (1, Program::stdin as fn(Program, Io) -> Program),
                (2, Program::stdout),
                (4, Program::stderr),
            ] {
                if closed & bit != 0 {
                    run = set(run, Io::Closed);
                }
            }
            run
        };
        let expect_failure = |out: Outcome, code| {
            println!("closed: {closed:03b}, {out:?}");
            if closed & 4 == 0 {
                out.expect_failure(code, &[])
            } else {
                out.expect_code(code)
            };
            out.expect_stdout("");
        };
        expect_failure(with_closed(format!("127.0.0.1 {}", refusing.port())).run(), 4);
        let proxy = socks5_refused(2).serve();
        expect_failure(with_closed(format!("-S {proxy} example.org 22")).run(), 5);
        proxy.finish();
        let server = script().expect_eof().reset().serve();
        expect_failure(with_closed(server.args()).run(), 8);
        server.finish();
    }
}

/// Timeouts must use the monotonic clock, which does not jump when the time of day is set. Only
/// tokens and certificates expire at a time of day, the hub reports when it was started, and copies
/// have the times of their files.
#[test]
fn only_what_has_a_date_depends_on_the_time_of_day() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = [
        "mint.rs",
        "listen/gate",
        "hub/statistics.rs",
        "hops/ssh/host_keys.rs",
        "remote/copy/walk.rs",
        "sys/windows/files.rs",
    ]
    .map(|path| source.join(path));
    let mut directories = vec![source];
    let mut files = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if allowed.contains(&entry) {
                continue;
            }
            if entry.is_dir() {
                directories.push(entry);
            } else {
                files += 1;
                let text = std::fs::read_to_string(&entry).unwrap();
                for name in ["SystemTime", "CLOCK_REALTIME", "UNIX_EPOCH", "libc::time("] {
                    assert!(!text.contains(name), "{name} in {}", entry.display());
                }
            }
        }
    }
    assert!(files > 50);
}

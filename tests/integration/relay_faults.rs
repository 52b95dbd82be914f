//! What this machine can do to a relay: too few descriptors, too little memory, a disk that is full, an input that cannot
//! be read, descriptors that are closed, a clock that jumps. Either all arrives, or one line says what is wrong. (More of
//! it, with strace and over a bad link, is in tests/faults.)

use std::fs::{File, OpenOptions};
use std::time::Duration;

use crate::kit::*;
use crate::listening::*;

/// A program that the system's loader could not even start has not had the chance to say anything.
const NOT_LOADED: i32 = 127;

/// It said this in one line, with exit code 1.
#[track_caller]
fn expect_out_of(what: &str, out: &Outcome) {
    out.expect_failure(1, &[what]);
}

#[test]
fn with_few_descriptors_a_session_works_or_says_that_there_are_too_few() {
    let (mut worked, mut told) = (0, 0);
    for limit in 3..=20 {
        let target = Server::repeat(|| script().expect("ping").expect_eof().send("pong"));
        for relay in ["splice", "copy"] {
            let run = limited(&format!("-n {limit}"), &target.args()).env("CONNECT_RELAY", relay);
            let out = run.input("ping").run();
            match out.code {
                Some(NOT_LOADED) => assert!(limit < 4, "{out:?}"),
                Some(0) => {
                    worked += 1;
                    out.expect_success().expect_stdout("pong");
                }
                _ => {
                    told += 1;
                    expect_out_of("open files", &out);
                }
            }
        }
        drop(target);
    }
    // Three for the standard ones, and one for the socket, for which it is loaded through.
    assert!(worked >= 30 && told == 0, "{worked} worked, {told} told");
}

#[test]
fn with_few_descriptors_a_local_port_works_or_says_that_there_are_too_few() {
    let (mut worked, mut told) = (0, 0);
    for limit in 4..=16 {
        let target = Server::repeat(|| script().expect("ping").expect_eof().send("pong"));
        let run = Listening::start(limited(&format!("-n {limit}"), &format!("-d -p 0 {}", target.args())));
        match run.place_or_end() {
            None => {
                told += 1;
                run.end().expect_failure(1, &["open files"]);
            }
            Some(place) => {
                let client = client_of(place);
                // It may be turned away before it has said anything.
                let written = std::io::Write::write_all(&mut &client, b"ping");
                let _ = client.shutdown(std::net::Shutdown::Write);
                let mut answer = Vec::new();
                let read = std::io::Read::read_to_end(&mut &client, &mut answer);
                let end = run.end();
                if end.code == Some(0) {
                    worked += 1;
                    assert_eq!((read.ok(), answer.as_slice()), (Some(4), &b"pong"[..]));
                } else {
                    told += 1;
                    end.expect_failure(end.code.unwrap(), &["open files"]);
                    // The system tells of a reset once.
                    assert!(written.is_err() || read.is_err(), "a clean end, and nothing has come");
                }
            }
        }
        drop(target);
    }
    assert!(worked >= 3 && told >= 3, "{worked} worked, {told} told");
}

/// The system counts address space, in KiB; the step is smaller than what a session needs.
#[cfg(target_os = "linux")]
#[test]
fn with_little_memory_a_session_works_or_says_that_there_is_too_little() {
    let target = Server::repeat(|| script().expect("ping").expect_eof().send("pong"));
    let (mut worked, mut told) = (0, 0);
    for step in 0.. {
        let limit = 2_000 + 16 * step;
        let run = limited(&format!("-v {limit}"), &target.args()).env("CONNECT_RELAY", "copy");
        let out = run.input("ping").run();
        match out.code {
            Some(NOT_LOADED) => {}
            // The system kills what it cannot even map.
            None if told + worked == 0 && out.stderr.is_empty() => {}
            Some(0) => {
                worked += 1;
                out.expect_success().expect_stdout("pong");
            }
            _ => {
                told += 1;
                expect_out_of("out of memory", &out);
            }
        }
        if worked >= 3 {
            break;
        }
        assert!(limit < 200_000, "it never works");
    }
    assert!(told >= 1, "memory was never too little: this test says nothing");
}

/// As long as there was something to send, nobody noticed that nothing could be written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_was_not_reported_as_long_as_much_was_sent() {
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

/// The remote was left waiting for the rest, and so were we for its answer.
#[test]
fn an_input_that_cannot_be_read_was_waited_on_for_ever() {
    for relay in ["splice", "copy"] {
        let server = script().expect_reset().serve();
        let directory = File::open("/").unwrap();
        let mut run = connect(server.args()).env("CONNECT_RELAY", relay).stdin(directory).start();
        run.wait().expect_failure(8, &["cannot read standard input", "directory"]);
        server.finish();
    }
}

/// A terminal whose other end is gone says EIO.
#[cfg(target_os = "linux")]
#[test]
fn an_input_that_fails_with_eio_is_reported_and_the_remote_is_told_by_a_reset() {
    let pty = Pty::raw();
    let slave = pty.slave();
    let master = pty.master.try_clone().unwrap();
    drop((slave, pty));
    let server = script().expect_reset().serve();
    let mut run = connect(server.args()).stdin(master).start();
    run.wait().expect_failure(8, &["cannot read standard input", "input/output error"]);
    server.finish();
}

/// All eight combinations of standard descriptors that are closed, in a session that fails in the dialling, in the
/// negotiation, and in the relay. (Those that succeed are in `relay::closed`.)
#[test]
fn a_failure_with_closed_descriptors_has_its_exit_code_and_says_it_where_it_can() {
    let refusing = RefusingPort::new();
    for closed in 0..8 {
        let with_closed = |words: String| {
            let mut run = connect(words);
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
        let judge = |out: Outcome, code| {
            println!("closed: {closed:03b}, {out:?}");
            if closed & 4 == 0 {
                out.expect_failure(code, &[])
            } else {
                out.expect_code(code)
            };
            out.expect_stdout("");
        };
        judge(with_closed(format!("127.0.0.1 {}", refusing.port())).run(), 4);
        let proxy = socks5_refused(2).serve();
        judge(with_closed(format!("-S {proxy} example.org 22")).run(), 5);
        proxy.finish();
        let server = script().expect_eof().reset().serve();
        judge(with_closed(server.args()).run(), 8);
        server.finish();
    }
}

/// Limits are counted by the clock that does not jump when somebody sets the time.
#[test]
fn the_time_of_day_is_not_looked_at() {
    let mut rooms = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut files = 0;
    while let Some(room) = rooms.pop() {
        for entry in std::fs::read_dir(room).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                rooms.push(entry);
            } else {
                files += 1;
                let text = std::fs::read_to_string(&entry).unwrap();
                for word in ["SystemTime", "CLOCK_REALTIME", "UNIX_EPOCH", "libc::time("] {
                    assert!(!text.contains(word), "{word} in {}", entry.display());
                }
            }
        }
    }
    assert!(files > 50);
}

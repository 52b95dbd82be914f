//! `--idle-timeout` ends a session that makes no progress, and does not affect one that does.
//!
//! The state machine tests in `src/relay/session/tests.rs` cover the timer itself.

use std::thread;
use std::time::Duration;

use super::connect;
use crate::kit::*;
use crate::listening::idle_message;

/// Idle timeout for sessions that never make progress.
const SHORT: Duration = Duration::from_millis(300);
/// Idle timeout for sessions that make progress. It is long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(1);
/// Pause between pieces of data that keep a session alive.
const PAUSE: Duration = Duration::from_millis(250);
/// More than all buffers on the path can hold.
const MORE_THAN_BUFFERS: u64 = 20 * MIB;

fn with_limit(limit: Duration, args: impl AsRef<str>) -> Program {
    connect(format!("--idle-timeout {} {}", limit.as_secs_f64(), args.as_ref()))
}

/// Checks that the run fails because of the idle timeout, which must be `SHORT`.
#[track_caller]
fn expect_timeout(run: &mut Running, peer: &str) {
    let out = run.wait();
    out.expect_failure(7, &[&idle_message(peer, "0.3 seconds"), "--idle-timeout"]);
    assert!(out.elapsed >= SHORT, "{out:?}");
}

#[test]
fn a_session_without_progress_is_reset() {
    let server = script().expect_reset().serve();
    let mut run = with_limit(SHORT, server.args()).start();
    expect_timeout(&mut run, &server.to_string());
    server.finish();
}

#[test]
fn through_a_proxy_the_message_names_the_proxy() {
    let proxy = socks5_none().expect_reset().serve();
    let mut run = with_limit(SHORT, format!("-S {proxy} example.org 22")).start();
    expect_timeout(&mut run, &format!("SOCKS5 proxy {proxy}"));
    proxy.finish();
}

/// The remote's answer restarts the timer.
#[test]
fn after_local_eof_the_timeout_still_applies() {
    let server = script().expect_eof().pause(PAUSE).send("late").hold().serve();
    let mut run = with_limit(LIMIT, server.args()).start();
    run.close_stdin();
    let out = run.wait();
    out.expect_failure(7, &[&idle_message(&server.to_string(), "1 second")]).expect_stdout("late");
    server.finish();
}

/// Buffered data that the program cannot deliver is not progress.
#[test]
fn a_session_with_a_stuck_reader_is_idle() {
    let server = script().send_until_refused(4 * TIMEOUT).serve();
    let (output, end) = pipe();
    let mut run = with_limit(SHORT, server.args()).stdout(end).start();
    expect_timeout(&mut run, &server.to_string());
    drop(output);
    server.finish();
}

#[test]
fn a_session_with_a_stuck_remote_is_idle() {
    let server = script().small_window().hold().serve();
    let mut run = with_limit(SHORT, server.args()).start();
    run.feed(data(2, MORE_THAN_BUFFERS));
    expect_timeout(&mut run, &server.to_string());
    server.finish();
}

/// Each of the six bytes arrives within the timeout, but together they take longer.
#[test]
fn data_in_either_direction_keeps_a_session_alive() {
    let down = script().send_slowly("123456", 1, PAUSE).serve();
    let mut receiver = with_limit(LIMIT, down.args()).start();
    let up = script().expect("123456").expect_eof().serve();
    let mut sender = with_limit(LIMIT, up.args()).start();
    for byte in "123456".chars() {
        thread::sleep(PAUSE);
        sender.send(byte.to_string());
    }
    sender.finish().expect_success();
    up.finish();
    receiver.wait().expect_success().expect_stdout("123456");
    down.finish();
}

#[test]
fn a_slow_reader_keeps_a_session_alive() {
    const SIZE: u64 = 8 * MIB;
    const PARTS: u32 = 8;
    let server = script().send_data(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = with_limit(LIMIT, server.args()).stdout(end).start();
    let mut digest = Digest::new();
    let part = SIZE / u64::from(PARTS);
    while copy(&mut std::io::Read::take(&output, part), &mut digest).unwrap() > 0 {
        thread::sleep(PAUSE);
    }
    assert!(PAUSE * PARTS > LIMIT);
    run.wait().expect_success();
    assert_eq!(digest, Digest::from_reader(data(1, SIZE)));
    server.finish();
}

#[test]
fn by_default_and_with_0_there_is_no_timeout() {
    for option in ["", "--idle-timeout 0"] {
        let server = script().send("hello").pause(SHORT).send(" again").serve();
        let mut run = connect(format!("{option} {}", server.args())).start();
        run.wait().expect_success().expect_stdout("hello again");
        server.finish();
    }
}

#[test]
fn fd_passing_excludes_an_idle_timeout() {
    connect("-F --idle-timeout 5 host 22").run().expect_failure(2, &["-F", "--idle-timeout"]);
}

//! `--idle-timeout`: a session in which nothing moves is ended, and one in which anything moves is not.

use std::thread;
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// Long enough for a machine that is busy with other tests to get on with a session.
const LIMIT: Duration = Duration::from_secs(2);
/// More than everything on the way holds.
const TOO_MUCH: u64 = 20 * MIB;

fn limited(server: &Server) -> Program {
    connect(format!("--idle-timeout 2 {}", server.args()))
}

#[track_caller]
fn expect_ended(run: &mut Running, server: &Server) {
    let out = run.wait();
    let message = format!("session with {server} idle for 2 seconds");
    out.expect_failure(7, &[&message, "--idle-timeout"]);
    assert!(out.elapsed >= LIMIT, "{out:?}");
}

#[test]
fn a_session_in_which_nothing_moves_is_ended_and_the_remote_is_told_by_a_reset() {
    let server = script().send("hello").expect_reset().serve();
    let mut run = limited(&server).start();
    run.wait_stdout_has("hello");
    expect_ended(&mut run, &server);
    server.finish();
}

#[test]
fn through_a_proxy_the_message_names_the_proxy() {
    let proxy = socks5_none().send("hello").expect_reset().serve();
    let mut run = connect(format!("--idle-timeout 2 -S {proxy} example.org 22")).start();
    run.wait().expect_failure(7, &[&format!("session with SOCKS5 proxy {proxy} idle")]);
    proxy.finish();
}

#[test]
fn after_local_eof_the_remote_has_as_long_for_its_answer() {
    let server = script().expect_eof().pause(LIMIT / 2).send("late").hold().serve();
    let mut run = limited(&server).start();
    run.close_stdin();
    run.wait_stdout_has("late");
    expect_ended(&mut run, &server);
    server.finish();
}

/// Data is held, and nobody takes it.
#[test]
fn a_reader_that_is_stuck_is_idle() {
    let server = script().send_until_refused(4 * TIMEOUT).serve();
    let (output, end) = pipe();
    let mut run = limited(&server).stdout(end).start();
    expect_ended(&mut run, &server);
    drop(output);
    server.finish();
}

#[test]
fn a_remote_that_is_stuck_is_idle() {
    let server = script().small_window().hold().serve();
    let mut run = limited(&server).start();
    run.feed(data(2, TOO_MUCH));
    expect_ended(&mut run, &server);
    server.finish();
}

/// One byte in one direction, each time before the limit has passed, for longer than that.
#[test]
fn whatever_moves_in_one_direction_keeps_it_alive() {
    let down = script().send_slowly("12345678", 1, LIMIT / 3).serve();
    let mut run = limited(&down).start();
    run.wait().expect_success().expect_stdout("12345678");
    down.finish();

    let up = script().expect("12345678").expect_eof().serve();
    let mut run = limited(&up).start();
    for byte in "12345678".chars() {
        thread::sleep(LIMIT / 3);
        run.send(byte.to_string());
    }
    run.finish().expect_success();
    up.finish();
}

#[test]
fn a_reader_that_is_slow_is_not_idle() {
    const SIZE: u64 = 8 * MIB;
    let server = script().send_data(1, SIZE).serve();
    let (output, end) = pipe();
    let mut run = limited(&server).stdout(end).start();
    let mut digest = Digest::new();
    // For three times the limit in all.
    while copy(&mut std::io::Read::take(&output, SIZE / 10), &mut digest).unwrap() > 0 {
        thread::sleep(LIMIT * 3 / 10);
    }
    run.wait().expect_success();
    assert_eq!(digest, Digest::from_reader(data(1, SIZE)));
    server.finish();
}

#[test]
fn without_it_and_with_0_nothing_is_limited() {
    for words in ["", "--idle-timeout 0"] {
        let server = script().send("hello").pause(2 * LIMIT).send(" again").serve();
        let mut run = connect(format!("{words} {}", server.args())).start();
        run.wait().expect_success().expect_stdout("hello again");
        server.finish();
    }
}

#[test]
fn handing_over_excludes_it() {
    connect("-F --idle-timeout 5 host 22").run().expect_failure(2, &["-F", "--idle-timeout"]);
}

//! The ends of a session: EOF from either side, a reset, or a reader that goes away.

use std::io::{PipeWriter, Read};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SOON, connect};
use crate::kit::*;

#[test]
fn local_eof_half_closes_and_the_whole_answer_is_delivered() {
    let server = script().expect("request").expect_eof().send_data(1, MIB).serve();
    let out = connect(server.args()).input("request").run();
    out.expect_success().expect_stdout(bytes(1, 1 << 20));
    server.finish();
}

#[test]
fn remote_eof_ends_the_session_although_stdin_is_open() {
    let server = script().send_data(1, MIB).serve();
    let mut run = connect(server.args()).start();
    let out = run.wait();
    out.expect_success().expect_stdout(bytes(1, 1 << 20)).expect_within(SOON);
    server.finish();
}

#[test]
fn remote_eof_is_delivered_to_a_slow_reader() {
    let server = script().send_data(1, MIB).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, MIB)));
    run.wait().expect_success();
    server.finish();
}

/// Starts a run, suspends it with a signal, fills the pipe on its stdin, and opens the gate that
/// makes the remote send EOF. Returns the suspended run, the number of bytes in the pipe, and the
/// pipe's write end.
fn stopped_with_a_full_pipe(server: &Server, half_close: &Gate) -> (Running, u64, PipeWriter) {
    let (input, mut writer) = pipe();
    let run = connect(server.args()).stdin(input).start();
    run.wait_stdout_has("ready");
    run.signal(Signal::STOP);
    let filled = fill(&mut writer, 2, Duration::ZERO);
    half_close.open();
    wait_for_eof_from(server.port());
    (run, filled, writer)
}

/// Waits until the kernel has received the FIN of the server at this port.
#[cfg(target_os = "linux")]
fn wait_for_eof_from(port: u16) {
    const CLOSE_WAIT: &str = "08";
    let server = format!("0100007F:{port:04X}");
    let is_closing = |line: &str| line.split_whitespace().skip(2).take(2).eq([server.as_str(), CLOSE_WAIT]);
    crate::listening::eventually("EOF", || {
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(is_closing)
    });
}

#[cfg(not(target_os = "linux"))]
fn wait_for_eof_from(_: u16) {
    thread::sleep(Duration::from_millis(100));
}

#[test]
fn input_that_is_available_at_remote_eof_is_still_sent() {
    let gate = Gate::new();
    let server = script().send("ready").wait_for(&gate).half_close().sink().serve();
    let (mut run, filled, writer) = stopped_with_a_full_pipe(&server, &gate);
    run.signal(Signal::CONT);
    run.wait().expect_success().expect_stdout("ready");
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, filled))));
    drop(writer);
}

#[test]
fn input_that_is_available_at_remote_eof_is_sent_to_a_slow_remote() {
    let (half_close, release) = (Gate::new(), Gate::new());
    let server = script().small_window().wait_for(&half_close).half_close();
    let server = server.wait_for(&release).sink().serve();
    let (input, mut writer) = pipe();
    let mut run = connect(server.args()).stdin(input).start();
    // Fill the pipe and all other buffers on the path.
    let filled = fill(&mut writer, 2, Duration::from_millis(300));
    half_close.open();
    thread::sleep(Duration::from_millis(300));
    assert!(run.is_running(), "it did not wait for the remote to accept the rest");
    release.open();
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, filled))));
    drop(writer);
}

/// The remote closed cleanly, so the session succeeds even if the remote never reads the rest of
/// the input.
#[test]
fn input_that_the_remote_ignores_after_its_eof_is_no_error() {
    let gate = Gate::new();
    let server = script().send("ready").wait_for(&gate).close().serve();
    let (mut run, _, writer) = stopped_with_a_full_pipe(&server, &gate);
    run.signal(Signal::CONT);
    run.wait().expect_success().expect_stdout("ready");
    server.finish();
    drop(writer);
}

#[test]
fn a_reset_is_reported_after_the_data_before_it() {
    let read = Gate::new();
    let server = script().send_data(1, MIB).wait_for(&read).reset().serve();
    let mut run = connect(server.args()).start();
    // Wait for all the data, because a reset may discard data that the receiving kernel still
    // holds.
    run.wait_stdout(1 << 20);
    read.open();
    let out = run.wait();
    out.expect_failure(8, &["reset"]).expect_stdout(bytes(1, 1 << 20));
    server.finish();
}

#[test]
fn a_reset_after_local_eof_is_reported() {
    let server = script().expect_eof().reset().serve();
    connect(server.args()).run().expect_failure(8, &["reset"]);
    server.finish();
}

#[test]
fn a_reset_during_a_large_upload_is_reported() {
    let server = script().expect_bytes(1000).pause(Duration::from_millis(200)).reset().serve();
    let mut run = connect(server.args()).start();
    run.feed(data(2, 1000 * MIB));
    run.wait().expect_failure(8, &[]);
    server.finish();
}

/// The kernel reports a reset only once. If a write to the remote received that report, the next
/// read returned EOF, and the session used to look successful.
#[test]
fn a_reset_reported_to_the_upload_was_taken_for_eof() {
    let sent = Gate::new();
    // Nothing reads stdout, so the download has not reached the reset yet.
    let server = script().fill().reset().open(&sent).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    sent.wait();
    run.send("into the reset");
    thread::sleep(Duration::from_millis(200));
    Digest::from_reader(output);
    run.wait().expect_failure(8, &["reset", "data may be missing"]);
    server.finish();
}

/// Closes the read end of stdout, calls `then`, and expects the run to end soon, silently, and with
/// exit code 8.
#[track_caller]
pub(super) fn reader_goes_away(mut run: Running, output: impl Read, then: impl FnOnce()) {
    drop(output);
    let start = Instant::now();
    then();
    let out = run.wait();
    out.expect_code(8).expect_stderr("");
    assert!(start.elapsed() < SOON, "{out:?}\n  expected: within {SOON:?} after the reader left");
}

#[test]
fn a_vanished_reader_ends_the_session_silently() {
    let gone = Gate::new();
    let server = script().send("x").wait_for(&gone).send_until_refused(2 * SOON).serve();
    let (mut output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || gone.open());
    server.finish();
}

#[test]
fn a_vanished_reader_is_noticed_while_the_remote_is_silent() {
    let server = script().send("x").hold().serve();
    let (mut output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || ());
    server.finish();
}

#[test]
fn a_vanished_reader_is_noticed_with_a_full_pipe() {
    let server = script().send_until_refused(2 * SOON).serve();
    let (mut output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    thread::sleep(Duration::from_millis(300));
    reader_goes_away(run, output, || ());
    server.finish();
}

/// The remote reads more slowly than the input arrives, so there is always more to upload.
#[test]
fn a_vanished_reader_is_noticed_during_a_large_upload() {
    let server = script().send("x").then("read slowly until it breaks", |session| {
        while !session.receive_or_reset(64 * 1024)?.is_empty() {
            session.record().received.clear();
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    let server = server.serve();
    let (mut output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).limit(3 * SOON).start();
    run.feed(std::io::repeat(b'.'));
    output.read_exact(&mut [0]).unwrap();
    thread::sleep(Duration::from_millis(200));
    reader_goes_away(run, output, || ());
    server.finish();
}

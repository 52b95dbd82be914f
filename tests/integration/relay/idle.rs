//! A session with nothing to do uses no processor, whatever state its streams are in. What spins
//! in a poll loop: a condition that stays, such as POLLHUP, and that nobody acts on.

use std::thread;
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// How long it is idle.
const IDLE: Duration = Duration::from_secs(1);

/// What a whole run may use, its start included; a loop that spins uses all of `IDLE`.
const LITTLE: Duration = Duration::from_millis(50);

/// More than the socket buffers on the way take.
const TOO_MUCH: u64 = 10 * MIB;

/// More than a pipe takes, little enough that the end of the stream behind it arrives as well.
const SOME: u64 = 100_000;

#[test]
fn both_ways_open() {
    let server = script().send("hello").hold().serve();
    let run = connect(server.args()).start();
    run.wait_stdout_has("hello");
    thread::sleep(IDLE);
    server.finish();
    run.finish().expect_success().expect_cpu_below(LITTLE);
}

#[test]
fn both_ways_open_and_non_blocking() {
    let ((input, writer), (output, end)) = (pipe(), pipe());
    set_nonblocking(&input, true);
    set_nonblocking(&end, true);
    let server = script().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(input).stdout(end).start();
    run.wait().expect_success().expect_cpu_below(LITTLE);
    server.finish();
    drop((writer, output));
}

/// A pipe whose writer has gone reports POLLHUP and nothing else, for ever.
#[test]
fn local_eof_and_a_silent_remote() {
    let server = script().expect_eof().pause(IDLE).send("late").serve();
    let out = connect(server.args()).run();
    out.expect_success().expect_stdout("late").expect_cpu_below(LITTLE);
    server.finish();
}

#[test]
fn local_eof_of_a_socket_and_a_silent_remote() {
    let (input, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = script().expect("ping").expect_eof().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(input).start();
    std::io::Write::write_all(&mut &writer, b"ping").unwrap();
    drop(writer);
    run.wait().expect_success().expect_cpu_below(LITTLE);
    server.finish();
}

#[test]
fn a_terminal_that_hung_up_and_a_silent_remote() {
    let pty = Pty::raw();
    let server = script().send("hello").expect_eof().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(pty.slave()).start();
    run.wait_stdout_has("hello");
    drop(pty);
    run.wait().expect_success().expect_cpu_below(LITTLE);
    server.finish();
}

/// The pipe reports POLLHUP, and that there is something to read, for as long as nobody may read it.
#[test]
fn a_remote_that_takes_nothing_and_a_writer_that_went_away() {
    let release = Gate::new();
    let server = script().small_window().wait_for(&release).sink().serve();
    let (input, mut writer) = pipe();
    let mut run = connect(server.args()).stdin(input).start();
    // Everything on the way to the remote is full when the writer goes away.
    let sent = fill(&mut writer, 2, IDLE / 3);
    drop(writer);
    thread::sleep(IDLE);
    assert!(run.is_running(), "{sent} bytes were too few to keep it busy");
    release.open();
    run.wait().expect_success().expect_cpu_below(LITTLE);
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, sent))));
}

#[test]
fn a_remote_that_half_closed_and_takes_nothing() {
    let (half_close, release) = (Gate::new(), Gate::new());
    let server = script().small_window().wait_for(&half_close).half_close();
    let server = server.wait_for(&release).sink().serve();
    let (input, mut writer) = pipe();
    let mut run = connect(server.args()).stdin(input).start();
    let filled = fill(&mut writer, 2, IDLE / 3);
    half_close.open();
    thread::sleep(IDLE);
    assert!(run.is_running(), "{filled} bytes were too few to keep it busy");
    release.open();
    run.wait().expect_success().expect_cpu_below(LITTLE);
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, filled))));
    drop(writer);
}

/// A run whose reader is stuck while `server` sends; then the rest is read.
fn with_a_stuck_reader(server: Server, close_stdin: bool) -> (Outcome, Digest) {
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    if close_stdin {
        run.close_stdin();
    }
    thread::sleep(IDLE);
    let got = Digest::from_reader(output);
    let out = run.wait();
    server.finish();
    (out, got)
}

#[test]
fn a_reader_that_is_stuck() {
    let (out, got) = with_a_stuck_reader(script().send_data(1, TOO_MUCH).serve(), false);
    assert_eq!(got, Digest::from_reader(data(1, TOO_MUCH)));
    out.expect_success().expect_cpu_below(LITTLE);
}

#[test]
fn a_reader_that_is_stuck_after_local_eof() {
    let server = script().expect_eof().send_data(1, TOO_MUCH).serve();
    let (out, got) = with_a_stuck_reader(server, true);
    assert_eq!(got, Digest::from_reader(data(1, TOO_MUCH)));
    out.expect_success().expect_cpu_below(LITTLE);
}

/// The remote has ended: its socket reports that for as long as the rest waits for the reader.
#[test]
fn a_reader_that_is_stuck_after_remote_eof() {
    let (out, got) = with_a_stuck_reader(script().send_data(1, SOME).serve(), false);
    assert_eq!(got, Digest::from_reader(data(1, SOME)));
    out.expect_success().expect_cpu_below(LITTLE);
}

#[test]
fn a_reader_that_is_stuck_after_both_have_ended() {
    let server = script().expect_eof().send_data(1, SOME).serve();
    let (out, got) = with_a_stuck_reader(server, true);
    assert_eq!(got, Digest::from_reader(data(1, SOME)));
    out.expect_success().expect_cpu_below(LITTLE);
}

/// What was read before the reset is still written; the rest the system may have discarded.
#[test]
fn a_reader_that_is_stuck_after_a_reset() {
    let server = script().send_data(1, MIB).pause(IDLE / 3).reset().serve();
    let (out, got) = with_a_stuck_reader(server, false);
    assert!(got.len >= 64 * 1024, "{got:?}, and a pipe alone holds 64 KiB");
    out.expect_failure(8, &["reset"]).expect_cpu_below(LITTLE);
}

#[test]
fn a_terminal_with_nothing_to_read() {
    let pty = Pty::raw();
    let server = script().pause(IDLE).serve();
    let mut run = connect(server.args()).stdin(pty.slave()).stdout(pty.slave()).start();
    run.wait().expect_success().expect_cpu_below(LITTLE);
    server.finish();
}

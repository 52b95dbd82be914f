//! How a session ends: by either side's end of stream, a reset, a reader that went away.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SOON, connect, stopped_with_a_full_pipe};
use crate::kit::*;

#[test]
fn local_eof_half_closes_and_the_whole_answer_is_delivered() {
    let server = script().expect("request").expect_eof().send_data(1, MIB).serve();
    let out = connect(server.args()).input("request").run();
    out.expect_success().expect_stdout(bytes(1, 1 << 20));
    server.finish();
}

#[test]
fn local_eof_half_closes_through_a_proxy_as_well() {
    let target = script().expect("request").expect_eof().send_data(1, MIB).serve();
    let proxy = socks5_none().relay().serve();
    let out = connect(format!("-S {proxy} {}", target.args())).input("request").run();
    out.expect_success().expect_stdout(bytes(1, 1 << 20));
    proxy.finish();
    target.finish();
}

#[test]
fn an_answer_long_after_local_eof_is_waited_for() {
    let server = script().expect_eof().pause(Duration::from_secs(1)).send("late").serve();
    connect(server.args()).run().expect_success().expect_stdout("late");
    server.finish();
}

/// Whoever closes its end early gets its answer, although the remote takes a half-close for the end of all.
#[test]
fn local_eof_is_not_passed_on_where_it_is_not_wanted() {
    let silence = Duration::from_millis(500);
    for input in ["", "request"] {
        let server = script().expect(input).expect_silence(silence).send_data(1, MIB).serve();
        let out = connect(format!("--no-shutdown {}", server.args())).input(input).run();
        out.expect_success().expect_stdout(bytes(1, 1 << 20));
        server.finish();
    }
}

/// Who has closed both ends has what it wanted.
#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_went_away_ends_well_where_local_eof_is_not_passed_on() {
    let server = script().expect("request").send("answer").expect_disconnect().serve();
    let (mut output, end) = pipe();
    let mut run = connect(format!("--no-shutdown {}", server.args())).input("request").stdout(end).start();
    let mut answer = [0; 6];
    output.read_exact(&mut answer).unwrap();
    drop(output);
    run.wait().expect_success().expect_stderr("");
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
fn a_half_close_by_the_remote_ends_the_session_too() {
    let server = script().send("bye").half_close().hold().serve();
    let mut run = connect(server.args()).start();
    run.wait().expect_success().expect_stdout("bye").expect_within(SOON);
    server.finish();
}

#[test]
fn remote_eof_is_delivered_to_a_slow_reader() {
    let server = script().send_data(1, MIB).serve();
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(Digest::from_reader(output), Digest::from_reader(data(1, MIB)));
    run.wait().expect_success();
    server.finish();
}

#[test]
fn what_stands_in_the_pipe_still_goes_out_after_remote_eof() {
    let gate = Gate::new();
    let server = script().send("ready").wait_for(&gate).half_close().sink().serve();
    let (mut run, filled, writer) = stopped_with_a_full_pipe(&server, &gate);
    run.signal(Signal::CONT);
    run.wait().expect_success().expect_stdout("ready");
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, filled))));
    drop(writer);
}

#[test]
fn what_stands_in_the_pipe_goes_out_to_a_remote_that_takes_it_later() {
    let (half_close, release) = (Gate::new(), Gate::new());
    let server = script().small_window().wait_for(&half_close).half_close();
    let server = server.wait_for(&release).sink().serve();
    let (input, mut writer) = pipe();
    let mut run = connect(server.args()).stdin(input).start();
    // Until everything on the way is full, too.
    let filled = fill(&mut writer, 2, Duration::from_millis(300));
    half_close.open();
    thread::sleep(Duration::from_millis(500));
    assert!(run.is_running(), "it did not wait for the remote to take the rest");
    release.open();
    run.wait().expect_success();
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, filled))));
    drop(writer);
}

/// The remote has closed for good: that it does not take the rest is no failure of the session.
#[test]
fn what_the_remote_no_longer_takes_after_its_eof_is_no_error() {
    let gate = Gate::new();
    let server = script().send("ready").wait_for(&gate).close().serve();
    let (mut run, _, writer) = stopped_with_a_full_pipe(&server, &gate);
    run.signal(Signal::CONT);
    run.wait().expect_success().expect_stdout("ready");
    server.finish();
    drop(writer);
}

#[test]
fn a_reset_is_reported_after_what_came_before_it() {
    let read = Gate::new();
    let server = script().send_data(1, MIB).wait_for(&read).reset().serve();
    let mut run = connect(server.args()).start();
    // A reset may discard what the receiving system still holds, so it waits for the reader.
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
fn a_reset_through_a_proxy_is_reported() {
    let read = Gate::new();
    let proxy = socks5_none().send("banner").wait_for(&read).reset().serve();
    let mut run = connect(format!("-S {proxy} example.org 22")).start();
    run.wait_stdout_has("banner");
    read.open();
    run.wait().expect_failure(8, &["reset"]).expect_stdout("banner");
    proxy.finish();
}

#[test]
fn a_reset_while_much_is_being_sent_is_reported() {
    let server = script().expect_bytes(1000).pause(Duration::from_millis(500)).reset().serve();
    let mut run = connect(server.args()).start();
    run.feed(data(2, 1000 * MIB));
    run.wait().expect_failure(8, &[]);
    server.finish();
}

/// Closes the read end of stdout; the run has to end soon, quietly, with the exit code for it.
#[track_caller]
fn reader_goes_away(mut run: Running, output: impl Read, then: impl FnOnce()) {
    drop(output);
    let start = Instant::now();
    then();
    let out = run.wait();
    out.expect_code(8).expect_stderr("");
    assert!(start.elapsed() < SOON, "{out:?}\n  expected: within {SOON:?} of the reader's end");
}

#[test]
fn a_reader_that_went_away_ends_the_session_quietly() {
    let gone = Gate::new();
    let server = script().send("x").wait_for(&gone).send_until_refused(2 * SOON).serve();
    let (mut output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || gone.open());
    server.finish();
}

#[test]
fn a_reader_that_went_away_is_noticed_while_the_remote_is_silent() {
    let server = script().send("x").hold().serve();
    let (mut output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || ());
    server.finish();
}

#[test]
fn a_reader_that_went_away_is_noticed_after_local_eof() {
    let server = script().expect_eof().send("x").hold().serve();
    let (mut output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.close_stdin();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || ());
    server.finish();
}

#[test]
fn a_reader_that_went_away_is_noticed_with_a_full_pipe() {
    let server = script().send_until_refused(3 * SOON).serve();
    let (mut output, end) = pipe();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    thread::sleep(Duration::from_millis(500));
    reader_goes_away(run, output, || ());
    server.finish();
}

/// The remote takes what is sent, slower than it comes: there is no idle moment.
#[test]
fn a_reader_that_went_away_is_noticed_while_much_is_being_sent() {
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

#[test]
fn a_reader_that_went_away_is_noticed_while_the_remote_takes_nothing() {
    let server = script().send("x").hold().serve();
    let (mut output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(std::io::repeat(b'.'));
    output.read_exact(&mut [0]).unwrap();
    thread::sleep(Duration::from_millis(200));
    reader_goes_away(run, output, || ());
    server.finish();
}

#[test]
fn a_reader_that_went_away_from_a_socket_ends_the_session_quietly() {
    use std::os::unix::net::UnixStream;
    let gone = Gate::new();
    let server = script().send("x").wait_for(&gone).send_until_refused(2 * SOON).serve();
    let (mut output, end) = UnixStream::pair().unwrap();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || gone.open());
    server.finish();
}

/// The system tells of a reset once. Told to who wrote, it looked like an end to who read, and the session like a
/// success.
#[test]
fn a_reset_that_the_writing_direction_was_told_of_was_taken_for_the_end() {
    let sent = Gate::new();
    // The reader is stuck: the end of what has come is not yet seen.
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

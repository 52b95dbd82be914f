//! An idle session uses no CPU time, regardless of the state of its streams. A poll loop spins if a
//! condition such as `POLLHUP` persists and nothing handles it.

use std::thread;
use std::time::Duration;

use super::connect;
use crate::kit::*;

/// Time that each session is idle.
const IDLE: Duration = Duration::from_millis(500);

/// Maximum CPU time of a whole run, including startup. A busy loop would use all of `IDLE`.
const CPU_LIMIT: Duration = Duration::from_millis(50);

/// More than the socket buffers on the path can hold.
const MORE_THAN_BUFFERS: u64 = 10 * MIB;

/// More than a pipe can hold, but little enough for the EOF after it to reach the program.
const MORE_THAN_A_PIPE: u64 = 100_000;

#[test]
fn both_directions_open() {
    let server = script().send("hello").hold().serve();
    let run = connect(server.args()).start();
    run.wait_stdout_has("hello");
    thread::sleep(IDLE);
    server.finish();
    run.finish().expect_success().expect_cpu_below(CPU_LIMIT);
}

/// A pipe whose writer is gone reports `POLLHUP` and nothing else, forever.
#[test]
fn local_eof_and_a_silent_remote() {
    let server = script().expect_eof().pause(IDLE).send("late").serve();
    let out = connect(server.args()).run();
    out.expect_success().expect_stdout("late").expect_cpu_below(CPU_LIMIT);
    server.finish();
}

/// The pipe keeps reporting `POLLHUP` and `POLLIN` while the program has no room for more input.
#[test]
fn a_stuck_remote_and_a_vanished_writer() {
    let release = Gate::new();
    let server = script().small_window().wait_for(&release).sink().serve();
    let (input, mut writer) = pipe();
    let mut run = connect(server.args()).stdin(input).start();
    // Close the pipe once all buffers on the path to the remote are full.
    let sent = fill(&mut writer, 2, IDLE / 2);
    drop(writer);
    thread::sleep(IDLE);
    assert!(run.is_running(), "{sent} bytes were too few to keep it busy");
    release.open();
    run.wait().expect_success().expect_cpu_below(CPU_LIMIT);
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, sent))));
}

#[test]
fn a_stuck_remote_that_half_closed() {
    let (half_close, release) = (Gate::new(), Gate::new());
    let server = script().small_window().wait_for(&half_close).half_close();
    let server = server.wait_for(&release).sink().serve();
    let (input, mut writer) = pipe();
    let mut run = connect(server.args()).stdin(input).start();
    let filled = fill(&mut writer, 2, IDLE / 2);
    half_close.open();
    thread::sleep(IDLE);
    assert!(run.is_running(), "{filled} bytes were too few to keep it busy");
    release.open();
    run.wait().expect_success().expect_cpu_below(CPU_LIMIT);
    assert_eq!(server.finish_one().digest, Some(Digest::from_reader(data(2, filled))));
    drop(writer);
}

/// Runs a session in which nothing reads stdout for a while. Then reads all of the output.
fn run_with_a_stuck_reader(server: Server, close_stdin: bool) -> (Outcome, Digest) {
    let (output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    if close_stdin {
        run.close_stdin();
    }
    thread::sleep(IDLE);
    let received = Digest::from_reader(output);
    let out = run.wait();
    server.finish();
    (out, received)
}

#[test]
fn a_stuck_reader() {
    let (out, received) = run_with_a_stuck_reader(script().send_data(1, MORE_THAN_BUFFERS).serve(), false);
    assert_eq!(received, Digest::from_reader(data(1, MORE_THAN_BUFFERS)));
    out.expect_success().expect_cpu_below(CPU_LIMIT);
}

#[test]
fn a_stuck_reader_after_local_eof() {
    let server = script().expect_eof().send_data(1, MORE_THAN_BUFFERS).serve();
    let (out, received) = run_with_a_stuck_reader(server, true);
    assert_eq!(received, Digest::from_reader(data(1, MORE_THAN_BUFFERS)));
    out.expect_success().expect_cpu_below(CPU_LIMIT);
}

/// The remote's socket reports EOF while the rest of the data waits for the reader.
#[test]
fn a_stuck_reader_after_remote_eof() {
    let (out, received) = run_with_a_stuck_reader(script().send_data(1, MORE_THAN_A_PIPE).serve(), false);
    assert_eq!(received, Digest::from_reader(data(1, MORE_THAN_A_PIPE)));
    out.expect_success().expect_cpu_below(CPU_LIMIT);
}

#[test]
fn a_stuck_reader_after_eof_in_both_directions() {
    let server = script().expect_eof().send_data(1, MORE_THAN_A_PIPE).serve();
    let (out, received) = run_with_a_stuck_reader(server, true);
    assert_eq!(received, Digest::from_reader(data(1, MORE_THAN_A_PIPE)));
    out.expect_success().expect_cpu_below(CPU_LIMIT);
}

/// Data that the program read before the reset is still written. The kernel may have discarded the
/// rest.
#[test]
fn a_stuck_reader_after_a_reset() {
    let server = script().send_data(1, MIB).pause(IDLE / 3).reset().serve();
    let (out, received) = run_with_a_stuck_reader(server, false);
    assert!(received.len >= 64 * 1024, "{received:?}, and a pipe alone holds 64 KiB");
    out.expect_failure(8, &["reset"]).expect_cpu_below(CPU_LIMIT);
}

//! Rules about the end of a session that do not depend on how bytes are moved.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use super::ending::reader_goes_away;
use super::{SOON, connect};
use crate::kit::*;

#[test]
fn an_answer_long_after_local_eof_is_delivered() {
    let server = script().expect_eof().pause(Duration::from_millis(300)).send("late").serve();
    connect(server.args()).run().expect_success().expect_stdout("late");
    server.finish();
}

#[test]
fn a_half_close_by_the_remote_ends_the_session() {
    let server = script().send("bye").half_close().hold().serve();
    let mut run = connect(server.args()).start();
    run.wait().expect_success().expect_stdout("bye").expect_within(SOON);
    server.finish();
}

/// Some remotes treat a half-close as the end of the session.
#[test]
fn with_no_shutdown_local_eof_is_not_passed_on() {
    let silence = Duration::from_millis(200);
    for input in ["", "request"] {
        let server = script().expect(input).expect_silence(silence).send_data(1, MIB).serve();
        let out = connect(format!("--no-shutdown {}", server.args())).input(input).run();
        out.expect_success().expect_stdout(bytes(1, 1 << 20));
        server.finish();
    }
}

/// With stdin at EOF and stdout closed, there is nothing left to do.
#[cfg(target_os = "linux")]
#[test]
fn with_no_shutdown_a_vanished_reader_after_local_eof_is_a_success() {
    let go = Gate::new();
    let server = script().expect("request").wait_for(&go).send("answer").expect_disconnect().serve();
    let (mut output, end) = pipe();
    let mut run = connect(format!("-d --no-shutdown {}", server.args())).stdout(end).start();
    run.send("request");
    run.close_stdin();
    // The answer must not overtake the EOF.
    run.wait_stderr_has("local input is EOF");
    go.open();
    let mut answer = [0; 6];
    output.read_exact(&mut answer).unwrap();
    drop(output);
    run.wait().expect_code(0);
    server.finish();
}

#[test]
fn a_vanished_reader_is_noticed_after_local_eof() {
    let server = script().expect_eof().send("x").hold().serve();
    let (mut output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.close_stdin();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || ());
    server.finish();
}

#[test]
fn a_vanished_reader_is_noticed_while_the_remote_is_stuck() {
    let server = script().send("x").hold().serve();
    let (mut output, end) = pipe();
    let mut run = connect(server.args()).stdout(end).start();
    run.feed(std::io::repeat(b'.'));
    output.read_exact(&mut [0]).unwrap();
    thread::sleep(Duration::from_millis(200));
    reader_goes_away(run, output, || ());
    server.finish();
}

/// Output to an inherited socket is always copied, never spliced.
#[test]
fn a_vanished_reader_of_a_socket_ends_the_session_silently() {
    let gone = Gate::new();
    let server = script().send("x").wait_for(&gone).send_until_refused(2 * SOON).serve();
    let (mut output, end) = UnixStream::pair().unwrap();
    let run = connect(server.args()).stdout(end).start();
    output.read_exact(&mut [0]).unwrap();
    reader_goes_away(run, output, || gone.open());
    server.finish();
}

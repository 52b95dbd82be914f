//! Windows pipes and handles. A shell outside wine can only provide Unix pipes and descriptors.

use std::time::Duration;

use crate::kit::*;
use crate::launched;

const LIMIT: Duration = Duration::from_secs(20);

/// Runs the program with an open stdin on which no data arrives.
fn run(mode: &str, target: &Server) -> Outcome {
    launched(mode, target.args()).limit(LIMIT).start().wait()
}

#[test]
fn the_end_of_a_windows_pipe_half_closes_the_connection() {
    let target = script().expect("to the end").expect_eof().send("seen").serve();
    launched("pipes", target.args()).input("to the end").run().expect_success().expect_stdout("seen");
    target.finish();
}

#[test]
fn the_target_ends_the_session_although_a_windows_pipe_is_open() {
    let target = script().send("hello").serve();
    run("pipes", &target).expect_success().expect_stdout("hello");
    target.finish();
}

#[test]
fn a_reader_that_exits_mid_session_ends_it_silently() {
    let target = script().send_until_refused(LIMIT).serve();
    run("gone", &target).expect_code(8).expect_stderr("");
    target.finish();
}

/// The relay has handed all data to the writing thread before that thread learns that the reader is
/// gone.
#[test]
fn a_reader_that_exits_at_once_ends_the_session_silently() {
    let target = script().send("hello").serve();
    run("deaf", &target).expect_code(8).expect_stderr("");
    target.finish();
}

#[test]
fn a_missing_stdin_is_at_eof() {
    for mode in ["null-in", "invalid-in"] {
        let target = script().expect_eof().send("seen").serve();
        run(mode, &target).expect_success().expect_stdout("seen");
        target.finish();
    }
}

#[test]
fn a_missing_stdout_is_reported() {
    for mode in ["null-out", "invalid-out"] {
        let target = script().send("hello").serve();
        run(mode, &target).expect_failure(8, &["standard output"]).expect_stdout("");
        target.finish();
    }
}

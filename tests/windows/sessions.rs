//! Short sessions, with the pipes that a Unix shell provides.

use std::time::Duration;

use crate::kit::*;

/// Bytes that text mode would change (line endings, and Ctrl-Z, which ends a text file), plus NUL
/// and 0xFF.
pub(crate) const TEXT_MODE_BYTES: &[u8] = b"\n\r\r\n\x1a\0\xff\n";

#[test]
fn bytes_are_relayed_to_the_target_and_back() {
    let target = script().echo().serve();
    connect(target.args()).input("ping").run().expect_success().expect_stdout("ping");
    target.finish();
}

#[test]
fn bytes_that_text_mode_would_change_are_relayed_unchanged() {
    let target = script().echo().serve();
    let mut sent = TEXT_MODE_BYTES.to_vec();
    sent.extend(bytes(1, 4096));
    connect(target.args()).input(sent.clone()).run().expect_success().expect_stdout(sent);
    target.finish();
}

/// The target answers only after it has seen EOF.
#[test]
fn the_end_of_stdin_half_closes_the_connection() {
    let target = script().expect("to the end").expect_eof().send("seen").serve();
    connect(target.args()).input("to the end").run().expect_success().expect_stdout("seen");
    target.finish();
}

#[test]
fn the_target_ends_the_session_although_stdin_is_open() {
    let target = script().send("hello").serve();
    let mut run = connect(target.args()).limit(Duration::from_secs(20)).start();
    run.wait().expect_success().expect_stdout("hello");
    target.finish();
}

#[test]
fn stdin_can_be_a_file() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/windows/launch.c");
    let target = script().echo().serve();
    let out = connect(target.args()).stdin(std::fs::File::open(source).unwrap()).run();
    out.expect_success().expect_stdout(std::fs::read(source).unwrap());
    target.finish();
}

/// Only the thread that writes stdout knows why the write failed. The relay must report that reason
/// instead of ending silently, as it does when the reader exits.
#[test]
fn a_full_disk_is_reported() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let target = script().send_until_refused(TIMEOUT).serve();
    let out = connect(target.args()).stdout(full).start().wait();
    out.expect_failure(8, &["standard output"]);
    let text = out.stderr_text().to_lowercase();
    let causes = ["disk full", "no space", "not enough space"];
    assert!(causes.iter().any(|cause| text.contains(cause)), "{out:?}");
    target.finish();
}

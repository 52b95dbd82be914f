//! The version, and failures with various exit codes.

use crate::kit::*;

/// Scripts read this line, so it must end with LF alone, as on every other system.
#[test]
fn the_version_is_one_line_without_a_carriage_return() {
    let out = connect("--version").run();
    out.expect_success();
    let text = out.stdout_text();
    let version = text.strip_prefix("connect ").and_then(|rest| rest.strip_suffix('\n'));
    let is_version =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
    assert!(version.is_some_and(is_version), "{out:?}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    connect("-S").run().expect_failure(2, &["-S"]).expect_stdout("");
}

#[test]
fn an_unknown_name_is_exit_code_3() {
    connect("nowhere.invalid 22").run().expect_failure(3, &["nowhere.invalid"]).expect_stdout("");
}

#[test]
fn a_refused_connection_is_exit_code_4() {
    let refusing = RefusingPort::new();
    let out = connect(format!("127.0.0.1 {}", refusing.port())).run();
    out.expect_failure(4, &["refused"]).expect_stdout("");
}

#[test]
fn a_proxy_that_refuses_is_exit_code_5() {
    let proxy = socks5_refused(5).serve();
    let out = connect(format!("-S {proxy} 127.0.0.1 22")).run();
    out.expect_failure(5, &["refused"]).expect_stdout("");
    proxy.finish();
}

#[test]
fn a_timeout_is_exit_code_7() {
    let proxy = script().drain().serve();
    let out = connect(format!("-w 1 -S {proxy} 127.0.0.1 22")).run();
    out.expect_failure(7, &["timed out"]).expect_stdout("");
    proxy.finish();
}

#[test]
fn a_unix_domain_socket_is_exit_code_4() {
    connect("unix:/nowhere").run().expect_failure(4, &["not supported"]).expect_stdout("");
}

//! Sessions of a program that was started with descriptor 0, 1 or 2 closed, as happens under some
//! daemons and shells.

use super::{SOON, connect};
use crate::kit::*;

#[test]
fn a_closed_stdin_is_at_eof() {
    let server = script().expect_eof().send("still delivered").serve();
    let out = connect(server.args()).stdin(Io::Closed).run();
    out.expect_success().expect_stdout("still delivered");
    server.finish();
}

#[test]
fn a_closed_stdout_is_an_error_once_there_is_something_to_write() {
    let server = script().expect("ping").send("pong").serve();
    let mut run = connect(server.args()).stdout(Io::Closed).start();
    run.send("ping");
    run.wait().expect_failure(8, &[]).expect_within(SOON);
    server.finish();
}

#[test]
fn a_closed_stdout_is_no_error_without_output() {
    let server = script().expect("ping").expect_eof().serve();
    connect(server.args()).stdout(Io::Closed).input("ping").run().expect_success();
    server.finish();
}

#[test]
fn with_stderr_closed_no_debug_output_gets_into_the_tunnel() {
    let server = script().expect("ping").expect_eof().send("pong").serve();
    let out = connect(format!("-d {}", server.args())).stderr(Io::Closed).input("ping").run();
    out.expect_code(0).expect_stdout("pong");
    server.finish();
}

#[test]
fn a_failure_with_stderr_closed_still_has_its_exit_code() {
    let port = RefusingPort::new();
    let args = format!("127.0.0.1 {}", port.port());
    connect(args).stderr(Io::Closed).run().expect_code(4).expect_stdout("");
}

/// Runs a session with `-d` for each combination of closed descriptors. Even if a socket is given
/// the number of a closed descriptor, only the session's own bytes may go through the tunnel.
fn all_combinations(through: impl Fn(Script) -> (Vec<Server>, String)) {
    for closed in 0..8 {
        let [stdin, stdout, stderr] = [1, 2, 4].map(|bit| closed & bit != 0);
        // If stdout is closed, an answer causes an error, which another test covers.
        let answer = if stdout { "" } else { "pong" };
        let ping = if stdin { "" } else { "ping" };
        let target = script().expect(ping).expect_eof().send(answer);
        let (servers, args) = through(target);

        let mut run = connect(format!("-d {args}"));
        if !stdin {
            run = run.input(ping);
        }
        for (close, set) in [
            (stdin, Program::stdin as fn(Program, Io) -> Program),
            (stdout, Program::stdout),
            (stderr, Program::stderr),
        ] {
            if close {
                run = set(run, Io::Closed);
            }
        }
        let out = run.run();
        println!("closed: {closed:03b}, {out:?}");
        out.expect_code(0).expect_stdout(answer);
        if !stderr {
            out.expect_stderr_has("DEBUG: ");
        }
        for server in servers {
            server.finish();
        }
    }
}

#[test]
fn all_combinations_of_closed_descriptors_keep_the_tunnel_clean() {
    all_combinations(|target| {
        let server = target.serve();
        let args = server.args();
        (vec![server], args)
    });
}

#[test]
fn all_combinations_of_closed_descriptors_keep_a_tunnel_through_a_proxy_clean() {
    all_combinations(|target| {
        let proxy = socks5_none().followed_by(target).serve();
        let args = format!("-S {proxy} example.org 22");
        (vec![proxy], args)
    });
}

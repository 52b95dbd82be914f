//! Signals that end the program before the tunnel is established: ssh sends SIGHUP once its
//! `ConnectTimeout` has passed.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::kit::*;
use crate::listening::eventually;
use crate::waiting::{AtTerminal, Screen, silent_name_server};

/// Returns `true` if the program catches this signal.
pub(crate) fn catches(run: &Running, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught & 1 << (signal.as_raw() - 1) != 0
}

/// Sends a signal once the program reports it, and returns the message. The program must die by the
/// signal.
#[track_caller]
fn ended_by(run: &mut Running, signal: Signal) -> String {
    eventually("the signal handler", || catches(run, signal));
    run.signal(signal);
    let out = run.wait();
    assert_eq!((out.code, out.signal), (None, Some(signal.as_raw())), "{out:?}");
    out.stderr_text()
}

/// A program that waits, and what the report must contain.
type Case = (Program, String);

/// ssh only said that the banner exchange timed out.
#[test]
fn ssh_gave_up_first_and_nobody_said_what_was_waited_for() {
    let silent_port = SilentPort::new();
    let (at_port, address) = (silent_port.port(), format!("127.0.0.1:{}", silent_port.port()));
    let proxy = Server::repeat(|| http_request().expect_disconnect());
    let socks = Server::repeat(|| script().expect([5, 1, 0]).expect_disconnect());
    let asker = Server::repeat(|| script().expect_bytes(4).send([5, 2]).expect_disconnect());
    let home = crate::rcfile::home("Match exec \"sleep 30\"\nSOCKS5_AUTH = none\n");
    let mut cases: Vec<Case> = vec![
        (connect(format!("127.0.0.1 {at_port}")), format!("{address} (connection)")),
        (connect(format!("-H {address} host.example 22")), format!("HTTP proxy {address} (connection)")),
        (
            connect(format!("-H {proxy} host.example 22")),
            format!("HTTP proxy {proxy} (the response to CONNECT)"),
        ),
        (
            connect(format!("-q -S {socks} host.example 22")),
            format!("SOCKS5 proxy {socks} (the reply to the SOCKS5 greeting)"),
        ),
        (connect(format!("-S {socks} host.example 22")).env("HOME", &*home), "a Match exec command".into()),
        (
            connect("--password-command")
                .arg("exec sleep 30")
                .env("SHELL", "/bin/sh")
                .args(format!("-S me@{asker} host.example 22")),
            format!("the password for SOCKS5 proxy {asker}"),
        ),
    ];
    let (tcp, udp) = silent_name_server();
    if cfg!(feature = "dns") {
        let server = udp.local_addr().unwrap();
        let program = connect(format!("-R {server} host.example 22"));
        cases.push((program, "host.example:22 (name resolution)".into()));
    }
    let no_tls = Server::repeat(|| script().drain());
    if cfg!(feature = "tls") {
        let program = connect(format!("-H https://{no_tls} host.example 22"));
        cases.push((program, format!("HTTP proxy {no_tls} (its TLS handshake)")));
    }
    std::thread::scope(|scope| {
        for ((program, what), signal) in
            cases.into_iter().zip([Signal::HUP, Signal::TERM, Signal::INT].into_iter().cycle())
        {
            scope.spawn(move || {
                let mut run = program.start();
                let text = ended_by(&mut run, signal);
                let name = ["SIGHUP", "SIGINT", "SIGTERM"]
                    [usize::from(signal == Signal::INT) + 2 * usize::from(signal == Signal::TERM)];
                assert_eq!(text.lines().count(), 1, "{text:?}");
                assert!(text.starts_with(&format!("connect: ended by {name} ")), "{text:?}");
                assert!(text.contains(&format!(" while waiting for {what}")), "{what}: {text:?}");
                assert_eq!(text.contains("ConnectTimeout"), signal != Signal::INT, "{text:?}");
            });
        }
    });
    drop((tcp, udp));
}

/// Nothing but SIGKILL ended it.
#[cfg(target_os = "linux")]
#[test]
fn a_parent_that_blocked_the_signals_made_them_useless() {
    let target = script().send("welcome").expect_disconnect().serve();
    let silent = script().expect([5, 1, 0]).expect_disconnect().serve();
    for (signal, args, is_up) in
        [(Signal::TERM, target.args(), true), (Signal::HUP, format!("-S {silent} host.example 22"), false)]
    {
        let program = connect(args).blocking(Signal::TERM).blocking(Signal::HUP).blocking(Signal::INT);
        let mut run = program.start();
        if is_up {
            run.wait_stdout_has("welcome");
        } else {
            eventually("the signal handler", || catches(&run, signal));
        }
        run.signal(signal);
        assert_eq!(run.wait().signal, Some(signal.as_raw()));
    }
    target.finish();
    silent.finish();
}

#[test]
fn a_signal_in_the_session_is_not_reported() {
    let gate = Gate::new();
    let proxy =
        http_request().wait_for(&gate).send(HTTP_GRANTED).early("welcome").expect_disconnect().serve();
    let mut run = connect(format!("-H {proxy} host.example 22")).start();
    eventually("the signal handler", || catches(&run, Signal::TERM));
    gate.open();
    run.wait_stdout_has("welcome");
    assert!(!catches(&run, Signal::HUP) && !catches(&run, Signal::INT));
    run.signal(Signal::TERM);
    let out = run.wait();
    assert_eq!(out.signal, Some(Signal::TERM.as_raw()), "{out:?}");
    out.expect_stderr("");
    proxy.finish();
}

#[test]
fn a_signal_that_the_parent_process_ignored_stays_ignored_during_a_long_wait() {
    let proxy = http_request().expect_disconnect().serve();
    let mut run = connect(format!("-H {proxy} host.example 22")).ignoring(Signal::HUP).start();
    eventually("the signal handler", || catches(&run, Signal::TERM));
    run.signal(Signal::HUP);
    let text = ended_by(&mut run, Signal::TERM);
    assert!(text.starts_with("connect: ended by SIGTERM"), "{text:?}");
    proxy.finish();
}

#[test]
fn a_full_stderr_pipe_does_not_keep_a_signal_from_ending_the_program() {
    let (_reader, mut writer) = pipe();
    fill(&mut writer, 1, Duration::ZERO);
    let proxy = http_request().expect_disconnect().serve();
    // The program must not inherit the non-blocking mode that filling the pipe has set.
    set_nonblocking(&writer, false);
    let mut run = connect(format!("-H {proxy} host.example 22")).stderr(writer).start();
    ended_by(&mut run, Signal::HUP);
    proxy.finish();
}

#[test]
fn a_report_replaces_the_status_line() {
    let (silent, pty) = (SilentPort::new(), Pty::with_columns(120));
    let mut run = connect(format!("127.0.0.1 {}", silent.port())).at(&pty).start();
    let mut screen = Screen::new(&pty);
    screen.wait_has(" to stop");
    ended_by(&mut run, Signal::TERM);
    let (lines, output) = screen.finish();
    assert_eq!(lines.len(), 1, "{lines:?} {output:?}");
    assert!(lines[0].starts_with("connect: ended by SIGTERM after "), "{lines:?}");
}

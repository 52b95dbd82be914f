//! Work at an SSH server (`--ssh`), with the real program.

use std::io::{Read, Write as _};

use connect::ssh::connection::Source;
use rustix::process::Signal;

use crate::kit::*;
use crate::ssh::host::{HANG_UP, Host, Log, exit, exit_by_signal, prints};
use crate::ssh::server::{Setup, SshServer, Target};

mod forwards;
mod terminal;

/// Returns the arguments of a run at this server, with the key `user`.
pub(crate) fn args(server: &SshServer, options: &str, operands: &str) -> String {
    let (port, known_hosts, key) = (server.port(), server.known_hosts.display(), server.key.display());
    format!(
        "{options} --ssh-agent off --ssh-known-hosts {known_hosts} -i {key} --ssh me@127.0.0.1:{port} {operands}"
    )
}

/// Returns a run at this server, with the key `user`.
pub(crate) fn at(server: &SshServer, options: &str, operands: &str) -> Program {
    connect(args(server, options, operands))
}

/// Returns the name of the server in messages.
pub(crate) fn name(server: &SshServer) -> String {
    format!("SSH server 127.0.0.1:{}", server.port())
}

/// Starts a server that runs this program for every request.
fn server(program: impl Fn() -> Target + Send + 'static) -> SshServer {
    Host::new(move |_| Some(program())).setup().0.start()
}

/// A program that copies its input to its output, and exits with this status.
fn cat(status: u32) -> Target {
    let (mut pending, mut has_ended) = (Vec::new(), false);
    Box::new(move |connection, channel| {
        let mut buffer = vec![0; 32 * 1024];
        while pending.len() < 256 * 1024 && !has_ended {
            match connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) => has_ended = true,
                Some(count) => pending.extend_from_slice(&buffer[..count]),
                None => break,
            }
        }
        let count = connection.write(channel, &pending).unwrap();
        pending.drain(..count);
        if has_ended && pending.is_empty() { exit(connection, channel, status) } else { true }
    })
}

/// A program that never ends by itself.
fn waits() -> Target {
    Box::new(|_, _| true)
}

#[test]
fn a_command_has_separate_outputs_and_an_exit_code() {
    let (setup, log) = Host::new(|_| Some(prints("out", "err", 7))).setup();
    let server = setup.start();
    let out = at(&server, "", "ls -l  a").run();
    out.expect_code(7).expect_stdout("out").expect_stderr("err");
    assert_eq!(log.lines(), ["exec ls -l a"]);
    server.finish();
}

#[test]
fn a_shell_and_a_subsystem_are_requested_by_their_names() {
    for (options, expected) in [("", "shell"), ("--subsystem netconf", "subsystem netconf")] {
        let (setup, log) = Host::new(|_| Some(prints("", "", 0))).setup();
        let server = setup.start();
        at(&server, options, "").run().expect_success().expect_stdout("");
        assert_eq!(log.lines(), [expected], "without --env, no variable is sent");
        server.finish();
    }
}

#[test]
fn variables_are_sent_before_the_command() {
    let (setup, log) = Host::new(|_| Some(prints("", "", 0))).setup();
    let server = setup.start();
    at(&server, "--env A=b --env SET --env UNSET", "ls").env("SET", "x").run().expect_success();
    assert_eq!(log.lines(), ["env A=b", "env SET=x", "exec ls"]);
    server.finish();
}

#[test]
fn input_and_output_are_relayed_to_their_ends() {
    let server = server(|| cat(0));
    let data = bytes(21, 3 << 20);
    at(&server, "", "cat").input(data.clone()).run().expect_success().expect_stdout(data);
    server.finish();
}

#[test]
fn a_server_behind_a_proxy_is_reached_through_it() {
    let server = server(|| cat(5));
    let proxy = socks5_none().relay().serve();
    let out = at(&server, &format!("-S {proxy}"), "cat").input("ping").run();
    out.expect_code(5).expect_stdout("ping");
    server.finish();
    proxy.finish();
}

#[test]
fn a_server_that_bypasses_the_proxies_is_reached_directly() {
    for variables in [[("SOCKS5_DIRECT", "127.0.0.1")], [("no_proxy", "127.0.0.1")]] {
        let server = server(|| cat(5));
        let closed = RefusingPort::new();
        let program = at(&server, &format!("-S 127.0.0.1:{}", closed.port()), "cat").input("ping");
        let program = variables.iter().fold(program, |program, (name, value)| program.env(name, value));
        program.run().expect_code(5).expect_stdout("ping");
        server.finish();
    }
}

/// Neither input nor standard error waits for the reader of standard output.
#[test]
fn a_reader_that_is_stuck_stops_nothing_else() {
    const OUTPUT: usize = 1 << 20;
    let input = bytes(22, 3 << 20);
    let expected = input.clone();
    let log = Log::default();
    let received_all = log.clone();
    let program = move || -> Target {
        let (received_all, expected) = (received_all.clone(), expected.clone());
        let (mut output, mut received, mut has_complained) = (bytes(23, OUTPUT), Vec::new(), false);
        Box::new(move |connection, channel| {
            let count = connection.write(channel, &output).unwrap();
            output.drain(..count);
            if output.is_empty() && !has_complained {
                has_complained = connection.write_stderr(channel, b"complaint").unwrap() > 0;
            }
            let mut buffer = vec![0; 32 * 1024];
            match connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) if output.is_empty() => {
                    assert_eq!(received, expected);
                    received_all.push("received all".into());
                    exit(connection, channel, 0)
                }
                Some(count) => {
                    received.extend_from_slice(&buffer[..count]);
                    true
                }
                None => true,
            }
        })
    };
    let server = Host::new(move |_| Some(program())).with_log(&log).setup().0.start();
    let (mut reader, writer) = pipe();
    let mut run = at(&server, "", "work").stdout(writer).start();
    run.feed(std::io::Cursor::new(input));
    run.wait_stderr_has("complaint");
    log.wait_for("received all");
    let mut output = Vec::new();
    reader.read_to_end(&mut output).unwrap();
    assert_eq!(output, bytes(23, OUTPUT));
    run.finish().expect_code(0).expect_stderr("complaint");
    server.finish();
}

#[test]
fn a_status_above_255_becomes_255() {
    let server = server(|| prints("", "", 256 + 7));
    at(&server, "", "ls").run().expect_code(255).expect_stderr("");
    server.finish();
}

#[test]
fn a_command_without_a_status_is_a_failure() {
    let by_signal =
        || -> Target { Box::new(|connection, channel| exit_by_signal(connection, channel, "KILL")) };
    let server = server(by_signal);
    at(&server, "", "ls").run().expect_failure(255, &["command terminated by SIGKILL"]);
    server.finish();
    let silent = || -> Target {
        Box::new(|connection, channel| {
            connection.send_eof(channel).unwrap();
            connection.close_sending(channel).unwrap();
            false
        })
    };
    let server = self::server(silent);
    let out = at(&server, "", "ls").run();
    out.expect_failure(255, &[&format!("{} closed the channel without an exit status", name(&server))]);
    server.finish();
}

#[test]
fn every_failure_of_a_command_has_exit_code_255() {
    // The server refuses the command.
    let server = Host::new(|_| None).setup().0.start();
    at(&server, "", "ls").run().expect_failure(255, &[&format!("{} refused the command", name(&server))]);
    server.finish();
    // Nobody listens.
    let closed = RefusingPort::new();
    connect(format!("--ssh me@127.0.0.1:{} ls", closed.port()))
        .run()
        .expect_failure(255, &["cannot connect"]);
    // The user is rejected.
    let server = Setup::new().start();
    let unknown = format!("--ssh-known-hosts {} --ssh-agent off", server.known_hosts.display());
    let out = connect(format!("{unknown} --ssh me@127.0.0.1:{} ls", server.port())).run();
    out.expect_failure(255, &["rejected user \"me\""]);
    server.finish();
    // The command line is wrong.
    connect("--ssh me@127.0.0.1 --subsystem").run().expect_code(2);
}

#[test]
fn the_loss_of_the_connection_is_a_failure() {
    for (reason, expected) in [
        (None, "lost the connection to NAME before the exit status of the command"),
        (Some("going down"), "NAME closed the connection: \"going down\""),
    ] {
        let log = Log::default();
        let end = log.clone();
        let program = move || -> Target {
            let end = end.clone();
            Box::new(move |connection, channel| {
                if connection.write(channel, b"partial").unwrap() == 0 {
                    return true;
                }
                match reason {
                    Some(text) => connection.disconnect_with(11, text),
                    None => end.push(HANG_UP.into()),
                }
                false
            })
        };
        let server = Host::new(move |_| Some(program())).with_log(&log).setup().0.start();
        let out = at(&server, "", "ls").run();
        out.expect_stdout("partial");
        out.expect_failure(255, &[&expected.replace("NAME", &name(&server))]);
        server.finish();
    }
}

#[test]
fn signals_are_passed_on_to_a_command_without_a_terminal() {
    for (signal, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let log = Log::default();
        let seen = log.clone();
        let program = move || -> Target {
            let (seen, mut is_started) = (seen.clone(), false);
            Box::new(move |connection, channel| {
                is_started = is_started || connection.write(channel, b"ready").unwrap() > 0;
                let is_over = seen.has(&format!("signal {name}"));
                if is_over { exit(connection, channel, 9) } else { true }
            })
        };
        let server = Host::new(move |_| Some(program())).with_log(&log).setup().0.start();
        let run = at(&server, "", "work").start();
        run.wait_stdout_has("ready");
        run.signal(signal);
        run.finish().expect_code(9).expect_stdout("ready").expect_stderr("");
        server.finish();
    }
}

#[test]
fn a_silent_server_is_asked_whether_it_is_alive() {
    let log = Log::default();
    let seen = log.clone();
    let program = move || -> Target {
        let seen = seen.clone();
        Box::new(
            move |connection, channel| {
                if seen.has("keepalive@openssh.com") { exit(connection, channel, 0) } else { true }
            },
        )
    };
    let server = Host::new(move |_| Some(program())).with_log(&log).setup().0.start();
    at(&server, "--keepalive 1", "sleep").run().expect_success();
    server.finish();
}

#[test]
fn the_end_of_the_output_s_reader_ends_the_command_quietly() {
    let program = || -> Target {
        Box::new(|connection, channel| {
            let is_open = !connection.has_closed(channel);
            if is_open {
                connection.write(channel, &[b'y'; 1024]).unwrap();
            }
            is_open
        })
    };
    let server = server(program);
    let (mut reader, writer) = pipe();
    let run = at(&server, "", "yes").stdout(writer).start();
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
    run.finish().expect_code(255).expect_stderr("");
    server.finish();
}

#[test]
fn standard_error_without_a_reader_is_discarded() {
    let server = server(|| prints("out", vec![b'e'; 100_000], 6));
    let (reader, writer) = pipe();
    drop(reader);
    at(&server, "", "ls").stderr(writer).run().expect_code(6).expect_stdout("out");
    server.finish();
}

#[test]
fn a_key_that_cannot_be_used_is_a_warning_if_the_login_succeeds() {
    let server = server(|| prints("", "", 0));
    let unusable = TempPath::file("unusable", "no key");
    let out = at(&server, &format!("-i {}", unusable.display()), "ls").run();
    out.expect_code(0).expect_stderr_has(&format!("warning: cannot use key {}", unusable.display()));
    server.finish();
}

#[test]
fn check_logs_in_and_starts_nothing() {
    let (setup, log) = Host::new(|_| Some(waits())).setup();
    let server = setup.start();
    let out = at(&server, "--check --local-forward 0=80", "ls").run();
    out.expect_code(0);
    let text = out.stdout_text();
    for expected in [
        "host key ED25519 SHA256:",
        "user me accepted: publickey (ED25519 SHA256:",
        &format!("{} accepted the login", name(&server)),
        "--check starts nothing at the server",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("opened the tunnel"), "{text}");
    assert!(text.starts_with("Plan for SSH server 127.0.0.1:"), "{text}");
    assert!(!text.contains('→') && !text.contains("->"), "{text}");
    assert_eq!(log.lines(), [""; 0]);
    server.finish();
}

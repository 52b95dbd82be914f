//! Tests of `--listen` that need Unix: shell scripts as askpass programs, and descriptor limits.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ANY;
use crate::kit::*;
use crate::listening::*;

#[test]
fn closed_standard_input_does_not_end_the_run() {
    let target = script().echo().serve();
    let run = Listening::start(connect(format!("-d {ANY} {}", target.args())).stdin(Io::Closed));
    expect_echo(run.client(), "hello");
    assert_eq!(run.close(), [""; 0]);
}

/// Creates an askpass program that appends a line to the file `asked` and prints `secret`.
fn askpass(asked: &TempPath) -> TempPath {
    askpass_that(asked, "echo secret")
}

/// Creates an askpass program that appends a line to the file `asked` and runs the shell command
/// `answer`.
fn askpass_that(asked: &TempPath, answer: &str) -> TempPath {
    let text = format!("#!/bin/sh\necho asked >>'{}'\nsleep 0.2\n{answer}\n", asked.display());
    let (draft, program) = (TempPath::file("draft", text), TempPath::new("askpass"));
    // Let cp write the program. If this process wrote it, another test's child could inherit the
    // open file, and exec would fail with ETXTBSY.
    assert!(std::process::Command::new("cp").arg(&*draft).arg(&*program).status().unwrap().success());
    fs::set_permissions(&*program, fs::Permissions::from_mode(0o700)).unwrap();
    program
}

#[test]
fn the_password_prompt_appears_once_for_all_clients() {
    let asked = TempPath::new("asked");
    let askpass = askpass(&asked);
    let proxy = Server::repeat(|| socks5_userpass("me", "secret").echo());
    let program = connect(format!("-d {ANY} -S me@{proxy} example.org 22"));
    let run = Listening::start(program.env("SSH_ASKPASS", &*askpass).env("DISPLAY", ":0"));
    let together: Vec<_> = (0..5).map(|_| run.client()).collect();
    for client in &together {
        expect_echo(client, "hello");
    }
    expect_echo(run.client(), "later");
    assert_eq!(fs::read_to_string(&*asked).unwrap(), "asked\n");
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn the_password_prompt_appears_again_after_a_wrong_password() {
    let asked = TempPath::new("asked");
    let askpass = askpass(&asked);
    let proxy = Server::each([socks5_wrong_password(), socks5_userpass("me", "secret").echo()]);
    let program = connect(format!("-d {ANY} -S me@{proxy} example.org 22"));
    let run = Listening::start(program.env("SSH_ASKPASS", &*askpass).env("DISPLAY", ":0"));
    expect_disconnect(run.client());
    run.wait_for_line("connect: client 127.0.0.1:");
    expect_echo(run.client(), "hello");
    assert_eq!(fs::read_to_string(&*asked).unwrap(), "asked\nasked\n");
    assert_eq!(run.close().len(), 1);
}

/// The prompt used to appear again for each waiting client.
#[test]
fn a_cancelled_prompt_fails_all_waiting_clients() {
    let asked = TempPath::new("asked");
    let askpass = askpass_that(&asked, "exit 1");
    let proxy = Server::repeat(|| script().expect(b"\x05\x02\x00\x02").send(b"\x05\x02").expect_disconnect());
    let program = connect(format!("-d {ANY} -S me@{proxy} example.org 22"));
    let run = Listening::start(program.env("SSH_ASKPASS", &*askpass).env("DISPLAY", ":0"));
    let together: Vec<_> = (0..5).map(|_| run.client()).collect();
    together.into_iter().for_each(expect_disconnect);
    expect_disconnect(run.client());
    run.wait_for_lines("was cancelled or failed", 6);
    assert_eq!(fs::read_to_string(&*asked).unwrap(), "asked\n");
    assert_eq!(run.close().len(), 6);
}

/// Returns the script of a proxy that rejects the password.
fn socks5_wrong_password() -> Script {
    script().expect(b"\x05\x02\x00\x02").send(b"\x05\x02").expect(b"\x01\x02me\x06secret").send(b"\x01\x01")
}

/// Raises this process's descriptor limit, to have room for both ends of a thousand sessions.
fn allow_many_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(maximum.is_none_or(|maximum| maximum >= 4096), "too few descriptors: {maximum:?}");
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Returns a listening socket for the target, and the args that name the target. The test plays the
/// target itself, without a thread per session.
fn target() -> (TcpListener, String) {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let args = format!("127.0.0.1 {}", target.local_addr().unwrap().port());
    (target, args)
}

/// Accepts the next connection to the target.
#[track_caller]
fn accept(target: &TcpListener) -> TcpStream {
    let start = Instant::now();
    loop {
        match target.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < TIMEOUT => {
                thread::sleep(Duration::from_micros(100));
            }
            Err(error) => panic!("no connection to the target: {error}"),
        }
    }
}

#[test]
fn a_thousand_concurrent_clients_use_bounded_memory() {
    const CLIENTS: u32 = 1000;
    allow_many_descriptors();
    let (target, args) = target();
    // 1024, the usual limit in a shell, is too low, so the program has to raise it.
    let program = with_ulimit("-Sn 1024", &format!("-d {ANY} {args}"));
    let run = Listening::start(program.limit(3 * TIMEOUT));
    let address = run.address();
    let mut sessions = Vec::new();
    for _ in 0..CLIENTS {
        let client = connect_to(address);
        let remote = accept(&target);
        sessions.push((client, remote));
    }
    for (number, (client, remote)) in (0..CLIENTS).zip(&mut sessions) {
        client.write_all(&bytes(number.into(), 1000)).unwrap();
        assert_eq!(read(&mut *remote, 1000), bytes(number.into(), 1000));
        remote.write_all(&number.to_be_bytes()).unwrap();
    }
    for (number, (client, _)) in (0..CLIENTS).zip(&mut sessions) {
        assert_eq!(read(client, 4), number.to_be_bytes());
    }
    #[cfg(target_os = "linux")]
    {
        let memory = run.run.peak_memory() / MIB;
        println!("a thousand sessions: {memory} MiB resident");
        assert!(memory < 100, "{memory} MiB");
    }
    assert_eq!(run.close(), [""; 0]);
    for (client, remote) in sessions {
        expect_disconnect(client);
        expect_disconnect(remote);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_clients_one_after_another_leave_nothing_behind() {
    /// Number of pipes that the program keeps for later sessions.
    const KEPT: usize = 16;
    let (target, args) = target();
    let run = Listening::start(connect(format!("-d {ANY} {args}")).limit(3 * TIMEOUT));
    let address = run.address();
    let before = run.count_descriptors_and_threads();
    for number in 0..1000_u32 {
        let mut client = connect_to(address);
        client.write_all(&number.to_be_bytes()).unwrap();
        let mut remote = accept(&target);
        assert_eq!(read(&mut remote, 4), number.to_be_bytes());
        // Try each way to end a session.
        match number % 4 {
            0 => drop((client, remote)),
            1 => {
                remote.shutdown(Shutdown::Write).unwrap();
                assert_eq!(read_to_end(&client), "");
            }
            2 => reset(client),
            _ => reset(remote),
        }
    }
    eventually("all sessions to end", || {
        let (descriptors, threads) = run.count_descriptors_and_threads();
        threads == before.1 && (before.0..=before.0 + 2 * KEPT).contains(&descriptors)
    });
    run.close();
}

#[cfg(target_os = "linux")]
#[test]
fn failed_tunnels_leave_nothing_behind() {
    const TIMES: usize = 200;
    let refusing = RefusingPort::new();
    let run = listening(format!("{ANY} 127.0.0.1 {}", refusing.port()));
    let address = run.address();
    let before = run.count_descriptors_and_threads();
    for _ in 0..TIMES {
        expect_disconnect(connect_to(address));
    }
    eventually("all threads to end", || run.count_descriptors_and_threads() == before);
    assert_eq!(run.close().len(), TIMES);
}

#[test]
fn running_out_of_descriptors_is_reported_and_the_listener_recovers() {
    let target = Server::repeat(|| script().echo());
    let run = Listening::start(with_ulimit("-n 32", &format!("-d {ANY} {}", target.args())));
    let address = run.address();
    let clients: Vec<_> = (0..40).map(|_| connect_to(address)).collect();
    run.wait_for_line("connect: cannot accept a connection: Too many open files");
    // The error is reported once, although accept fails ten times a second.
    thread::sleep(Duration::from_millis(300));
    let reports = run.messages().iter().filter(|line| line.contains("accept a connection")).count();
    assert_eq!(reports, 1);
    drop(clients);
    // While earlier sessions still hold descriptors, a new client may be disconnected.
    eventually("a client to be served", || {
        let mut client = connect_to(address);
        let served = client.write_all(b"x").and_then(|()| client.read_exact(&mut [0]));
        let problem = served.err().map(|error| error.kind());
        assert_ne!(problem, Some(ErrorKind::WouldBlock), "no answer at all");
        problem.is_none()
    });
    run.close();
}

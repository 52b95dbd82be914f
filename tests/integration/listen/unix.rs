//! What takes Unix: shell scripts that are askpass programs, closed and counted descriptors.

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
fn standard_input_does_not_end_it() {
    let target = script().echo().serve();
    let run = Listening::start(connect(format!("-d {ANY} {}", target.args())).stdin(Io::Closed));
    echoed(run.client(), "hello");
    assert_eq!(run.close(), [""; 0]);
}

/// An askpass program that answers `secret` and leaves a line in the file.
fn askpass(asked: &TempPath) -> TempPath {
    askpass_that(asked, "echo secret")
}

/// The same, but it answers in this way.
fn askpass_that(asked: &TempPath, answers: &str) -> TempPath {
    let text = format!("#!/bin/sh\necho asked >>'{}'\nsleep 0.2\n{answers}\n", asked.display());
    let (draft, program) = (TempPath::file("draft", text), TempPath::new("askpass"));
    // Written by another process: what is open for writing, be it in a child that is just starting, cannot be run.
    assert!(std::process::Command::new("cp").arg(&*draft).arg(&*program).status().unwrap().success());
    fs::set_permissions(&*program, fs::Permissions::from_mode(0o700)).unwrap();
    program
}

#[test]
fn a_password_is_asked_for_once_for_all_clients() {
    let asked = TempPath::new("asked");
    let askpass = askpass(&asked);
    let proxy = Server::repeat(|| socks5_userpass("me", "secret").echo());
    let program = connect(format!("-d {ANY} -S me@{proxy} example.org 22"));
    let run = Listening::start(program.env("SSH_ASKPASS", &*askpass).env("DISPLAY", ":0"));
    let together: Vec<_> = (0..5).map(|_| run.client()).collect();
    for client in &together {
        echoed(client, "hello");
    }
    echoed(run.client(), "later");
    assert_eq!(fs::read_to_string(&*asked).unwrap(), "asked\n");
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_wrong_password_is_asked_for_again() {
    let asked = TempPath::new("asked");
    let askpass = askpass(&asked);
    let proxy = Server::each([socks5_wrong_password(), socks5_userpass("me", "secret").echo()]);
    let program = connect(format!("-d {ANY} -S me@{proxy} example.org 22"));
    let run = Listening::start(program.env("SSH_ASKPASS", &*askpass).env("DISPLAY", ":0"));
    expect_disconnect(run.client());
    run.told("connect: client 127.0.0.1:");
    echoed(run.client(), "hello");
    assert_eq!(fs::read_to_string(&*asked).unwrap(), "asked\nasked\n");
    assert_eq!(run.close().len(), 1);
}

/// One client after another was asked about, so that there was no end of saying no.
#[test]
fn a_cancelled_question_is_cancelled_for_all_who_wait() {
    let asked = TempPath::new("asked");
    let askpass = askpass_that(&asked, "exit 1");
    let proxy = Server::repeat(|| script().expect(b"\x05\x02\x00\x02").send(b"\x05\x02").expect_disconnect());
    let program = connect(format!("-d {ANY} -S me@{proxy} example.org 22"));
    let run = Listening::start(program.env("SSH_ASKPASS", &*askpass).env("DISPLAY", ":0"));
    let together: Vec<_> = (0..5).map(|_| run.client()).collect();
    together.into_iter().for_each(expect_disconnect);
    expect_disconnect(run.client());
    run.told_times("was cancelled or failed", 6);
    assert_eq!(fs::read_to_string(&*asked).unwrap(), "asked\n");
    assert_eq!(run.close().len(), 6);
}

/// A proxy that does not like any password.
fn socks5_wrong_password() -> Script {
    script().expect(b"\x05\x02\x00\x02").send(b"\x05\x02").expect(b"\x01\x02me\x06secret").send(b"\x01\x01")
}

/// Allows this process to have both ends of a thousand sessions.
fn allow_many_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    assert!(maximum.is_none_or(|maximum| maximum >= 4096), "too few descriptors: {maximum:?}");
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A target whose side of the sessions the test plays itself, without a thread for each.
fn target() -> (TcpListener, String) {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let words = format!("127.0.0.1 {}", target.local_addr().unwrap().port());
    (target, words)
}

/// The next connection to it.
#[track_caller]
fn accept(target: &TcpListener) -> TcpStream {
    let start = Instant::now();
    loop {
        match target.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < LIMIT => {
                thread::sleep(Duration::from_micros(100));
            }
            Err(error) => panic!("nobody came to the target: {error}"),
        }
    }
}

#[test]
fn a_thousand_clients_at_once_take_bounded_memory() {
    const CLIENTS: u32 = 1000;
    allow_many_descriptors();
    let (target, words) = target();
    // The usual limit of a shell is too low: the program has to raise it.
    let program = limited("-Sn 1024", &format!("-d {ANY} {words}"));
    let run = Listening::start(program.limit(3 * LIMIT));
    let place = run.place();
    let mut sessions = Vec::new();
    for _ in 0..CLIENTS {
        let client = client_of(place);
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
    let start = Instant::now();
    assert_eq!(run.close(), [""; 0]);
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    for (client, remote) in sessions {
        expect_disconnect(client);
        expect_disconnect(remote);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_clients_one_after_another_leave_nothing_behind() {
    /// Pipes for the next sessions.
    const KEPT: usize = 16;
    let (target, words) = target();
    let run = Listening::start(connect(format!("-d {ANY} {words}")).limit(3 * LIMIT));
    let place = run.place();
    let before = run.descriptors_and_threads();
    for number in 0..1000_u32 {
        let mut client = client_of(place);
        client.write_all(&number.to_be_bytes()).unwrap();
        let mut remote = accept(&target);
        assert_eq!(read(&mut remote, 4), number.to_be_bytes());
        // Each way to end a session in turn.
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
        let (descriptors, threads) = run.descriptors_and_threads();
        threads == before.1 && (before.0..=before.0 + 2 * KEPT).contains(&descriptors)
    });
    run.close();
}

#[cfg(target_os = "linux")]
#[test]
fn tunnels_that_fail_leave_nothing_behind() {
    const TIMES: usize = 200;
    let refusing = RefusingPort::new();
    let run = listening(format!("{ANY} 127.0.0.1 {}", refusing.port()));
    let place = run.place();
    let before = run.descriptors_and_threads();
    for _ in 0..TIMES {
        expect_disconnect(client_of(place));
    }
    eventually("all threads to end", || run.descriptors_and_threads() == before);
    assert_eq!(run.close().len(), TIMES);
}

#[test]
fn a_machine_out_of_descriptors_is_logged_and_recovers() {
    let target = Server::repeat(|| script().echo());
    let run = Listening::start(limited("-n 32", &format!("-d {ANY} {}", target.args())));
    let place = run.place();
    let clients: Vec<_> = (0..40).map(|_| client_of(place)).collect();
    run.told("connect: cannot accept a connection: Too many open files");
    // Said once, not ten times a second.
    thread::sleep(Duration::from_millis(600));
    let said = run.messages().iter().filter(|line| line.contains("accept a connection")).count();
    assert_eq!(said, 1);
    drop(clients);
    // Until the others have gone, a client may be turned away.
    eventually("a client to be served", || {
        let mut client = client_of(place);
        let served = client.write_all(b"x").and_then(|()| client.read_exact(&mut [0]));
        let problem = served.err().map(|error| error.kind());
        assert_ne!(problem, Some(ErrorKind::WouldBlock), "no answer at all");
        problem.is_none()
    });
    run.close();
}

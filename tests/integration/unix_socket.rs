//! UNIX-domain sockets, as listeners and as targets.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Signal;

use crate::kit::*;
use crate::listening::*;

/// Starts a run that listens on a socket at `path`, and waits until the socket accepts connections.
fn listening_at(path: &Path, target: &str) -> Listening {
    let program = connect("-d --listen").arg(format!("unix:{}", path.display())).args(target);
    let run = Listening::start(program);
    eventually("the socket", || UnixStream::connect(path).is_ok());
    run
}

/// Runs a complete session through the socket at `path`, with an echoing target.
fn expect_echo_session(path: &Path, text: &str) {
    let client = connect_to_socket(path);
    expect_echo(&client, text);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), "");
}

#[test]
fn each_client_of_a_socket_gets_its_own_tunnel() {
    let path = TempPath::new("s");
    let target = Server::repeat(|| script().echo());
    let run = listening_at(&path, &target.args());
    let first = connect_to_socket(&path);
    expect_echo(&first, "first");
    expect_echo_session(&path, "second");
    expect_echo(&first, "again");
    run.stop(Signal::TERM).expect_success();
    expect_disconnect(&first);
}

#[test]
fn only_the_user_can_connect_to_a_socket() {
    for umask in ["0", "022", "777"] {
        let path = TempPath::new("s");
        let shell = Program::new("/bin/sh").arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\""));
        let args = format!("-d --listen unix:{} 127.0.0.1 1", path.display());
        let run = Listening::start(shell.arg(program_path()).args(args));
        eventually("the socket", || UnixStream::connect(&*path).is_ok());
        let status = fs::symlink_metadata(&*path).unwrap();
        assert!(status.file_type().is_socket());
        assert_eq!(format!("{:o}", status.permissions().mode() & 0o777), "600", "umask {umask}");
        drop(run);
    }
}

#[test]
fn a_signal_removes_the_socket() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let path = TempPath::new("s");
        let run = Listening::start(
            connect("-d --listen").arg(format!("unix:{}", path.display())).args("127.0.0.1 1"),
        );
        // Send the signal as early as possible.
        eventually("the socket", || path.exists());
        run.stop(signal).expect_success();
        assert!(!path.exists());
    }
}

#[test]
fn a_socket_left_by_a_killed_process_is_replaced() {
    let path = TempPath::new("s");
    let target = Server::repeat(|| script().echo());
    let first = listening_at(&path, &target.args());
    first.run.signal(Signal::KILL);
    assert_eq!(first.end().code, None);
    assert!(path.exists());
    let second = listening_at(&path, &target.args());
    expect_echo_session(&path, "hello");
    second.stop(Signal::TERM).expect_success();
    assert!(!path.exists());
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let path = TempPath::new("s");
    let target = Server::repeat(|| script().echo());
    let first = listening_at(&path, &target.args());
    let second = connect("--listen").arg(format!("unix:{}", path.display())).args("127.0.0.1 1").run();
    second.expect_failure(1, &["cannot listen on unix:", "Address already in use"]);
    expect_echo_session(&path, "hello");
    first.stop(Signal::TERM).expect_success();
}

/// The check whether a socket is stale connects to it, and connect(2) blocked: neither was there a
/// message, nor did a signal end the program.
#[test]
#[cfg(target_os = "linux")]
fn a_start_at_a_socket_with_a_full_backlog_hung_forever() {
    let path = TempPath::new("s");
    let listener = UnixListener::bind(&*path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let waiting = UnixStream::connect(&*path).unwrap();
    let out = connect("--listen").arg(format!("unix:{}", path.display())).args("127.0.0.1 1").run();
    out.expect_failure(1, &["cannot listen on unix:", "Address already in use"]);
    assert!(path.exists());
    drop(waiting);
}

#[test]
fn a_listener_removed_the_socket_of_its_successor() {
    let path = TempPath::new("s");
    let target = Server::repeat(|| script().echo());
    let first = listening_at(&path, &target.args());
    fs::remove_file(&*path).unwrap();
    let second = listening_at(&path, &target.args());
    first.stop(Signal::TERM).expect_success();
    expect_echo_session(&path, "hello");
    second.stop(Signal::TERM).expect_success();
    assert!(!path.exists());
}

/// Both starts could find the same stale socket, and the second one replaced the socket of the
/// first.
#[test]
fn two_starts_at_the_same_path_both_succeeded() {
    let directory = TempPath::directory("d");
    let path = directory.join("s");
    drop(UnixListener::bind(&path).unwrap());
    // The test takes the part of the other start.
    let lock = fs::File::open(&*directory).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    let target = Server::repeat(|| script().echo());
    let program = connect("-d --listen").arg(format!("unix:{}", path.display())).args(target.args());
    let run = Listening::start(program);
    run.wait_for_line("Creating source port to forward");
    thread::sleep(Duration::from_millis(200));
    assert!(UnixStream::connect(&path).is_err(), "the stale socket was replaced in spite of the lock");
    drop(lock);
    expect_echo_session(&path, "hello");
    run.stop(Signal::TERM).expect_success();
    assert_eq!(fs::read_dir(&*directory).unwrap().count(), 0);
}

#[test]
fn of_many_simultaneous_starts_at_a_stale_socket_one_succeeds() {
    let path = TempPath::new("s");
    drop(UnixListener::bind(&*path).unwrap());
    let target = Server::repeat(|| script().echo());
    let start = || connect("--listen").arg(format!("unix:{}", path.display())).args(target.args()).start();
    let mut runs: Vec<_> = (0..6).map(|_| start()).collect();
    eventually("five failures", || runs.iter().filter(|run| run.is_running()).count() == 1);
    expect_echo_session(&path, "hello");
    for run in runs.iter_mut().filter(|run| !run.is_running()) {
        run.wait().expect_failure(1, &["cannot listen on unix:", "Address already in use"]);
    }
}

#[test]
fn a_path_that_is_not_a_socket_is_left_alone() {
    let file = TempPath::file("s", "precious");
    let directory = TempPath::directory("d");
    let link = TempPath::new("l");
    std::os::unix::fs::symlink("nowhere", &*link).unwrap();
    for path in [&*file, &*directory, &*link] {
        let out = connect("--listen").arg(format!("unix:{}", path.display())).args("127.0.0.1 1").run();
        out.expect_failure(1, &["cannot listen on unix:"]);
    }
    assert_eq!(fs::read(&*file).unwrap(), b"precious");
    assert!(directory.is_dir());
    assert!(link.is_symlink());
}

#[test]
fn a_missing_directory_is_an_error() {
    let out = connect("--listen unix:/no/such/directory/s 127.0.0.1 1").run();
    out.expect_failure(1, &["cannot listen on unix:/no/such/directory/s: No such file or directory"]);
}

/// The first listener already exists when the second one fails.
#[test]
fn a_run_that_fails_to_listen_leaves_no_socket() {
    let path = TempPath::new("s");
    let word = format!("unix:{}", path.display());
    let out = connect("--listen").arg(word).args("--listen unix:/no/such/s 127.0.0.1 1").run();
    out.expect_failure(1, &["cannot listen on unix:/no/such/s"]);
    assert!(!path.exists());
}

/// Unlike TCP, a UNIX-domain socket reports at once that a client is gone. The client's data must
/// still be delivered.
#[test]
fn data_of_a_vanished_client_is_delivered_to_a_slow_remote() {
    let path = TempPath::new("s");
    let left = Gate::new();
    let target = script().small_window().wait_for(&left).pause(Duration::from_millis(400)).sink().serve();
    let program = connect("-d --listen").arg(format!("unix:{}", path.display())).args(target.args());
    let run = Listening::start(program);
    let mut client = connect_to_socket(&path);
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    let mut source = data(1, u64::MAX);
    let mut block = [0; 512];
    // Fill all buffers on the path.
    loop {
        source.read_exact(&mut block).unwrap();
        match client.write(&block) {
            Ok(count) => sent += count as u64,
            Err(error) => break assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
    drop(client);
    left.open();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(1, sent))));
    run.stop(Signal::TERM).expect_success();
}

/// Starts a server that accepts one connection, reads up to EOF, and then sends everything back.
fn echo_at(path: &Path) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        client.write_all(&all).unwrap();
    })
}

#[test]
fn a_socket_can_be_the_target() {
    let path = TempPath::new("t");
    let server = echo_at(&path);
    let all = bytes(1, 3_000_000);
    let out = connect("").arg(format!("unix:{}", path.display())).input(all.clone()).run();
    out.expect_success();
    assert!(out.stdout == all, "{} bytes", out.stdout.len());
    server.join().unwrap();
}

#[test]
fn a_socket_can_be_the_target_of_a_local_port() {
    let path = TempPath::new("t");
    let server = echo_at(&path);
    let run = Listening::start(connect("-d -p 0").arg(format!("unix:{}", path.display())));
    let mut client = run.client();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), "hello");
    drop(client);
    run.end().expect_success();
    server.join().unwrap();
}

#[test]
fn a_socket_can_be_the_target_of_a_socket() {
    let (path, target) = (TempPath::new("s"), TempPath::new("t"));
    let listener = UnixListener::bind(&*target).unwrap();
    let run = Listening::start(
        connect("-d --listen")
            .arg(format!("unix:{}", path.display()))
            .arg(format!("unix:{}", target.display())),
    );
    let mut client = connect_to_socket(&path);
    client.write_all(b"hello").unwrap();
    let (mut remote, _) = listener.accept().unwrap();
    assert_eq!(read(&remote, 5), b"hello");
    remote.write_all(b"bye").unwrap();
    drop(remote);
    assert_eq!(read_to_end(&client), "bye");
    run.stop(Signal::TERM).expect_success();
}

#[test]
fn a_target_without_a_listener_is_not_reached() {
    let missing = TempPath::new("missing");
    let out = connect("").arg(format!("unix:{}", missing.display())).run();
    out.expect_failure(4, &["cannot connect to unix:", "missing: No such file or directory"]);
    let stale = TempPath::new("stale");
    drop(UnixListener::bind(&*stale).unwrap());
    let out = connect("").arg(format!("unix:{}", stale.display())).run();
    out.expect_failure(4, &["cannot connect to unix:", "stale: Connection refused"]);
}

#[test]
fn a_proxy_cannot_reach_a_socket() {
    let refusing = RefusingPort::new();
    for option in ["-S", "-H", "-T"] {
        let out = connect(format!("{option} 127.0.0.1:{} unix:/some/where", refusing.port())).run();
        out.expect_failure(2, &["unix:"]);
    }
}

/// connect(2) blocks while the backlog of a UNIX-domain socket is full. It used to block forever,
/// despite `-w`.
#[test]
#[cfg(target_os = "linux")]
fn connecting_to_a_target_with_a_full_backlog_hung_forever() {
    let path = TempPath::new("s");
    let listener = UnixListener::bind(&*path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let waiting = UnixStream::connect(&*path).unwrap();
    let target = format!("unix:{}", path.display());
    let out = connect("-w 0.3").arg(&target).run();
    out.expect_failure(7, &["timed out after 0.3 seconds", &target, "did not accept the connection"]);
    // A connection that is accepted late succeeds if there is no timeout or the timeout has not
    // expired yet.
    for words in ["", "-w 20"] {
        let mut run = connect(words).arg(&target).start();
        thread::sleep(Duration::from_millis(200));
        assert!(run.is_running());
        drop(listener.accept().unwrap());
        let (mut remote, _) = listener.accept().unwrap();
        remote.write_all(b"welcome").unwrap();
        drop(remote);
        run.wait().expect_success().expect_stdout("welcome");
        let _ = UnixStream::connect(&*path).unwrap();
    }
    drop(waiting);
}

//! `--listen systemd`: listening sockets opened by the parent process. These tests use a shell
//! instead of systemd; the cookbook suite uses systemd's own tool.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::process::Signal;

use crate::kit::*;
use crate::listening::*;
use crate::rcfile::home;

/// Prepares a run with these sockets as descriptors 3 and 4. `variables` is a list of shell
/// assignments.
fn passed(
    first: impl Into<OwnedFd>,
    second: impl Into<OwnedFd>,
    variables: &str,
    args: impl AsRef<str>,
) -> Program {
    let script = format!("exec 3<&0 4>&1 </dev/null >/dev/null && export {variables} && exec \"$0\" \"$@\"");
    Program::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg(program_path())
        .args(args)
        .stdin(first.into())
        .stdout(second.into())
}

const BOTH: &str = "LISTEN_PID=$$ LISTEN_FDS=2";
const FIRST: &str = "LISTEN_PID=$$ LISTEN_FDS=1";

fn tcp(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

fn null() -> File {
    File::open("/dev/null").unwrap()
}

#[test]
fn passed_tcp_sockets_and_named_addresses_accept_clients() {
    let target = Server::repeat(|| script().echo());
    let sockets = [tcp("127.0.0.1:0"), tcp("[::1]:0")];
    let [first, second] = sockets.each_ref().map(|socket| socket.local_addr().unwrap());
    let [ours, theirs] = sockets.each_ref().map(|socket| socket.try_clone().unwrap());
    let args = format!("-d --listen systemd --listen 127.0.0.1:0 --listen systemd {}", target.args());
    let run = Listening::start(passed(ours, theirs, BOTH, args));
    let addresses = run.addresses(3);
    assert_eq!(addresses[1..], [first, second]);
    for address in addresses {
        expect_echo(connect_to(address), "hello");
    }
    assert_eq!(run.close(), [""; 0]);
    // The sockets must outlive the program: systemd keeps them open for the next process.
    TcpStream::connect(first).unwrap();
}

#[test]
fn a_passed_unix_socket_is_not_removed() {
    let path = TempPath::new("s");
    let socket = UnixListener::bind(&*path).unwrap();
    let target = Server::repeat(|| script().echo());
    let program = passed(socket, null(), FIRST, format!("-d --listen systemd {}", target.args()));
    let run = Listening::start(program);
    for text in ["one", "two"] {
        let client = UnixStream::connect(&*path).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        expect_echo(&client, text);
    }
    run.stop(Signal::TERM).expect_success();
    assert!(path.exists());
}

#[test]
fn a_client_of_a_passed_unix_socket_is_named_in_messages() {
    let path = TempPath::new("s");
    let socket = UnixListener::bind(&*path).unwrap();
    let args = format!("-d --listen systemd 127.0.0.1 {}", RefusingPort::new().port());
    let run = Listening::start(passed(socket, null(), FIRST, args));
    expect_disconnect(UnixStream::connect(&*path).unwrap());
    run.wait_for_line(&format!("connect: client unix:{}: cannot connect to", path.display()));
    run.stop(Signal::TERM);
}

#[test]
fn a_descriptor_that_does_not_listen_is_an_error() {
    let listener = tcp("127.0.0.1:0");
    let (pair, _other) = UnixStream::pair().unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let cases: [(OwnedFd, &str); 5] = [
        (
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            "descriptor 3 is not a TCP or UNIX-domain stream socket",
        ),
        (UnixDatagram::unbound().unwrap().into(), "descriptor 3 is not a TCP or UNIX-domain stream socket"),
        (connected.into(), "descriptor 3 is a connection"),
        (pair.into(), "Accept=yes"),
        (null().into(), "descriptor 3 is not a socket"),
    ];
    for (socket, why) in cases {
        let out = passed(socket, null(), FIRST, "--listen systemd 127.0.0.1 1").run();
        out.expect_failure(2, &["--listen systemd: ", why]);
    }
    // The second descriptor is also checked.
    let out = passed(listener, null(), BOTH, "--listen systemd 127.0.0.1 1").run();
    out.expect_failure(2, &["--listen systemd: descriptor 4 is not a socket"]);
}

#[test]
fn missing_or_invalid_variables_are_an_error_with_advice() {
    for (variables, why) in [
        ("MARK=1", "systemd-socket-activate"),
        ("LISTEN_FDS=1", "systemd-socket-activate"),
        ("LISTEN_PID=$$", ".socket unit"),
        ("LISTEN_PID=$PPID LISTEN_FDS=1", "not to this one"),
        ("LISTEN_PID= LISTEN_FDS=1", "not to this one"),
        ("LISTEN_PID=$$ LISTEN_FDS=0", "LISTEN_FDS"),
        ("LISTEN_PID=$$ LISTEN_FDS=x", "LISTEN_FDS"),
        ("LISTEN_PID=$$ LISTEN_FDS=-1", "LISTEN_FDS"),
        ("LISTEN_PID=$$ LISTEN_FDS=99999999999", "LISTEN_FDS"),
        ("LISTEN_PID=$$ LISTEN_FDS=60", "is not open"),
    ] {
        let listeners = [tcp("127.0.0.1:0"), tcp("127.0.0.1:0")];
        let [first, second] = listeners;
        let out = passed(first, second, variables, "--listen systemd 127.0.0.1 1").run();
        out.expect_failure(2, &["--listen systemd: ", why]);
    }
}

#[test]
fn child_processes_get_neither_the_sockets_nor_the_variables() {
    let note = TempPath::new("note");
    let seen = format!("env >>{0}; if true <&3 || true <&4; then echo LISTEN >>{0}; fi", note.display());
    let home = home(format!("Match exec \"{seen}\"\nSOCKS5_RESOLVE = remote"));
    let proxy = Server::repeat(|| socks5_userpass("me", "secret").echo());
    let sockets = [tcp("127.0.0.1:0"), tcp("127.0.0.1:0")];
    let [first, second] = sockets;
    let variables = format!("{BOTH} LISTEN_FDNAMES=a:b");
    let program = passed(first, second, &variables, "-d --listen systemd --password-command")
        .arg(format!("{seen}; echo secret"))
        .args(format!("-S me@{proxy} example.org 22"));
    let program = program.env("HOME", &*home).env("SHELL", "/bin/sh");
    let run = Listening::start(program);
    expect_echo(connect_to(run.addresses(2)[1]), "hello");
    run.close();
    let seen = fs::read_to_string(&*note).unwrap();
    assert_eq!(seen.matches("HOME=").count(), 2, "one of the programs did not run: {seen}");
    assert!(!seen.contains("LISTEN"), "{seen}");
}

#[test]
fn a_password_is_not_read_from_a_passed_socket() {
    let args = "--listen systemd --password-fd 4 -S me@127.0.0.1:1 127.0.0.1 1";
    let out = passed(tcp("127.0.0.1:0"), tcp("127.0.0.1:0"), BOTH, args).run();
    out.expect_failure(2, &["--listen systemd: file descriptor 4", "--password-fd"]);
}

/// A user may run the unit's command line with `--check` outside systemd.
#[test]
fn check_works_without_passed_sockets() {
    let target = script().send("hello").serve();
    let out = connect(format!("--check --listen systemd {}", target.args())).run();
    out.expect_code(0).expect_stderr("");
    assert!(out.stdout_text().contains("hello"), "{}", out.stdout_text());
}

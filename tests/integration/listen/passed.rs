//! `--listen systemd`: sockets that whoever started the program has opened. A shell is in the place of systemd here; the
//! cookbook's suite has the real one.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::process::Signal;

use crate::kit::*;
use crate::listening::*;
use crate::rcfile::home;

/// The program, with these two as descriptors 3 and 4, and with such variables as the shell sets them.
fn passed(
    first: impl Into<OwnedFd>,
    second: impl Into<OwnedFd>,
    variables: &str,
    words: impl AsRef<str>,
) -> Program {
    let script = format!("exec 3<&0 4>&1 </dev/null >/dev/null && export {variables} && exec \"$0\" \"$@\"");
    Program::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg(program_path())
        .args(words)
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
fn clients_come_in_by_tcp_ports_and_by_others_that_are_named() {
    let target = Server::repeat(|| script().echo());
    let sockets = [tcp("127.0.0.1:0"), tcp("[::1]:0")];
    let [first, second] = sockets.each_ref().map(|socket| socket.local_addr().unwrap());
    let [ours, theirs] = sockets.each_ref().map(|socket| socket.try_clone().unwrap());
    let words = format!("-d --listen systemd --listen 127.0.0.1:0 --listen systemd {}", target.args());
    let run = Listening::start(passed(ours, theirs, BOTH, words));
    let places = run.places(3);
    assert_eq!(places[1..], [first, second]);
    for place in places {
        echoed(client_of(place), "hello");
    }
    assert_eq!(run.close(), [""; 0]);
    // They live on with whoever passed them: systemd, which starts the next process.
    TcpStream::connect(first).unwrap();
}

#[test]
fn a_unix_socket_is_left_in_its_place() {
    let path = TempPath::new("s");
    let socket = UnixListener::bind(&*path).unwrap();
    let target = Server::repeat(|| script().echo());
    let program = passed(socket, null(), FIRST, format!("-d --listen systemd {}", target.args()));
    let run = Listening::start(program);
    for words in ["one", "two"] {
        let client = UnixStream::connect(&*path).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        echoed(&client, words);
    }
    run.stop(Signal::TERM).expect_success();
    assert!(path.exists());
}

#[test]
fn a_client_of_a_passed_unix_socket_has_a_name() {
    let path = TempPath::new("s");
    let socket = UnixListener::bind(&*path).unwrap();
    let words = format!("-d --listen systemd 127.0.0.1 {}", RefusingPort::new().port());
    let run = Listening::start(passed(socket, null(), FIRST, words));
    expect_disconnect(UnixStream::connect(&*path).unwrap());
    run.told(&format!("connect: client unix:{}: cannot connect to", path.display()));
    run.stop(Signal::TERM);
}

#[test]
fn what_takes_no_clients_is_an_error() {
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
    // Behind one that is good.
    let out = passed(listener, null(), BOTH, "--listen systemd 127.0.0.1 1").run();
    out.expect_failure(2, &["--listen systemd: descriptor 4 is not a socket"]);
}

#[test]
fn nothing_that_was_passed_to_this_process_is_an_error_that_says_what_to_try() {
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
fn programs_that_are_started_get_neither_the_sockets_nor_the_variables() {
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
    echoed(client_of(run.places(2)[1]), "hello");
    run.close();
    let seen = fs::read_to_string(&*note).unwrap();
    assert_eq!(seen.matches("HOME=").count(), 2, "not both programs have run: {seen}");
    assert!(!seen.contains("LISTEN"), "{seen}");
}

#[test]
fn a_password_is_not_read_from_a_socket() {
    let words = "--listen systemd --password-fd 4 -S me@127.0.0.1:1 127.0.0.1 1";
    let out = passed(tcp("127.0.0.1:0"), tcp("127.0.0.1:0"), BOTH, words).run();
    out.expect_failure(2, &["--listen systemd: file descriptor 4", "--password-fd"]);
}

/// In the unit's words, without systemd.
#[test]
fn a_check_can_be_made_by_hand() {
    let target = script().send("hello").serve();
    let out = connect(format!("--check --listen systemd {}", target.args())).run();
    out.expect_code(0).expect_stderr("");
    assert!(out.stdout_text().contains("hello"), "{}", out.stdout_text());
}

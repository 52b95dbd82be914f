//! `-F`: the connection is handed to whoever is at the other end of standard output, as ssh wants it with
//! `ProxyUseFdpass yes`.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::kit::*;

/// Options, and a proxy that grants what it is asked for.
type Way = (&'static str, fn() -> Script);

/// The socket that `ssh` would hold on to, and the run at its other end.
fn handing_over(words: impl AsRef<str>) -> (UnixStream, Program) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let program = connect(words).stdin(theirs.try_clone().unwrap()).stdout(theirs);
    (ours, program)
}

/// Takes the connection as ssh does: one byte with one descriptor. After it nothing comes but the end.
#[track_caller]
fn taken(ours: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 16];
    let received = recvmsg(ours, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty());
    assert_eq!(received.unwrap().bytes, 1, "one byte");
    let mut descriptors: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(descriptors.len(), 1, "one descriptor");
    let mut rest = Vec::new();
    (&*ours).read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "after the byte");
    descriptors.remove(0)
}

/// Runs it to its end and takes the connection.
#[track_caller]
pub(crate) fn hand_over(words: impl AsRef<str>) -> TcpStream {
    let (ours, program) = handing_over(words);
    program.start().wait().expect_success();
    TcpStream::from(taken(&ours))
}

#[test]
fn a_direct_connection_is_handed_over_and_outlives_the_program() {
    let server = script().expect("ping").send("pong").expect_eof().send("bye").serve();
    let mut connection = hand_over(format!("-F {}", server.args()));
    connection.write_all(b"ping").unwrap();
    let mut pong = [0; 4];
    connection.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"pong");
    connection.shutdown(Shutdown::Write).unwrap();
    let mut bye = String::new();
    connection.read_to_string(&mut bye).unwrap();
    assert_eq!(bye, "bye");
    server.finish();
}

/// As `nc -F` leaves it: the flag is that of the open file, and ssh is not the only one to take it.
#[test]
fn the_connection_is_blocking_and_does_not_delay() {
    let server = script().drain().serve();
    let connection = hand_over(format!("--fdpass {}", server.args()));
    assert!(!is_nonblocking(&connection));
    assert!(connection.nodelay().unwrap());
    drop(connection);
    server.finish();
}

/// What came in one segment with the reply has not been read.
#[test]
fn through_every_proxy_not_one_byte_of_the_tunnel_is_lost() {
    let telnet = || script().expect_until("\r\n").send("Connected to example.org.\r\n");
    let ways: [Way; 6] = [
        ("-S", socks5_none),
        ("-S me:secret@", || socks5_userpass("me", "secret")),
        ("-4 -R remote -S", || socks4_request().send(SOCKS4_GRANTED)),
        ("-H", http_ok),
        ("-H me:secret@", || http_basic("me", "secret")),
        ("-T", telnet),
    ];
    for (options, granted) in ways {
        let proxy = granted().early(bytes(1, 100_000)).expect("ping").expect_eof().serve();
        let blank = if options.ends_with('@') { "" } else { " " };
        let mut connection = hand_over(format!("-F {options}{blank}{proxy} example.org 22"));
        connection.write_all(b"ping").unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        connection.read_to_end(&mut all).unwrap();
        assert_eq!(
            Digest::from_reader(&all[..]),
            Digest::from_reader(data(1, 100_000)),
            "{options}: {} bytes",
            all.len()
        );
        proxy.finish();
    }
}

#[test]
fn a_unix_domain_socket_is_handed_over() {
    let path = TempPath::new("s");
    let listener = UnixListener::bind(&*path).unwrap();
    let (ours, program) = handing_over("-F");
    program.arg(format!("unix:{}", path.display())).start().wait().expect_success();
    let mut connection = UnixStream::from(taken(&ours));
    connection.write_all(b"ping").unwrap();
    let mut ping = [0; 4];
    listener.accept().unwrap().0.read_exact(&mut ping).unwrap();
    assert_eq!(&ping, b"ping");
}

#[test]
fn stdout_that_cannot_take_it_is_an_error_before_anybody_is_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let words = format!("-F 127.0.0.1 {}", listener.local_addr().unwrap().port());
    let tcp = TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).unwrap();
    let file = TempPath::new("output");
    for stdout in [
        Io::Pipe,
        Io::Null,
        OwnedFd::from(tcp).into(),
        File::create(&*file).unwrap().into(),
        Pty::raw().slave().into(),
    ] {
        let out = connect(&words).stdout(stdout).run();
        out.expect_failure(2, &["-F", "ProxyUseFdpass", "standard output is not a UNIX-domain socket"]);
    }
    connect(&words).stdout(Io::Closed).run().expect_failure(2, &["-F", "standard output is closed"]);
    assert!(listener.accept().is_err(), "it was dialled");
}

#[test]
fn with_a_proxy_that_refuses_nothing_is_handed_over() {
    let proxy = socks5_refused(5).serve();
    let (mut ours, program) = handing_over(format!("-F -S {proxy} example.org 22"));
    program.start().wait().expect_failure(5, &["connection refused"]);
    let mut nothing = Vec::new();
    ours.read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing, b"");
    proxy.finish();
}

#[test]
fn it_is_the_only_local_side() {
    for other in ["-p 0", "-P 0", "--listen 0"] {
        connect(format!("-F {other} host 22")).run().expect_failure(2, &["-F and ", "exclude each other"]);
    }
}

#[test]
fn a_receiver_that_went_away_ends_it_quietly() {
    let gate = Gate::new();
    let proxy = socks5_request().wait_for(&gate).send(SOCKS5_GRANTED).expect_disconnect().serve();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stdout = theirs.try_clone().unwrap();
    let mut run = connect(format!("-F -S {proxy} example.org 22")).stdout(stdout).start();
    drop(ours);
    // Programs that other tests are starting just now have it as well, until they run.
    wait_for_hangup(&theirs);
    gate.open();
    run.wait().expect_code(8).expect_stderr("");
    proxy.finish();
}

fn wait_for_hangup(socket: &UnixStream) {
    // A hang-up is told without being asked for.
    let mut watches = [PollFd::new(socket, PollFlags::empty())];
    assert_eq!(poll(&mut watches, Some(&Timespec::try_from(TIMEOUT).unwrap())), Ok(1));
}

/// A full socket is waited for, also one that was given to the program non-blocking.
#[test]
fn a_receiver_that_is_slow_is_waited_for() {
    let server = script().expect_eof().serve();
    let (ours, program) = handing_over(format!("-F {}", server.args()));
    let (filler, theirs) = UnixStream::pair().unwrap();
    set_nonblocking(&theirs, true);
    let mut full = 0;
    while let Ok(count) = (&theirs).write(&[b'x'; 4096]) {
        full += count;
    }
    let mut run = program.stdout(theirs).start();
    thread::sleep(Duration::from_millis(300));
    assert!(run.is_running());
    let mut filling = vec![0; full];
    (&filler).read_exact(&mut filling).unwrap();
    drop(taken(&filler));
    drop(ours);
    run.wait().expect_success().expect_cpu_below(Duration::from_millis(200));
    server.finish();
}

//! `-F`: the connection is passed over standard output to the parent process, as ssh expects with
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

/// The options for a proxy, and a function that returns the proxy's script.
type ProxyCase = (&'static str, fn() -> Script);

/// Returns ssh's end of a socket pair, and a run that uses the other end as standard input and
/// output.
fn passing(args: impl AsRef<str>) -> (UnixStream, Program) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(TIMEOUT)).unwrap();
    let program = connect(args).stdin(theirs.try_clone().unwrap()).stdout(theirs);
    (ours, program)
}

/// Receives the connection as ssh does: one byte with one descriptor, followed by EOF.
#[track_caller]
fn receive(ours: &UnixStream) -> OwnedFd {
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
    assert_eq!(rest, b"", "data after the byte");
    descriptors.remove(0)
}

/// Waits for the program to exit and receives the connection.
#[track_caller]
pub(crate) fn pass_connection(args: impl AsRef<str>) -> TcpStream {
    let (ours, program) = passing(args);
    program.start().wait().expect_success();
    TcpStream::from(receive(&ours))
}

#[test]
fn a_direct_connection_is_passed_and_outlives_the_program() {
    let server = script().expect("ping").send("pong").expect_eof().send("bye").serve();
    let mut connection = pass_connection(format!("-F {}", server.args()));
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

/// The receiver shares the open file description and would inherit `O_NONBLOCK`, which not every
/// receiver expects. `nc -F` also passes a blocking connection.
#[test]
fn the_connection_is_blocking_and_has_no_delay() {
    let server = script().drain().serve();
    let connection = pass_connection(format!("--fdpass {}", server.args()));
    assert!(!is_nonblocking(&connection));
    assert!(connection.nodelay().unwrap());
    drop(connection);
    server.finish();
}

/// Data that arrived with the proxy's reply must still be in the socket.
#[test]
fn no_byte_of_the_tunnel_is_lost_with_any_proxy_protocol() {
    let telnet = || script().expect_until("\r\n").send("Connected to example.org.\r\n");
    let cases: [ProxyCase; 6] = [
        ("-S", socks5_none),
        ("-S me:secret@", || socks5_userpass("me", "secret")),
        ("-4 -R remote -S", || socks4_request().send(SOCKS4_GRANTED)),
        ("-H", http_ok),
        ("-H me:secret@", || http_basic("me", "secret")),
        ("-T", telnet),
    ];
    for (options, granted) in cases {
        let proxy = granted().early(bytes(1, 100_000)).expect("ping").expect_eof().serve();
        let blank = if options.ends_with('@') { "" } else { " " };
        let mut connection = pass_connection(format!("-F {options}{blank}{proxy} example.org 22"));
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
fn a_unix_domain_socket_is_passed() {
    let path = TempPath::new("s");
    let listener = UnixListener::bind(&*path).unwrap();
    let (ours, program) = passing("-F");
    program.arg(format!("unix:{}", path.display())).start().wait().expect_success();
    let mut connection = UnixStream::from(receive(&ours));
    connection.write_all(b"ping").unwrap();
    let mut ping = [0; 4];
    listener.accept().unwrap().0.read_exact(&mut ping).unwrap();
    assert_eq!(&ping, b"ping");
}

#[test]
fn an_unsuitable_stdout_is_an_error_before_dialling() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let args = format!("-F 127.0.0.1 {}", listener.local_addr().unwrap().port());
    let tcp = TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).unwrap();
    let file = TempPath::new("output");
    for stdout in [
        Io::Pipe,
        Io::Null,
        OwnedFd::from(tcp).into(),
        File::create(&*file).unwrap().into(),
        Pty::raw().slave().into(),
    ] {
        let out = connect(&args).stdout(stdout).run();
        out.expect_failure(2, &["-F", "ProxyUseFdpass", "standard output is not a UNIX-domain socket"]);
    }
    connect(&args).stdout(Io::Closed).run().expect_failure(2, &["-F", "standard output is closed"]);
    assert!(listener.accept().is_err(), "the target was dialled");
}

#[test]
fn nothing_is_passed_if_the_proxy_refuses() {
    let proxy = socks5_refused(5).serve();
    let (mut ours, program) = passing(format!("-F -S {proxy} example.org 22"));
    program.start().wait().expect_failure(5, &["connection refused"]);
    let mut nothing = Vec::new();
    ours.read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing, b"");
    proxy.finish();
}

#[test]
fn it_excludes_other_local_endpoints() {
    for other in ["-p 0", "-P 0", "--listen 0"] {
        connect(format!("-F {other} host 22")).run().expect_failure(2, &["-F cannot be combined with "]);
    }
}

#[test]
fn a_receiver_that_has_closed_ends_the_run_silently() {
    let gate = Gate::new();
    let proxy = socks5_request().wait_for(&gate).send(SOCKS5_GRANTED).expect_disconnect().serve();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stdout = theirs.try_clone().unwrap();
    let mut run = connect(format!("-F -S {proxy} example.org 22")).stdout(stdout).start();
    drop(ours);
    // A child forked by another test may hold a copy of `ours` until it calls exec.
    wait_for_hangup(&theirs);
    gate.open();
    run.wait().expect_code(8).expect_stderr("");
    proxy.finish();
}

fn wait_for_hangup(socket: &UnixStream) {
    // poll reports a hang-up even if no event is requested.
    let mut watches = [PollFd::new(socket, PollFlags::empty())];
    assert_eq!(poll(&mut watches, Some(&Timespec::try_from(TIMEOUT).unwrap())), Ok(1));
}

/// The program waits until a full socket has room, even if the socket was inherited as
/// non-blocking.
#[test]
fn a_slow_receiver_is_waited_for() {
    let server = script().expect_eof().serve();
    let (ours, program) = passing(format!("-F {}", server.args()));
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
    drop(receive(&filler));
    drop(ours);
    run.wait().expect_success().expect_cpu_below(Duration::from_millis(200));
    server.finish();
}

//! `--listen` under pressure: clients that leave early, exhausted memory, a full stderr pipe, and a
//! wrong password. Linux, because the tests look into `/proc` and fill kernel buffers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use socket2::SockRef;

use super::ANY;
use crate::kit::*;
use crate::listening::*;

/// Resets the connection.
fn reset(client: TcpStream) {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// Expects that the program gives up on clients that reset their connections, with these args.
/// `reached` waits until the program has begun to serve that many clients.
#[track_caller]
fn expect_abandoned(args: &str, reached: impl Fn(&Listening, usize)) {
    const CLIENTS: usize = 20;
    let run = listening(format!("{ANY} {args}"));
    let address = run.address();
    let before = run.count_descriptors_and_threads();
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect_to(address)).collect();
    reached(&run, CLIENTS);
    clients.into_iter().for_each(reset);
    eventually("all sessions to end", || run.count_descriptors_and_threads() == before);
    run.wait_for_lines("client disconnected before the target was reached", CLIENTS);
    assert_eq!(run.close(), [""; 0], "messages about clients that left");
}

/// Each such client used to hold a thread and two descriptors until connect(2) failed after two
/// minutes.
#[test]
fn clients_that_left_were_dialled_for() {
    let silent = SilentPort::new();
    expect_abandoned(&format!("127.0.0.1 {}", silent.port()), |run, count| {
        run.wait_for_lines("connecting to 127.0.0.1:", count);
    });
}

#[test]
fn clients_that_left_during_a_handshake_were_not_noticed() {
    let proxy = Server::repeat(|| script().read_connect_request().expect_disconnect());
    expect_abandoned(&format!("-H {proxy} host.example 22"), |run, count| {
        run.wait_for_lines(">>> \"CONNECT host.example:22", count);
    });
}

/// connect(2) to a UNIX-domain socket whose backlog is full used to block forever.
#[test]
fn clients_that_left_waited_for_a_unix_socket_forever() {
    let path = TempPath::new("full");
    let listener = UnixListener::bind(&*path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _waiting = UnixStream::connect(&*path).unwrap();
    expect_abandoned(&format!("unix:{}", path.display()), |run, count| {
        run.wait_for_lines("connecting to unix:", count);
    });
}

#[test]
fn a_client_that_has_half_closed_is_not_abandoned() {
    let go = Gate::new();
    let proxy = http_proxy_that_waits_for(&go).expect("request").expect_eof().send("answer").serve();
    let run = listening(format!("{ANY} -H {proxy} host.example 22"));
    let mut client = run.client();
    client.write_all(b"request").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    run.wait_for_line(">>> \"CONNECT");
    // The program polls the client during this time.
    thread::sleep(Duration::from_millis(300));
    go.open();
    assert_eq!(read_to_end(&client), "answer");
    proxy.finish();
    assert_eq!(run.close(), [""; 0]);
}

/// Returns the script of a proxy that replies to CONNECT once the gate is open.
fn http_proxy_that_waits_for(gate: &Gate) -> Script {
    script().read_connect_request().wait_for(gate).send("HTTP/1.1 200 OK\r\n\r\n")
}

/// If the client had reset its connection, `getpeername` failed, and the target received the
/// client's request after a PROXY protocol header without addresses. The target then treated the
/// request as coming from `connect` itself.
#[test]
fn a_client_that_reset_its_connection_was_hidden_from_the_target() {
    for version in ["v1", "v2"] {
        let go = Gate::new();
        let proxy = http_proxy_that_waits_for(&go).expect_disconnect().serve();
        let run = listening(format!("{ANY} --proxy-protocol {version} -H {proxy} host.example 22"));
        let mut client = run.client();
        client.write_all(b"DELETE /everything\r\n").unwrap();
        run.wait_for_line(">>> \"CONNECT");
        reset(client);
        run.wait_for_line("client disconnected before the target was reached");
        go.open();
        assert!(!show(&proxy.finish_one().received).contains("DELETE"));
    }
}

/// Changes the limit of the program's address space. `None` removes the limit.
fn limit_memory(run: &Listening, limit: Option<u64>) {
    let pid = Pid::from_raw(run.run.pid().cast_signed());
    prlimit(pid, Resource::As, Rlimit { current: limit, maximum: None }).unwrap();
}

/// Returns the size of the program's address space, in bytes.
fn address_space(run: &Listening) -> u64 {
    let pages = fs::read_to_string(format!("/proc/{}/statm", run.run.pid())).unwrap();
    pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096
}

/// Running out of memory for one client used to end the listener and all sessions. Where a thread
/// had to start for the client, glibc aborted the process.
#[test]
fn memory_that_ran_out_for_one_client_ended_the_listener() {
    for needs_thread in [false, true] {
        let target = Server::repeat(|| script().echo());
        let run = listening(format!("{ANY} {}", target.args()));
        run.address();
        let threads = || run.count_descriptors_and_threads().1;
        let without_clients = threads();
        let first = run.client();
        expect_echo(&first, "first");
        if needs_thread {
            eventually("the thread that connected the client to exit", || threads() == without_clients);
        }
        limit_memory(&run, Some(address_space(&run)));
        for _ in 0..3 {
            let error = run.client().read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        limit_memory(&run, None);
        expect_echo(&first, "still there");
        expect_echo(run.client(), "another");
        drop(first);
        let [message] = &run.close()[..] else { panic!("not one message for three clients") };
        assert!(message.starts_with("connect: cannot serve a client: "), "{message}");
    }
}

/// Clients used to wait until somebody read the message about the client before them.
#[test]
fn a_full_stderr_pipe_held_clients() {
    let refusing = RefusingPort::new();
    let (mut reader, mut writer) = pipe();
    let junk = fill(&mut writer, 1, Duration::ZERO);
    let path = TempPath::new("s");
    let args = format!("--listen unix:{} 127.0.0.1 {}", path.display(), refusing.port());
    let mut run = connect(args).stderr(writer).start();
    // The path exists before the socket listens.
    eventually("the listener", || UnixStream::connect(&*path).is_ok());
    for _ in 0..10 {
        let client = UnixStream::connect(&*path).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        expect_disconnect(client);
    }
    // Once the pipe has room, a message reports how many were dropped.
    read(&mut reader, usize::try_from(junk).unwrap());
    expect_disconnect(UnixStream::connect(&*path).unwrap());
    let mut message = String::new();
    // The message may be written after the connection is closed.
    BufReader::new(reader).read_line(&mut message).unwrap();
    assert!(message.contains("earlier messages dropped)"), "{message}");
    run.signal(Signal::TERM);
    run.wait();
    assert!(!path.exists());
}

/// Each client used to send the password again, which locks the account.
#[test]
fn a_rejected_password_was_sent_for_each_client() {
    const CHALLENGE: &str =
        "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
    let proxy = Server::repeat(|| script().read_connect_request().send(CHALLENGE).expect_disconnect());
    let run = listening(format!("{ANY} -H me:wrong@{proxy} host.example 22"));
    let together: Vec<_> = (0..5).map(|_| run.client()).collect();
    together.into_iter().for_each(expect_disconnect);
    expect_disconnect(run.client());
    run.wait_for_lines("rejected the password for user 'me' earlier: not sending it again", 5);
    drop(run);
    let requests = proxy.finish();
    let sent = requests.iter().filter(|request| show(&request.received).contains("Proxy-Authorization"));
    assert_eq!(sent.count(), 1);
}

/// epoll(7) reports urgent data for as long as nobody has read past it.
#[test]
fn urgent_data_without_any_other_kept_a_processor_busy() {
    let target = script().expect_eof().serve();
    let run = listening(format!("{ANY} {}", target.args()));
    let client = run.client();
    SockRef::from(&client).send_out_of_band(b"!").unwrap();
    thread::sleep(Duration::from_millis(500));
    drop(client);
    target.finish();
    let cpu = run.stop(Signal::TERM).cpu;
    assert!(cpu < Duration::from_millis(200), "{cpu:?}");
}

//! Forwarded connections.

use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use connect::ssh::wire::Write;

use super::*;
use crate::listening::*;
use crate::ssh::host::Dialled;
use crate::ssh::server::{Channel, echo};

/// Starts a run with `-d` that only forwards.
fn forwarding(server: &SshServer, options: &str) -> Listening {
    listening(args(server, options, ""))
}

/// Returns the data of a channel for a connection that a client at the server has opened.
fn dialled(address: &str, port: u32) -> Vec<u8> {
    let mut data = Vec::new();
    data.put_string(address).put_u32(port).put_string("192.0.2.7").put_u32(5);
    data
}

/// A client that sends a text, expects another one and EOF, and sends EOF.
fn client(sends: &'static str, expects: &'static str, log: &Log) -> Target {
    let (mut is_sent, mut received, log) = (false, Vec::new(), log.clone());
    Box::new(move |connection, channel| {
        if !is_sent {
            is_sent = true;
            connection.write(channel, sends.as_bytes()).unwrap();
            connection.send_eof(channel).unwrap();
        }
        let mut buffer = [0; 1024];
        match connection.read(channel, Source::Data, &mut buffer).unwrap() {
            Some(0) => {
                assert_eq!(String::from_utf8_lossy(&received), expects);
                log.push("client is done".into());
                connection.close(channel).unwrap();
                false
            }
            Some(count) => {
                received.extend_from_slice(&buffer[..count]);
                true
            }
            None => true,
        }
    })
}

#[test]
fn local_connections_reach_the_target_in_both_directions() {
    let (setup, log) = Host::new(|_| None).forwarding(|_| Channel::Open(echo())).setup();
    let server = setup.start();
    let run = forwarding(&server, "--local-forward 127.0.0.1:0=inner:80");
    let (first, second) = (run.client(), run.client());
    expect_echo(&first, "one");
    expect_echo(&second, "two");
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&first), "");
    expect_echo(&second, "three");
    assert_eq!(log.lines(), ["direct-tcpip inner:80"; 2]);
    let end = run.stop(Signal::TERM);
    assert_eq!((end.code, end.messages.len()), (Some(0), 1), "only the port is printed: {end:?}");
    expect_reset(&second);
    server.finish();
}

#[test]
fn a_forwarded_connection_that_is_stuck_stops_no_other() {
    let (setup, log) = Host::new(|_| None)
        .forwarding(|target| match target {
            "direct-tcpip flood:1" => Channel::Open(Box::new(|connection, channel| {
                // Fills the window of the channel.
                connection.write(channel, &[0; 8 * 1024]).unwrap();
                !connection.has_closed(channel)
            })),
            _ => Channel::Open(echo()),
        })
        .setup();
    let server = setup.start();
    let run = forwarding(&server, "--local-forward 127.0.0.1:0=flood:1 --local-forward 127.0.0.1:0=echo:1");
    let addresses = run.addresses(2);
    let stuck = connect_to(addresses[0]);
    log.wait_for("direct-tcpip flood:1");
    expect_echo(&connect_to(addresses[1]), bytes(31, 300_000));
    drop(stuck);
    run.stop(Signal::INT);
    server.finish();
}

#[test]
fn sockets_and_queues_are_targets() {
    let directory = TempPath::directory("sockets");
    let socket = directory.join("local");
    let (setup, log) = Host::new(|_| None).forwarding(|_| Channel::Open(echo())).setup();
    let server = setup.start();
    let options = format!(
        "--local-forward unix:{}=unix:/run/remote --local-forward 127.0.0.1:0=queue:jobs",
        socket.display()
    );
    let run = forwarding(&server, &options);
    let address = run.address();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the user may connect");
    expect_echo(UnixStream::connect(&socket).unwrap(), "socket");
    expect_echo(connect_to(address), "queue");
    assert_eq!(log.lines(), ["direct-streamlocal@openssh.com /run/remote", "direct-tcpip jobs:1"]);
    run.stop(Signal::TERM);
    assert!(!socket.exists(), "the socket is removed");
    server.finish();
}

#[test]
fn a_refused_connection_is_one_line_and_the_others_go_on() {
    let mut count = 0;
    let open = move |_: &str| {
        count += 1;
        match count {
            1 => Channel::Refuse(2, "Connection refused"),
            2 => Channel::Refuse(1, "open failed"),
            _ => Channel::Open(echo()),
        }
    };
    let server = Host::new(|_| None).forwarding(open).setup().0.start();
    let run = forwarding(&server, "--local-forward 127.0.0.1:0=inner:80");
    for expected in ["could not connect to inner:80: connection refused", "refused to forward to inner:80"] {
        let client = run.client();
        let name = client.local_addr().unwrap().to_string();
        let line = run.wait_for_line(expected);
        assert!(line.starts_with(&format!("connect: client {name}: SSH server")), "{line}");
        expect_reset(client);
    }
    expect_echo(run.client(), "third");
    assert_eq!(run.stop(Signal::TERM).code, Some(0));
    server.finish();
}

#[test]
fn forwards_end_with_the_command() {
    let server = Host::new(|_| Some(cat(3))).forwarding(|_| Channel::Open(echo())).setup().0.start();
    let program = connect(format!("-d {}", args(&server, "--local-forward 127.0.0.1:0=inner:80", "cat")));
    let (reader, writer) = pipe();
    let run = Listening::start(program.stdin(reader));
    let client = run.client();
    expect_echo(&client, "while the command runs");
    drop(writer);
    assert_eq!(run.end().code, Some(3));
    expect_reset(client);
    server.finish();
}

#[test]
fn forwards_end_with_the_connection() {
    let open = |_: &str| {
        Channel::Open(Box::new(|connection, _| {
            connection.disconnect_with(11, "going down");
            false
        }))
    };
    let server = Host::new(|_| None).forwarding(open).setup().0.start();
    let run = forwarding(&server, "--local-forward 127.0.0.1:0=inner:80");
    let client = run.client();
    let end = run.end();
    assert_eq!(end.code, Some(8), "{end:?}");
    assert!(end.messages.last().unwrap().contains("closed the connection: \"going down\""), "{end:?}");
    expect_reset(client);
    server.finish();
}

#[test]
fn remote_connections_reach_the_target_at_this_end() {
    let target = script().expect("ping").expect_eof().send("pong").serve();
    let log = Log::default();
    let seen = log.clone();
    let listen = move |request: &str| {
        assert_eq!(request, "tcpip-forward localhost:0");
        let own: Dialled = ("forwarded-tcpip", dialled("localhost", 4321), client("ping", "pong", &seen));
        Some((4321_u32.to_be_bytes().to_vec(), vec![own]))
    };
    let server = Host::new(|_| None).with_log(&log).listening(listen).setup().0.start();
    let run = at(&server, &format!("-q --remote-forward 0={target}"), "").start();
    run.wait_stderr_has("listening on port 4321 of 127.0.0.1");
    log.wait_for("client is done");
    run.signal(Signal::TERM);
    run.finish().expect_code(0).expect_stderr("connect: listening on port 4321 of 127.0.0.1\n");
    server.finish();
    target.finish();
}

/// asyncssh names the port as it was requested.
#[test]
fn a_server_may_name_port_0_unless_that_is_ambiguous() {
    for (options, expected) in [("", "client is done"), ("--remote-forward 0=9", "refused 1 no such forward")]
    {
        let is_unique = options.is_empty();
        let target = is_unique.then(|| script().expect("ping").expect_eof().send("pong").serve());
        let address = target.as_ref().map_or("127.0.0.1:9".into(), ToString::to_string);
        let log = Log::default();
        let (seen, mut next) = (log.clone(), 4321_u32);
        let mut own: Vec<Dialled> =
            vec![("forwarded-tcpip", dialled("localhost", 0), client("ping", "pong", &seen))];
        let is_last = move |port: u32| is_unique || port > 4321;
        let listen = move |_: &str| {
            let port = next;
            next += 1;
            Some((
                port.to_be_bytes().to_vec(),
                if is_last(port) { std::mem::take(&mut own) } else { Vec::new() },
            ))
        };
        let server = Host::new(|_| None).with_log(&log).listening(listen).setup().0.start();
        let run = at(&server, &format!("--remote-forward 0={address} {options}"), "").start();
        log.wait_for(expected);
        run.signal(Signal::TERM);
        run.finish().expect_code(0);
        server.finish();
        if let Some(target) = target {
            target.finish();
        }
    }
}

/// The server must not be able to reach anything but the targets of the user's forwards.
#[test]
fn only_channels_of_own_forwards_are_accepted() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = target.local_addr().unwrap().port();
    let listen = |_: &str| {
        let never = || -> Target { Box::new(|_, _| panic!("the channel is open")) };
        let mut x11 = Vec::new();
        x11.put_string("192.0.2.7").put_u32(5);
        let mut socket = Vec::new();
        socket.put_string("/run/other").put_string("");
        let others: Vec<Dialled> = vec![
            ("forwarded-tcpip", dialled("localhost", 81), never()),
            ("forwarded-tcpip", dialled("127.0.0.1", 80), never()),
            ("forwarded-streamlocal@openssh.com", socket, never()),
            ("auth-agent@openssh.com", Vec::new(), never()),
            ("x11", x11, never()),
            ("direct-tcpip", dialled("localhost", 80), never()),
        ];
        Some((Vec::new(), others))
    };
    let (setup, log) = Host::new(|_| None).listening(listen).setup();
    let server = setup.start();
    let run = at(&server, &format!("--remote-forward 80=127.0.0.1:{port}"), "").start();
    let refused = || log.lines().iter().filter(|line| *line == "refused 1 no such forward").count();
    eventually("all channels to be refused", || refused() == 6);
    run.signal(Signal::TERM);
    run.finish().expect_code(0).expect_stderr("");
    target.set_nonblocking(true).unwrap();
    assert!(target.accept().is_err(), "nothing has connected to the target");
    server.finish();
}

#[test]
fn a_target_that_refuses_is_one_line() {
    let closed = RefusingPort::new();
    let listen = |_: &str| {
        let never: Target = Box::new(|_, _| panic!("the channel is open"));
        Some((Vec::new(), vec![("forwarded-tcpip", dialled("localhost", 80), never)]))
    };
    let (setup, log) = Host::new(|_| None).listening(listen).setup();
    let server = setup.start();
    let run = at(&server, &format!("--remote-forward 80=127.0.0.1:{}", closed.port()), "").start();
    log.wait_for("refused 2 connection failed");
    run.wait_stderr_has(&format!(
        "connect: client 192.0.2.7:5: cannot connect to 127.0.0.1:{}",
        closed.port()
    ));
    run.signal(Signal::TERM);
    run.finish().expect_code(0);
    server.finish();
}

#[test]
fn sockets_and_queues_at_the_server_are_requested_by_name() {
    let (setup, log) = Host::new(|_| None).listening(|_| Some((Vec::new(), Vec::new()))).setup();
    let server = setup.start();
    let options = "--remote-forward unix:/run/s=80 --remote-forward queue:jobs=80 --remote-forward *:8080=80";
    let run = at(&server, options, "").start();
    for line in ["streamlocal-forward@openssh.com /run/s", "tcpip-forward jobs:1", "tcpip-forward :8080"] {
        log.wait_for(line);
    }
    run.signal(Signal::TERM);
    run.finish().expect_code(0).expect_stderr("");
    server.finish();
}

#[test]
fn a_refused_remote_forward_ends_the_run() {
    let server = Host::new(|_| None).setup().0.start();
    let expected = format!("{} refused --remote-forward 8080", name(&server));
    at(&server, "--remote-forward 8080=80", "").run().expect_failure(5, &[&expected]);
    server.finish();
    let server = Host::new(|_| Some(waits())).setup().0.start();
    let expected = format!("{} refused --remote-forward unix:/run/s", name(&server));
    at(&server, "--remote-forward unix:/run/s=80", "ls").run().expect_failure(255, &[&expected]);
    server.finish();
}

#[test]
fn a_port_that_is_taken_ends_the_run() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let server = Host::new(|_| None).setup().0.start();
    let out = at(&server, &format!("--local-forward 127.0.0.1:{port}=80"), "").run();
    out.expect_failure(1, &["cannot listen on", "Address already in use"]);
    server.finish();
}

//! SSH connections that the clients of `--listen` share, and targets other than TCP addresses.

use std::io::{Read, Write};
use std::net::TcpStream;

use connect::ssh::connection::Source;
use connect::ssh::error::Error;
use connect::ssh::reason::BY_APPLICATION;
use connect::ssh::transport::Limits;

use super::server::{Channel, Setup, SshServer, Target, echo};
use crate::kit::*;
use crate::listening::*;

/// Returns the arguments of a run through the server, without a target.
fn through(server: &SshServer, args: &str) -> String {
    let (port, known_hosts, key) = (server.port(), server.known_hosts.display(), server.key.display());
    format!("-x ssh://me@127.0.0.1:{port} --ssh-agent off --ssh-known-hosts {known_hosts} -i {key} {args}")
}

/// Sends as much as the client's window allows, and never reads.
fn flood() -> Target {
    Box::new(|connection, channel| {
        while connection.write(channel, &[0x5a; 16 * 1024]).unwrap() > 0 {}
        !connection.has_closed(channel)
    })
}

/// Ends the connection when the client has sent something.
fn maintenance() -> Target {
    Box::new(|connection, channel| {
        if connection.read(channel, Source::Data, &mut [0; 16]).unwrap().is_some() {
            connection.disconnect_with(BY_APPLICATION, "maintenance");
            return false;
        }
        true
    })
}

/// Waits until the target has received these bytes and sent them back.
fn exchange(client: &TcpStream, seed: u64, length: usize) {
    let data = bytes(seed, length);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (&*client).write_all(&data).unwrap());
        assert!(read(client, length) == data, "client {seed}");
        writer.join().unwrap();
    });
}

#[test]
fn clients_share_a_connection_and_a_login() {
    let server = Setup::new().start();
    let run = listening(server.args("--listen 127.0.0.1:0"));
    let clients: Vec<_> = (0..3).map(|_| run.client()).collect();
    for client in &clients {
        expect_echo(client, "hello");
    }
    drop(clients);
    // The connection stays open without a channel.
    run.wait_for_lines("connection closed by peer", 3);
    expect_echo(run.client(), "again");
    assert_eq!(run.close(), [""; 0]);
    let seen = server.finish_one();
    assert_eq!(seen.targets, ["direct-tcpip host.example:22"; 4]);
    assert_eq!(seen.methods, ["publickey"]);
    assert!(matches!(seen.end, Some(Error::Disconnected { reason: BY_APPLICATION, .. })), "{:?}", seen.end);
}

#[test]
fn clients_that_do_not_read_stop_no_other() {
    let mut count = 0;
    let channel = move || {
        count += 1;
        Channel::Open(if count <= 3 { flood() } else { echo() })
    };
    // Keys are exchanged again while the channels are busy.
    let limits = Limits { bytes: 4 << 20, ..Limits::default() };
    let server = Setup { limits, ..Setup::new() }.channel(channel).start();
    let run = listening(server.args("--listen 127.0.0.1:0"));
    let stuck: Vec<_> = (0..3).map(|_| run.client()).collect();
    for client in &stuck {
        // Its channel is open.
        assert_eq!(read(client, 1), b"\x5a");
        client.set_nonblocking(true).unwrap();
        // The target does not read either.
        let _ = (&*client).write(&[0; 16 * 1024]);
    }
    let clients: Vec<_> = (0..61).map(|_| run.client()).collect();
    for (seed, client) in clients.iter().enumerate() {
        exchange(client, seed as u64, 100_000);
    }
    drop((stuck, clients));
    run.close();
    assert!(server.finish_one().key_exchanges > 0);
}

#[test]
fn a_connection_that_is_full_gets_a_sibling() {
    let server = Setup { connections: 2, ..Setup::new() }.start();
    let run = listening(server.args("--listen 127.0.0.1:0"));
    let clients: Vec<_> = (0..65).map(|_| run.client()).collect();
    for client in &clients {
        expect_echo(client, "all at once");
    }
    drop(clients);
    run.close();
    let seen = server.finish();
    assert_eq!(seen.iter().map(|seen| seen.targets.len()).sum::<usize>(), 65);
    assert_eq!(seen.iter().map(|seen| seen.targets.len()).max(), Some(64));
}

#[test]
fn the_end_of_a_connection_resets_its_clients_and_the_next_client_gets_another() {
    let mut count = 0;
    let channel = move || {
        count += 1;
        Channel::Open(if count == 3 { maintenance() } else { echo() })
    };
    let server = Setup { connections: 2, ..Setup::new() }.channel(channel).start();
    let port = server.port();
    let run = listening(server.args("--listen 127.0.0.1:0"));
    let mut clients: Vec<_> = (0..2).map(|_| run.client()).collect();
    for client in &clients {
        expect_echo(client, "hello");
    }
    clients.push(run.client());
    clients[2].write_all(b"x").unwrap();
    for client in clients {
        expect_reset(client);
    }
    let message = format!("SSH server 127.0.0.1:{port} closed the connection: \"maintenance\"");
    run.wait_for_lines(&message, 2);
    expect_echo(run.client(), "next");
    run.close();
    assert_eq!(server.finish()[1].targets.len(), 1);
}

#[test]
fn a_refusal_has_its_reason_and_leaves_the_connection_open() {
    let mut count = 0;
    let channel = move || {
        count += 1;
        match count {
            1 => Channel::Refuse(2, "Connection refused"),
            2 => Channel::Refuse(1, "no"),
            _ => Channel::Open(echo()),
        }
    };
    let server = Setup::new().channel(channel).start();
    let port = server.port();
    let run = listening(through(&server, "--listen socks5://127.0.0.1:0"));
    for expected in [5, 2, 0] {
        let mut client = run.client();
        client.write_all(b"\x05\x01\0").unwrap();
        assert_eq!(read(&client, 2), b"\x05\0");
        client.write_all(b"\x05\x01\0\x03\x09h.example\0\x16").unwrap();
        assert_eq!(read(&client, 10)[1], expected);
        if expected == 0 {
            expect_echo(&client, "hello");
        }
    }
    run.wait_for_line(&format!("127.0.0.1:{port} could not connect to h.example:22: connection refused"));
    run.wait_for_line(" refused to forward to h.example:22: administratively prohibited");
    run.close();
    assert_eq!(server.finish_one().targets, ["direct-tcpip h.example:22"; 3]);
}

#[test]
fn an_idle_session_ends_without_the_connection() {
    let server = Setup::new().start();
    let run = listening(server.args("--idle-timeout 2 --listen 127.0.0.1:0"));
    let client = run.client();
    expect_echo(&client, "hello");
    run.wait_for_line("closed by --idle-timeout");
    expect_disconnect(client);
    expect_echo(run.client(), "next");
    run.close();
    assert_eq!(server.finish_one().targets.len(), 2);
}

#[test]
fn sockets_and_queues_at_the_server_are_targets() {
    for (target, expected) in [
        ("unix:/run/app.sock", "direct-streamlocal@openssh.com /run/app.sock"),
        ("queue:jobs", "direct-tcpip jobs:1"),
    ] {
        let server = Setup::new().start();
        connect(through(&server, target)).input("x").run().expect_success().expect_stdout("x");
        assert_eq!(server.finish_one().targets, [expected]);
        let server = Setup::new().start();
        let run = listening(through(&server, &format!("--proxy-protocol v1 --listen 127.0.0.1:0 {target}")));
        for _ in 0..2 {
            let client = run.client();
            (&client).write_all(b"x").unwrap();
            assert_eq!(read(&client, 11), b"PROXY TCP4 ");
        }
        run.close();
        assert_eq!(server.finish_one().targets, [expected; 2]);
        let server = Setup::new().channel(|| Channel::Refuse(2, "No such file or directory")).start();
        let out = connect(through(&server, &format!("--check {target}"))).run();
        assert_eq!(out.code, Some(4), "{}", out.stderr_text());
        let report = String::from_utf8(out.stdout.clone()).unwrap() + &out.stderr_text();
        let message = format!("could not connect to {target}: no such file or directory");
        assert!(report.contains(&message), "{report}");
        server.finish_one();
    }
}

#[test]
fn a_client_of_p_reaches_a_socket_at_the_server() {
    let server = Setup::new().start();
    let run = listening(through(&server, "-p 0 unix:/run/app.sock"));
    let mut client = run.client();
    expect_echo(&client, "hello");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    run.end().expect_success();
    assert_eq!(server.finish_one().targets, ["direct-streamlocal@openssh.com /run/app.sock"]);
}

#[test]
fn a_queue_needs_an_ssh_server_and_no_port() {
    for (args, code, expected) in [
        ("-x ssh://h queue:jobs 22", 2, "unexpected port '22' after queue:jobs: a queue has no port"),
        ("-x ssh://h queue:a.b", 2, "invalid queue 'a.b': the name of a queue has 1 to 64 letters"),
        ("-x ssh://h|direct unix:/x", 2, "cannot reach unix:/x through a proxy: the last hop of each route"),
        ("-x socks5://127.0.0.1:1 unix:/x", 2, "cannot reach unix:/x through a proxy: it is a local socket"),
        // Here, queue is a host.
        ("-w 5 -x socks5://127.0.0.1:1 queue:22", 4, "cannot connect to SOCKS5 proxy 127.0.0.1:1"),
    ] {
        let out = connect(args).run();
        assert_eq!(out.code, Some(code), "{args}: {}", out.stderr_text());
        assert!(out.stderr_text().contains(expected), "{args}: {}", out.stderr_text());
    }
}

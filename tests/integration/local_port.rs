//! `-p`: a local port whose first client is connected to the target.
//!
//! The tests in `transfer` depend on how bytes are moved, so they run again in
//! `local_port_copying`.

mod transfer;

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use rustix::process::Signal;

use crate::kit::*;
use crate::listening::{
    Listening, connect_to, eventually, expect_disconnect, expect_echo, expect_reset, idle_message,
    read_to_end,
};

/// Starts the program with `-d` and these args. The program uses splice(2) where possible.
fn listening(args: impl AsRef<str>) -> Listening {
    let program = connect(format!("-d {}", args.as_ref())).env("CONNECT_RELAY", "splice");
    Listening::start(program.limit(3 * TIMEOUT))
}

#[cfg(unix)]
const SIGNALS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];

#[test]
fn it_listens_on_loopback_only() {
    let target = script().echo().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let address = run.address();
    assert_eq!(address.ip().to_string(), "127.0.0.1");
    if cfg!(target_os = "linux") {
        let elsewhere = TcpStream::connect(("127.0.0.2", address.port()));
        assert_eq!(elsewhere.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    }
    let client = run.client();
    expect_echo(&client, "hello");
    drop(client);
    run.end().expect_success();
}

#[test]
fn it_listens_on_a_given_address() {
    let target = script().echo().serve();
    let run = listening(format!("-p [::1]:0 {}", target.args()));
    assert_eq!(run.address().ip().to_string(), "::1");
    let client = run.client();
    expect_echo(&client, "hello");
    drop(client);
    run.end().expect_success();
}

/// No machine has this address, so the port is never actually bound.
#[test]
fn a_service_name_is_a_port() {
    let out = connect("-p 203.0.113.1:ssh 127.0.0.1 1").run();
    out.expect_failure(1, &["cannot listen on 203.0.113.1:22: "]);
    let out = connect("-p no-such-service 127.0.0.1 1").run();
    out.expect_failure(2, &["-p", "no-such-service"]);
}

#[test]
fn a_port_in_use_is_an_error() {
    let holder = script().hold().serve();
    let out = connect(format!("-p {} 127.0.0.1 1", holder.port())).run();
    let message = format!("cannot listen on 127.0.0.1:{}: ", holder.port());
    out.expect_failure(1, &[&message, "choose another port, or stop the process that uses it"]);
    drop(TcpStream::connect(holder.to_string()).unwrap());
}

#[test]
fn the_target_is_not_dialled_before_a_client_connects() {
    let run = listening(format!("-p 0 127.0.0.1 {}", RefusingPort::new().port()));
    run.address();
    thread::sleep(Duration::from_millis(100));
    assert!(run.run.is_running());
    assert_eq!(run.messages(), [""; 0]);
}

#[test]
fn a_target_that_refuses_ends_the_run_and_disconnects_the_client() {
    let refusing = RefusingPort::new();
    let run = listening(format!("-p 0 127.0.0.1 {}", refusing.port()));
    let client = run.client();
    expect_disconnect(client);
    run.end().expect_failure(4, &["cannot connect to 127.0.0.1:", "refused"]);
}

#[test]
fn an_unreachable_target_looked_to_the_client_like_an_empty_answer() {
    let run = listening(format!("-p 0 127.0.0.1 {}", RefusingPort::new().port()));
    expect_reset(run.client());
    run.end().expect_failure(4, &["refused"]);
}

#[test]
fn a_second_client_is_refused() {
    let target = script().echo().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let address = run.address();
    let client = run.client();
    expect_echo(&client, "hello");
    let second = TcpStream::connect(address);
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    drop(client);
    run.end().expect_success();
}

#[test]
fn standard_input_is_not_read() {
    let target = script().echo().serve();
    let run = Listening::start(connect(format!("-d -p 0 {}", target.args())).input("not this"));
    let other = script().echo().serve();
    let without_input = Listening::start(connect(format!("-d -p 0 {}", other.args())).stdin(Io::Null));
    run.address();
    without_input.address();
    thread::sleep(Duration::from_millis(100));
    for run in [run, without_input] {
        let client = run.client();
        expect_echo(&client, "this");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&client), "");
        run.end().expect_success();
    }
    assert_eq!(target.finish_one().received, b"this");
}

#[cfg(unix)]
#[test]
fn closed_standard_descriptors_do_not_matter() {
    let target = script().echo().serve();
    let args = format!("-d -p 0 {}", target.args());
    let run = Listening::start(connect(args).stdin(Io::Closed).stdout(Io::Closed));
    let client = run.client();
    expect_echo(&client, "hello");
    drop(client);
    run.end().expect_success();
}

#[test]
fn a_session_without_progress_is_reset_at_both_ends() {
    let target = script().expect_reset().serve();
    let run = listening(format!("-p 0 --idle-timeout 0.3 {}", target.args()));
    expect_reset(run.client());
    run.end().expect_failure(7, &[&idle_message(&target.to_string(), "0.3 seconds")]);
    target.finish();
}

/// Expects `--idle-timeout` to end a session whose client reads nothing, because the program cannot
/// deliver the target's data.
fn expect_idle_timeout(target: Server) {
    let run = listening(format!("-p 0 --idle-timeout 0.3 {}", target.args()));
    let client = run.client();
    run.end().expect_failure(7, &[&idle_message(&target.to_string(), "0.3 seconds")]);
    drop(client);
    target.finish();
}

#[test]
fn a_session_with_a_stuck_client_is_idle() {
    expect_idle_timeout(script().fill().expect_disconnect().serve());
}

#[test]
fn an_idle_session_with_a_stuck_client_resets_the_remote() {
    expect_idle_timeout(script().send_until_reset().serve());
}

#[test]
fn the_port_can_be_used_again_at_once() {
    let targets = Server::repeat(|| script().send("bye"));
    let first = listening(format!("-p 0 {}", targets.args()));
    let port = first.address().port();
    let client = first.client();
    // The program closes first, so the connection stays in TIME_WAIT on the program's side.
    assert_eq!(read_to_end(&client), "bye");
    drop(client);
    first.end().expect_success();
    for _ in 0..2 {
        let again = listening(format!("-p {port} {}", targets.args()));
        assert_eq!(again.address().port(), port);
        let client = connect_to(again.address());
        assert_eq!(read_to_end(&client), "bye");
        drop(client);
        again.end().expect_success();
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait_for_a_client() {
    for signal in SIGNALS {
        let run = listening("-p 0 127.0.0.1 1");
        let address = run.address();
        run.stop(signal).expect_success();
        assert!(TcpStream::connect(address).is_err());
    }
}

#[cfg(unix)]
#[test]
fn a_signal_that_the_parent_process_had_blocked_did_not_end_the_wait_for_a_client() {
    for signal in SIGNALS {
        let run = Listening::start(connect("-d -p 0 127.0.0.1 1").blocking(signal));
        run.address();
        run.stop(signal).expect_success();
    }
}

/// A script ignores SIGINT for the commands that it starts with `&`.
#[cfg(unix)]
#[test]
fn a_signal_that_the_parent_process_ignored_ended_the_wait_for_a_client() {
    for (ignored, other) in [(SIGNALS[0], SIGNALS[1]), (SIGNALS[1], SIGNALS[0])] {
        let target = script().echo().serve();
        let args = format!("-d --listen 127.0.0.1:0 {}", target.args());
        let run = Listening::start(connect(args).ignoring(ignored));
        run.address();
        run.run.signal(ignored);
        expect_echo(run.client(), "hello");
        run.stop(other).expect_success();
    }
}

#[test]
fn a_password_from_the_environment_is_used_for_the_proxy() {
    let target = script().echo().serve();
    let proxy = socks5_userpass("me", "secret").relay().serve();
    let args = format!("-d -p 0 -S me@{proxy} {}", target.args());
    let run = Listening::start(connect(args).env("SOCKS5_PASSWORD", "secret"));
    let client = run.client();
    expect_echo(&client, "hello");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&client), "");
    run.end().expect_success();
    assert_eq!(proxy.finish_one().password.as_deref(), Some("secret"));
}

#[test]
fn data_in_the_segment_of_the_proxys_reply_reaches_the_client() {
    let proxy = socks5_none().early("banner").serve();
    let run = listening(format!("-p 0 -S {proxy} example.org 22"));
    let client = run.client();
    assert_eq!(read_to_end(&client), "banner");
    drop(client);
    run.end().expect_success();
}

#[cfg(target_os = "linux")]
#[test]
fn without_splice_bytes_are_copied() {
    const SIZE: u64 = 5 * MIB;
    let target = script().exchange(1, SIZE).serve();
    let run = Listening::start(connect(format!("-d -p 0 {}", target.args())).without_splice());
    let client = run.client();
    let mut write = client.try_clone().unwrap();
    let writer = thread::spawn(move || {
        copy(&mut data(2, SIZE), &mut write).unwrap();
        write.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(Digest::from_reader(&client), Digest::from_reader(data(1, SIZE)));
    writer.join().unwrap();
    drop(client);
    run.end().expect_success();
    assert_eq!(target.finish_one().digest, Some(Digest::from_reader(data(2, SIZE))));
}

#[test]
fn a_client_that_disconnects_during_dialling_ends_the_run() {
    let proxy = script().read_connect_request().expect_disconnect().serve();
    let run = listening(format!("-p 0 -H {proxy} host.example 22"));
    let client = run.client();
    run.wait_for_line(">>> \"CONNECT");
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    run.end().expect_failure(8, &["client disconnected before the target was reached"]);
    proxy.finish();
}

/// The port used to be printed only with `-d`.
#[test]
fn the_port_that_the_system_chose_was_not_announced() {
    for option in ["-p 0", "-P 0", "--listen 0", "--listen localhost:0", "-q --listen [::1]:0"] {
        let run = connect(format!("{option} host.example 22")).start();
        let expected: &[_] = if option.contains("::1") { &["[::1]"] } else { &["127.0.0.1", "[::1]"] };
        let lines = || run.stderr_so_far().matches('\n').count();
        eventually("a line for each address", || lines() >= expected.len());
        let mut ports = Vec::new();
        for (line, host) in run.stderr_so_far().lines().zip(expected) {
            let address = line.strip_prefix("connect: listening on ").unwrap();
            assert!(address.starts_with(&format!("{host}:")), "{line}");
            ports.push(address.parse::<SocketAddr>().unwrap().port());
            // `-p` serves only one client, and `-P` ends because it cannot reach the target.
            if option.contains("--listen") {
                drop(TcpStream::connect(address).unwrap());
            }
        }
        assert!(ports.iter().all(|port| *port == ports[0]), "{option}: {ports:?}");
    }
}

/// Some programs connect only to the first address of `localhost`, which may be `::1`.
#[test]
fn a_client_that_knows_only_one_address_of_localhost_was_refused() {
    let target = Server::repeat(|| script().echo());
    for option in ["-p 0", "-P 0", "--listen 0", "--listen LocalHost:0"] {
        for index in [1, 0] {
            let run = listening(format!("{option} {}", target.args()));
            let addresses = run.addresses(2);
            assert_eq!(addresses[0].port(), addresses[1].port());
            expect_echo(connect_to(addresses[index]), "hello");
        }
    }
}

/// Clients of `localhost` could reach the other process instead.
#[test]
fn a_port_that_another_process_uses_at_one_address_of_localhost_is_an_error() {
    let holder = Server::each_v6([script().hold()]);
    let out = connect(format!("-p {} 127.0.0.1 1", holder.port())).run();
    let message = format!("cannot listen on [::1]:{}: Address already in use", holder.port());
    out.expect_failure(1, &[&message, "choose another port"]);
    drop(TcpStream::connect(holder.to_string()).unwrap());
}

#[test]
fn the_other_address_of_localhost_is_closed_too_once_a_client_is_served() {
    let target = script().echo().serve();
    let run = listening(format!("-p 0 {}", target.args()));
    let addresses = run.addresses(2);
    let client = connect_to(addresses[1]);
    expect_echo(&client, "hello");
    for address in addresses {
        let second = TcpStream::connect(address);
        assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    }
    drop(client);
    run.end().expect_success();
}

//! `--listen`: each client gets a tunnel of its own, until a signal ends the run.

use std::net::{Shutdown, TcpStream};

use crate::kit::*;
use crate::listening::*;

mod learned;
#[cfg(unix)]
mod passed;
#[cfg(target_os = "linux")]
mod pressure;
#[cfg(unix)]
mod unix;

const ANY: &str = "--listen 127.0.0.1:0";

#[test]
fn each_client_has_its_own_tunnel() {
    let target = Server::each([script().echo(), script().echo()]);
    let proxy = Server::each([socks5_none().relay(), socks5_none().relay()]);
    let run = listening(format!("{ANY} -S {proxy} {}", target.args()));
    let (first, second) = (run.client(), run.client());
    expect_echo(&first, "one");
    expect_echo(&second, "two");
    expect_echo(&first, "three");
    drop(first);
    expect_echo(&second, "four");
    second.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&second), "");
    proxy.finish();
    let mut received: Vec<_> = target.finish().into_iter().map(|record| record.received).collect();
    received.sort();
    assert_eq!(received, [b"onethree".to_vec(), b"twofour".to_vec()]);
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn it_listens_on_several_addresses() {
    let target = Server::repeat(|| script().echo());
    let run = listening(format!("{ANY} --listen tcp:[::1]:0 --listen=0 {}", target.args()));
    let addresses = run.addresses(4);
    let hosts: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(hosts, ["127.0.0.1", "::1", "127.0.0.1", "::1"]);
    let clients: Vec<_> = addresses.into_iter().map(connect_to).collect();
    for client in &clients {
        expect_echo(client, "hello");
    }
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_failed_tunnel_is_reported_and_the_next_one_works() {
    let proxy = Server::each([socks5_refused(2), socks5_none().echo()]);
    let run = listening(format!("{ANY} -S {proxy} example.org 22"));
    let client = run.client();
    let name = format!("connect: client {}: ", client.local_addr().unwrap());
    expect_disconnect(client);
    let line = run.wait_for_line(&name);
    assert!(line.contains("SOCKS5 proxy 127.0.0.1") && line.contains("rules"), "{line}");
    expect_echo(run.client(), "hello");
    assert_eq!(run.close().len(), 1);
    drop(proxy);
}

#[test]
fn a_reset_by_the_remote_is_reported() {
    let go = Gate::new();
    let target = script().send("hello").wait_for(&go).reset().serve();
    let run = listening(format!("{ANY} {}", target.args()));
    let client = run.client();
    assert_eq!(read(&client, 5), b"hello");
    go.open();
    let line = run.wait_for_line("connect: client 127.0.0.1:");
    assert!(line.contains("lost the connection") && line.contains("data may be missing"), "{line}");
    expect_disconnect(client);
    run.close();
}

#[test]
fn a_session_without_progress_is_reset_and_the_listener_continues() {
    let target = Server::repeat(|| script().expect("hello").send("hello").expect_disconnect());
    let run = listening(format!("{ANY} --idle-timeout 1 {}", target.args()));
    let (first, second) = (run.client(), run.client());
    for client in [&first, &second] {
        expect_echo(client, "hello");
    }
    let name = first.local_addr().unwrap();
    expect_reset(first);
    expect_reset(second);
    let message = idle_message(&target.to_string(), "1 second");
    run.wait_for_line(&format!("connect: client {name}: {message}"));
    expect_echo(run.client(), "hello");
    run.close();
}

#[test]
fn a_failed_tunnel_looked_to_the_client_like_an_empty_answer() {
    let run = listening(format!("{ANY} 127.0.0.1 {}", RefusingPort::new().port()));
    expect_reset(run.client());
    run.close();
}

#[test]
fn clients_that_disconnect_at_once_do_no_harm() {
    let target = Server::repeat(|| {
        script().then("echo until it is gone", |session| {
            loop {
                match session.receive_or_reset(100)?.as_slice() {
                    [] => return Ok(()),
                    bytes => session.send(bytes)?,
                }
            }
        })
    });
    let run = listening(format!("{ANY} {}", target.args()));
    let address = run.address();
    for number in 0..60 {
        let client = connect_to(address);
        if number % 2 == 0 {
            reset(client);
        }
    }
    expect_echo(run.client(), "hello");
    run.close();
}

#[test]
fn an_address_in_use_is_an_error() {
    let holder = script().hold().serve();
    let out = connect(format!("{ANY} --listen 127.0.0.1:{} 127.0.0.1 1", holder.port())).run();
    out.expect_failure(1, &["cannot listen on 127.0.0.1:", "choose another port"]);
    drop(TcpStream::connect(holder.to_string()).unwrap());
}

#[test]
fn an_invalid_address_is_an_error() {
    for address in ["", "unix:", "tcp:", "127.0.0.1:", "127.0.0.1:99999"] {
        let out = connect("--listen").arg(address).args("127.0.0.1 1").run();
        out.expect_failure(2, &["--listen"]);
    }
    connect(format!("{ANY} -p 0 127.0.0.1 1")).run().expect_failure(2, &["--listen", "-p"]);
}

#[cfg(windows)]
#[test]
fn sockets_from_systemd_are_an_error_on_windows() {
    let out = connect("--listen systemd 127.0.0.1 1").env("LISTEN_PID", "1").env("LISTEN_FDS", "1").run();
    out.expect_failure(2, &["--listen systemd: there is no systemd on Windows; name an address"]);
}

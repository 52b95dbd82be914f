//! `--listen`: every client gets a tunnel of its own, until a signal ends it.

use std::net::{Shutdown, TcpStream};

use crate::kit::*;
use crate::listening::*;

#[cfg(unix)]
mod passed;
#[cfg(unix)]
mod unix;

const ANY: &str = "--listen 127.0.0.1:0";

#[test]
fn every_client_has_a_tunnel_of_its_own() {
    let target = Server::each([script().echo(), script().echo()]);
    let proxy = Server::each([socks5_none().relay(), socks5_none().relay()]);
    let run = listening(format!("{ANY} -S {proxy} {}", target.args()));
    let (first, second) = (run.client(), run.client());
    echoed(&first, "one");
    echoed(&second, "two");
    echoed(&first, "three");
    drop(first);
    echoed(&second, "four");
    second.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&second), "");
    proxy.finish();
    let mut received: Vec<_> = target.finish().into_iter().map(|record| record.received).collect();
    received.sort();
    assert_eq!(received, [b"onethree".to_vec(), b"twofour".to_vec()]);
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn it_listens_at_several_places() {
    let target = Server::repeat(|| script().echo());
    let run = listening(format!("{ANY} --listen tcp:[::1]:0 --listen=0 {}", target.args()));
    let places = run.places(3);
    let addresses: Vec<_> = places.iter().map(|place| place.ip().to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1", "127.0.0.1"]);
    let clients: Vec<_> = places.into_iter().map(client_of).collect();
    for client in &clients {
        echoed(client, "hello");
    }
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_tunnel_that_fails_is_logged_and_the_next_one_works() {
    let proxy = Server::each([socks5_refused(2), socks5_none().echo()]);
    let run = listening(format!("{ANY} -S {proxy} example.org 22"));
    let client = run.client();
    let name = format!("connect: client {}: ", client.local_addr().unwrap());
    expect_disconnect(client);
    let line = run.told(&name);
    assert!(line.contains("SOCKS5 proxy 127.0.0.1") && line.contains("rules"), "{line}");
    echoed(run.client(), "hello");
    assert_eq!(run.close().len(), 1);
    drop(proxy);
}

#[test]
fn a_remote_that_resets_is_logged() {
    let go = Gate::new();
    let target = script().send("hello").wait_for(&go).reset().serve();
    let run = listening(format!("{ANY} {}", target.args()));
    let client = run.client();
    assert_eq!(read(&client, 5), b"hello");
    go.open();
    let line = run.told("connect: client 127.0.0.1:");
    assert!(line.contains("lost the connection") && line.contains("data may be missing"), "{line}");
    expect_disconnect(client);
    run.close();
}

#[test]
fn a_session_in_which_nothing_moves_is_ended_and_the_listener_lives_on() {
    let target = Server::repeat(|| script().expect("hello").send("hello").expect_disconnect());
    let run = listening(format!("{ANY} --idle-timeout 2 {}", target.args()));
    let (first, second) = (run.client(), run.client());
    for client in [&first, &second] {
        echoed(client, "hello");
    }
    let name = first.local_addr().unwrap();
    expect_reset(first);
    expect_reset(second);
    run.told(&format!("connect: client {name}: session with {target} idle for 2 seconds"));
    echoed(run.client(), "hello");
    run.close();
}

#[test]
fn a_tunnel_that_fails_looked_to_the_client_like_a_target_that_has_nothing_to_say() {
    let run = listening(format!("{ANY} 127.0.0.1 {}", RefusingPort::new().port()));
    expect_reset(run.client());
    run.close();
}

#[test]
fn clients_that_leave_at_once_do_no_harm() {
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
    let place = run.place();
    for number in 0..60 {
        let client = client_of(place);
        if number % 2 == 0 {
            reset(client);
        }
    }
    echoed(run.client(), "hello");
    run.close();
}

#[test]
fn a_place_that_is_taken_is_an_error() {
    let holder = script().hold().serve();
    let out = connect(format!("{ANY} --listen 127.0.0.1:{} 127.0.0.1 1", holder.port())).run();
    out.expect_failure(1, &["cannot listen on 127.0.0.1:", "choose another port"]);
    drop(TcpStream::connect(holder.to_string()).unwrap());
}

#[test]
fn a_place_that_makes_no_sense_is_an_error() {
    for place in ["", "unix:", "tcp:", "127.0.0.1:", "127.0.0.1:99999"] {
        let out = connect("--listen").arg(place).args("127.0.0.1 1").run();
        out.expect_failure(2, &["--listen"]);
    }
    connect(format!("{ANY} -p 0 127.0.0.1 1")).run().expect_failure(2, &["--listen", "-p"]);
}

#[cfg(windows)]
#[test]
fn there_are_no_sockets_of_systemd_on_windows() {
    let out = connect("--listen systemd 127.0.0.1 1").env("LISTEN_PID", "1").env("LISTEN_FDS", "1").run();
    out.expect_failure(2, &["--listen systemd: there is no systemd on Windows; name an address"]);
}

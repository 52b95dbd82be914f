//! Connections that break while a link is open.

use super::balancer::Balancer;
use super::*;
use crate::hub::tokens::{Files, bearer};

/// Both directions carry 8 MB over connections that are cut at random positions.
#[test]
fn a_session_survives_connections_that_are_cut_at_random_positions() {
    let hub = hub("--open");
    let (up, down) = (bytes(1, 8_000_000), bytes(2, 8_000_000));
    let target = script().send(&down).expect(&up).expect_eof().send("end").serve();
    let network = Balancer::cutting(hub.address(), 1_000_000);
    let run = origin(hub.address(), "lab", &target.args());
    let client = dest(network.address, "").input(up).run();
    client.expect_code(0).expect_stdout([&down[..], b"end"].concat());
    target.finish();
    assert!(network.count() > 3, "only {} connections", network.count());
    stop(run);
    hub.close();
}

#[test]
fn a_link_survives_a_hub_that_is_killed_and_started_again() {
    let first = hub("--open");
    let address = first.address();
    let target = script().send("before").expect("one").expect("two").send("after").serve();
    let run = origin(address, "lab", &target.args());
    let mut client = dest(address, "").start();
    client.wait_stdout_has("before");
    client.send("one");
    first.run.signal(Signal::KILL);
    client.send("two");
    run.wait_for_line("connecting again");
    let second = listening(format!("--relay ws://{address} --open"));
    client.wait_stdout_has("after");
    client.close_stdin();
    client.wait().expect_code(0);
    target.finish();
    stop(run);
    second.close();
}

/// A hub that is stopped closes the connections of links, and they continue at another one.
#[test]
fn a_link_moves_to_another_hub_when_its_hub_drains() {
    let (first, second) = (hub("--open --drain 300"), hub("--open"));
    let network = Balancer::start(first.address());
    let target = script().send("before").expect("one").send("after").expect_eof().serve();
    let run = origin(network.address, "lab", &target.args());
    let mut client = dest(network.address, "").start();
    client.wait_stdout_has("before");
    network.lead_to(second.address());
    first.run.signal(Signal::TERM);
    client.send("one");
    client.wait_stdout_has("after");
    client.close_stdin();
    client.wait().expect_code(0);
    target.finish();
    let end = first.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    stop(run);
    second.close();
}

#[test]
fn a_link_that_cannot_be_resumed_in_time_ends_with_an_error() {
    let hub = hub("--open");
    let target = script().send("banner").expect_reset().serve();
    let run = origin(hub.address(), "lab", &format!("--resume 1 {}", target.args()));
    let client = dest(hub.address(), "--resume 2").start();
    client.wait_stdout_has("banner");
    hub.run.signal(Signal::KILL);
    let started = Instant::now();
    let mut client = client;
    client.wait().expect_failure(8, &["session 'lab' could not be resumed in 2 seconds"]);
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    target.finish();
    stop(run);
}

#[test]
fn without_resumption_a_lost_connection_ends_the_session_at_once() {
    let hub = hub("--open");
    let target = script().send("banner").expect_reset().serve();
    let run = origin(hub.address(), "lab", &format!("--resume 0 {}", target.args()));
    let mut client = dest(hub.address(), "--resume 0").start();
    client.wait_stdout_has("banner");
    hub.run.signal(Signal::KILL);
    let at = hub.address().to_string();
    client.wait().expect_failure(8, &[&at, "cut the connection off"]).expect_within(Duration::from_secs(20));
    target.finish();
    stop(run);
}

#[test]
fn an_origin_that_was_restarted_does_not_know_the_link() {
    let hub = hub("--open");
    let target = Server::repeat(|| script().send("banner").expect_reset());
    let run = origin(hub.address(), "lab", &target.args());
    let mut client = dest(hub.address(), "").start();
    client.wait_stdout_has("banner");
    run.run.signal(Signal::KILL);
    let other = origin(hub.address(), "lab", "127.0.0.1 9");
    client.wait().expect_failure(8, &["the session is lost"]);
    stop(other);
    hub.close();
}

/// Starts a link as the program does, with a name that the test knows.
fn hello(websocket: &mut WebSocket<TcpStream>) {
    let mut frame = vec![1, 0, 0, 0, 0, 0, 0, 40];
    frame.extend(b"CNCT\x01\0\0\0");
    frame.extend([0xab; 16]);
    frame.extend([0; 12]);
    frame.extend(65_536_u32.to_be_bytes());
    // OPEN of stream 1.
    frame.extend([2, 0, 0, 1, 0, 0, 0, 6, 0, 1, 0, 0, 0, 0]);
    websocket.send(Message::binary(frame)).unwrap();
}

#[test]
fn only_the_identity_that_started_a_link_may_resume_it() {
    let files = Files::new();
    let hub = files.hub();
    let of_origin = files.file("role=origin,session=lab,ttl=600");
    let target = script().send("banner").expect_reset().serve();
    let args = format!("--resume 5 --token-file {} {}", of_origin.display(), target.args());
    let run = origin(hub.address(), "lab", &args);
    let token = |subject: &str| bearer(&files.token(&format!("role=dest,session=lab,ttl=600,sub={subject}")));
    let path = "/v1/lab/dest";
    let mux = "Sec-WebSocket-Protocol: connect.mux.v1\r\n";
    let mut client = open(hub.address(), path, &format!("{mux}{}", token("alice")));
    hello(&mut client);
    assert!(matches!(client.read().unwrap(), Message::Binary(_)));
    let resume = |subject: &str, id: &str| {
        ask(hub.address(), path, &format!("{mux}Connect-Resume: {id}\r\n{}", token(subject))).1
    };
    let id = "ab".repeat(16);
    assert!(resume("bob", &id).starts_with("HTTP/1.1 410 "));
    assert!(resume("alice", &"cd".repeat(16)).starts_with("HTTP/1.1 410 "));
    assert!(resume("alice", &id).starts_with("HTTP/1.1 101 "));
    drop(client);
    target.finish();
    stop(run);
    hub.close();
}

#[test]
fn a_token_that_expires_ends_the_session_unless_it_was_renewed() {
    let files = Files::new();
    let hub = files.hub();
    let of_origin = files.file("role=origin,session=lab,ttl=600");
    let target = Server::each([
        script().send("banner").expect_reset(),
        script().send("banner").expect("late").send("answer").expect_eof(),
    ]);
    let run = origin(
        hub.address(),
        "lab",
        &format!("--resume 10 --token-file {} {}", of_origin.display(), target.args()),
    );
    let expiring = files.file("role=dest,session=lab,ttl=3");
    let mut client = dest(hub.address(), &format!("--token-file {}", expiring.display())).start();
    client.wait_stdout_has("banner");
    let renewed = files.file("role=dest,session=lab,ttl=3");
    let mut other = dest(hub.address(), &format!("--token-file {}", renewed.display())).start();
    other.wait_stdout_has("banner");
    std::fs::write(&*renewed, files.token("role=dest,session=lab,ttl=600")).unwrap();
    client.wait().expect_failure(6, &["rejected the token: token expired at ", "; get a new one"]);
    std::thread::sleep(Duration::from_secs(2));
    other.send("late");
    other.wait_stdout_has("answer");
    other.close_stdin();
    other.wait().expect_code(0);
    target.finish();
    stop(run);
    hub.close();
}

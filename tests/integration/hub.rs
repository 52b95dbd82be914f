//! The relay hub (`--relay`) and origins (`--origin`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::kit::*;
use crate::listening::*;
use crate::websocket::server::read_head;

mod check;
mod ends;
mod limits;
mod links;
mod origin;
mod scale;
mod tokens;

/// Starts a hub.
pub(crate) fn hub(args: &str) -> Listening {
    listening(format!("--relay ws://127.0.0.1:0 {args}"))
}

/// Starts an origin of this session, and waits until it is registered.
pub(crate) fn origin(hub: SocketAddr, session: &str, args: &str) -> Listening {
    let run = listening(format!("--origin relay+ws://{hub}/{session} {args}"));
    run.wait_for_line("registered session");
    run
}

/// Stops an origin.
pub(crate) fn stop(origin: Listening) {
    let end = origin.stop(Signal::TERM);
    assert_eq!(end.code, Some(0), "{end:?}");
}

/// Stops a hub after its peers, so that it need not wait for them.
pub(crate) fn close<const N: usize>(hub: Listening, peers: [WebSocket<TcpStream>; N]) {
    drop(peers);
    hub.close();
}

/// Returns a request for a WebSocket.
fn request(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

/// Sends a request, and returns the connection and the head of the answer.
fn ask(hub: SocketAddr, path: &str, fields: &str) -> (TcpStream, String) {
    let mut stream = connect_to(hub);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request(path, fields).as_bytes()).unwrap();
    let head = read_head(&mut stream);
    (stream, head)
}

/// Sends a request, and returns the status and the text of the answer.
pub(crate) fn refused(hub: SocketAddr, path: &str, fields: &str) -> (u16, String) {
    let (mut stream, head) = ask(hub, path, fields);
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (head[9..12].parse().unwrap(), text)
}

/// Returns a page of the hub.
pub(crate) fn page(hub: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = connect_to(hub);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let head = read_head(&mut stream);
    (head[9..12].parse().unwrap(), read_to_end(stream))
}

/// Opens a WebSocket.
pub(crate) fn open(hub: SocketAddr, path: &str, fields: &str) -> WebSocket<TcpStream> {
    let (stream, head) = ask(hub, path, fields);
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Connect-Half-Close: 1\r\n"), "{head}");
    WebSocket::from_raw_socket(stream, Role::Client, None)
}

/// Registers as an origin, and reads the message that says so.
pub(crate) fn register(hub: SocketAddr, session: &str, fields: &str) -> WebSocket<TcpStream> {
    let fields = format!("Sec-WebSocket-Protocol: connect.origin.v1\r\n{fields}");
    let mut control = open(hub, &format!("/v1/{session}/origin"), &fields);
    assert_eq!(text(&mut control), r#"{"t":"ready"}"#);
    control
}

/// Reads a message, and skips the pings that the hub sends during a silence.
fn message(socket: &mut WebSocket<TcpStream>) -> Message {
    loop {
        match socket.read().unwrap() {
            Message::Ping(_) => {}
            message => return message,
        }
    }
}

/// Reads a text message.
fn text(control: &mut WebSocket<TcpStream>) -> String {
    match message(control) {
        Message::Text(text) => text.to_string(),
        other => panic!("expected text, got {other:?}"),
    }
}

/// Reads an offer, and returns its name.
pub(crate) fn offer(control: &mut WebSocket<TcpStream>) -> String {
    let text = text(control);
    let (_, id) = text.split_once(r#""id":""#).unwrap_or_else(|| panic!("no offer: {text}"));
    assert!(text.contains(r#""t":"offer""#), "{text}");
    id[..32].to_owned()
}

/// Makes a pair. Returns the side of the client and that of the origin.
pub(crate) fn pair(
    hub: SocketAddr,
    session: &str,
    control: &mut WebSocket<TcpStream>,
) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let mut client = connect_to(hub);
    client.write_all(request(&format!("/v1/{session}/dest"), "").as_bytes()).unwrap();
    let offer = offer(control);
    let data = open(hub, &format!("/v1/{session}/accept/{offer}"), "");
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    (WebSocket::from_raw_socket(client, Role::Client, None), data)
}

/// Reads a Close, and returns its code.
pub(crate) fn close_code(websocket: &mut WebSocket<TcpStream>) -> u16 {
    match websocket.read() {
        Ok(Message::Close(Some(frame))) => frame.code.into(),
        other => panic!("expected a Close, got {other:?}"),
    }
}

#[test]
fn a_hub_joins_a_client_and_an_origin_in_both_directions() {
    let (up, down) = (bytes(1, 3_000_000), bytes(2, 4_000_000));
    // The target answers after EOF, which has passed all three programs as a Close.
    let target = script().expect(&up).expect_eof().send(&down).serve();
    let hub = hub("--open");
    let origin = origin(hub.address(), "lab", &target.args());
    let url = format!("ws://{}/v1/lab/dest", hub.address());
    connect(format!("-x {url}")).input(up).run().expect_success().expect_stdout(down);
    target.finish();
    let (status, statistics) = page(hub.address(), "/v1/stats");
    let expected = r#""bytes":{"dest_to_origin":3000000,"origin_to_dest":4000000}"#;
    assert!(status == 200 && statistics.contains(expected), "{statistics}");
    stop(origin);
    hub.close();
}

#[test]
fn the_target_may_speak_first_and_early_bytes_are_kept() {
    let target = Server::repeat(|| script().send("banner").expect("early").send("late").expect_eof());
    let hub = hub("--open");
    let origin = origin(hub.address(), "lab", &target.args());
    let mut client = connect_to(hub.address());
    // The client sends its first frame with the request.
    let early = [request("/v1/lab/dest", "").as_bytes(), b"\x82\x85\0\0\0\0early"].concat();
    client.write_all(&early).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 101 "));
    let mut client = WebSocket::from_raw_socket(client, Role::Client, None);
    let mut received = Vec::new();
    while received.len() < 10 {
        received.extend(client.read().unwrap().into_data());
    }
    assert_eq!(received, b"bannerlate");
    client.close(None).unwrap();
    assert_eq!(close_code(&mut client), 1000);
    stop(origin);
    close(hub, [client]);
}

#[test]
#[cfg(feature = "tls")]
fn a_hub_serves_tls_below_a_prefix_and_one_role_per_address() {
    let authority = Authority::new("CA");
    let identity = authority.localhost();
    let (certificate, key, ca) = (identity.certificate_file(), identity.key_file(), authority.file());
    let target = script().expect("ping").expect_eof().send("pong").serve();
    let hub = listening(format!(
        "--relay wss://127.0.0.1:0/hub?role=origin --relay wss://127.0.0.1:0/hub?role=dest --open --serve-cert {} --serve-key {}",
        certificate.display(),
        key.display()
    ));
    let [origins, clients] = hub.addresses(2)[..] else { panic!("expected two addresses") };
    let url = |address: SocketAddr, path: &str| {
        format!("wss://localhost:{}/hub/{path}#tls-ca={}", address.port(), ca.display())
    };
    let origin = listening(format!("--origin relay+{} {}", url(origins, "lab"), target.args()));
    origin.wait_for_line("registered session lab");
    let dest = |address| connect(format!("-x {}", url(address, "v1/lab/dest"))).input("ping").run();
    dest(origins).expect_failure(5, &["404", "unknown path"]);
    dest(clients).expect_success().expect_stdout("pong");
    target.finish();
    let refused = connect(format!("--origin relay+{} {}", url(clients, "lab"), "127.0.0.1 9")).run();
    refused.expect_failure(5, &["404", "unknown path"]);
    stop(origin);
    hub.close();
}

#[test]
fn an_origin_without_a_session_chooses_one_and_prints_it() {
    let hub = hub("--open");
    let origin = origin(hub.address(), "", "127.0.0.1 9");
    let end = origin.stop(Signal::TERM);
    let session =
        end.stdout.strip_prefix("SOCKET_ID=\"").and_then(|it| it.strip_suffix("\"; export SOCKET_ID;\n"));
    let session = session.unwrap_or_else(|| panic!("{end:?}"));
    let parts: Vec<_> = session.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{session}");
    assert_eq!(&session[14..15], "4");
    hub.close();
}

#[test]
fn the_status_page_runs_only_its_own_script() {
    let hub = listening("--relay ws://127.0.0.1:0/hub --open");
    let mut stream = connect_to(hub.address());
    stream.write_all(b"GET /hub/status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let head = read_head(&mut stream);
    let policy = head.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: ")).unwrap();
    let directives: Vec<_> = policy.split("; ").collect();
    let [default, script, style, rest @ ..] = &directives[..] else { panic!("{policy}") };
    assert_eq!(*default, "default-src 'none'");
    assert!(script.starts_with("script-src 'sha256-") && style.starts_with("style-src 'sha256-"), "{policy}");
    let expected = ["connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];
    assert_eq!(rest, expected);
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{head}");
    assert!(read_to_end(stream).starts_with("<!DOCTYPE html>"));
    hub.close();
}

#[test]
fn a_client_is_told_why_it_is_not_joined() {
    let nobody = RefusingPort::new();
    let hub = hub("--open");
    let started = Instant::now();
    let dest = |session: &str| connect(format!("-x ws://{}/v1/{session}/dest", hub.address()));
    let absent = dest("absent").start();
    // This origin never answers.
    let mut silent = register(hub.address(), "silent", "");
    let address = hub.address();
    let unanswered = std::thread::spawn(move || refused(address, "/v1/silent/dest", ""));
    let id = offer(&mut silent);

    let origin = origin(hub.address(), "lab", &format!("127.0.0.1 {}", nobody.port()));
    let why = format!("cannot reach 127.0.0.1:{}: connection refused", nobody.port());
    dest("lab").input("").run().expect_failure(5, &["502", &why]);
    origin.wait_for_line("Connection refused");
    stop(origin);

    let mut absent = absent;
    absent.wait().expect_failure(5, &["404", "no origin offers 'absent'"]);
    assert!(started.elapsed() >= Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(unanswered.join().unwrap(), (504, "the origin of 'silent' did not answer\n".into()));
    assert!(started.elapsed() >= Duration::from_secs(14), "{:?}", started.elapsed());
    assert_eq!(text(&mut silent), format!(r#"{{"id":"{id}","t":"withdrawn"}}"#));
    assert_eq!(refused(hub.address(), &format!("/v1/silent/accept/{id}"), "").0, 404);
    drop(silent);

    let (_, statistics) = page(hub.address(), "/metrics");
    for (label, count) in [("absent", 2), ("target", 1), ("timeout", 1)] {
        let expected = format!("refusals_total{{reason=\"{label}\"}} {count}\n");
        assert!(statistics.contains(&expected), "{label}: {statistics}");
    }
    let messages = hub.close();
    for expected in ["'absent': 404 absent", "'lab': 502 target", "'silent': 504 timeout"] {
        let expected = format!("for session {expected}");
        assert!(messages.iter().any(|line| line.contains(&expected)), "{expected}: {messages:?}");
    }
}

#[test]
fn an_origin_limits_its_clients() {
    let target = Server::repeat(|| script().send("banner").expect_eof());
    let hub = hub("--open");
    let origin = origin(hub.address(), "lab", &format!("--max-at-once 1 --max-total 2 {}", target.args()));
    let dest = "/v1/lab/dest";
    for _ in 0..2 {
        let mut client = open(hub.address(), dest, "");
        assert_eq!(client.read().unwrap().into_data(), b"banner"[..]);
        let expected = (429, "limit of 1 connection at a time\n".into());
        if origin.count_lines("relaying done") == 0 {
            assert_eq!(refused(hub.address(), dest, ""), expected);
        }
        client.close(None).unwrap();
        assert_eq!(close_code(&mut client), 1000);
        origin.wait_for_line("relaying done");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(refused(hub.address(), dest, ""), (403, "limit of 2 connections in all\n".into()));
    stop(origin);
    hub.close();
}

#[test]
fn an_origin_checks_the_client_address_that_the_hub_reports() {
    let hub = hub("--open --trust-forwarded 127.0.0.1");
    let target = Server::repeat(|| script().expect_disconnect());
    let origin = origin(hub.address(), "lab", &format!("--allow-from 192.0.2.0/24 {}", target.args()));
    let dest = |from: &str| ask(hub.address(), "/v1/lab/dest", &format!("X-Forwarded-For: {from}\r\n")).1;
    assert!(dest("198.51.100.1").starts_with("HTTP/1.1 403 "));
    assert!(dest("192.0.2.1").starts_with("HTTP/1.1 101 "));
    stop(origin);
    hub.close();
}

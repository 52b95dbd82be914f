//! `--listen ws://` and `wss://`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Error, Message};

use crate::kit::*;
use crate::listening::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Starts a listener at the path `/ssh`, whose clients are connected to this target.
fn listener(args: &str, target: &Server) -> Listening {
    listening(format!("--listen ws://127.0.0.1:0/ssh {args} {}", target.args()))
}

/// Returns a request with these additional fields.
fn request(start: &str, fields: &str) -> String {
    format!(
        "{start} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// Sends a request, and returns the head of the answer.
fn ask(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    super::server::read_head(client)
}

/// Opens a WebSocket, and returns its connection.
fn open(run: &Listening, fields: &str) -> TcpStream {
    let mut client = run.client();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let head = ask(&mut client, &request("GET /ssh", fields));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains(&format!("Sec-WebSocket-Accept: {ACCEPT}\r\n")), "{head}");
    assert!(head.contains("Connect-Half-Close: 1\r\n"), "{head}");
    client
}

fn websocket(run: &Listening) -> WebSocket<TcpStream> {
    WebSocket::from_raw_socket(open(run, ""), Role::Client, None)
}

/// Sends a request that is refused. Returns the status and the text.
fn refused(run: &Listening, request: &str) -> (u16, String) {
    let mut client = run.client();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn our_client_and_our_listener_are_joined_in_both_directions() {
    let (up, down) = (bytes(1, 3_000_000), bytes(2, 4_000_000));
    // The target answers after EOF, which has passed both as a Close.
    let target = script().expect(&up).expect_eof().send(&down).serve();
    let run = listener("--open", &target);
    let url = format!("ws://{}/ssh", run.address());
    connect(format!("-x {url}")).input(up).run().expect_success().expect_stdout(down);
    target.finish();
    run.close();
}

#[test]
#[cfg(feature = "tls")]
fn the_same_works_over_tls() {
    exchange_over_tls("wss", "/ssh", "");
}

#[test]
fn a_client_gets_pongs_and_the_target_speaks_first() {
    let target = script().send("banner").expect("ping").send("pong").expect_eof().serve();
    let run = listener("--open", &target);
    let mut client = websocket(&run);
    assert_eq!(client.read().unwrap(), Message::binary(b"banner".to_vec()));
    client.send(Message::Ping(b"?".to_vec().into())).unwrap();
    assert_eq!(client.read().unwrap(), Message::Pong(b"?".to_vec().into()));
    client.send(Message::text("ping")).unwrap();
    assert_eq!(client.read().unwrap(), Message::binary(b"pong".to_vec()));
    client.close(None).unwrap();
    target.finish();
    // The target's EOF, not the client's Close, makes the listener send its own.
    assert!(matches!(client.read(), Ok(Message::Close(_))));
    assert!(matches!(client.read(), Err(Error::ConnectionClosed)));
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn requests_are_refused_before_the_target_is_dialled() {
    let target = RefusingPort::new();
    let run = listening(format!(
        "--listen ws://127.0.0.1:0/ssh --open --allow-origin https://www.example 127.0.0.1 {}",
        target.port()
    ));
    let get = |path: &str, fields: &str| refused(&run, &request(&format!("GET {path}"), fields));
    assert_eq!(get("/", ""), (404, "unknown path\n".into()));
    assert_eq!(get("/ssh/", "").0, 404);
    assert_eq!(refused(&run, &request("POST /ssh", "")).0, 405);
    assert_eq!(get("/ssh", "Origin: http://evil.example\r\n").0, 403);
    assert_eq!(refused(&run, "GET /ssh HTTP/1.1\r\nHost: x\r\n\r\n").0, 426);
    assert_eq!(refused(&run, "nonsense\r\n\r\n").0, 400);
    assert_eq!(get("/ssh", &format!("X: {}\r\n", "x".repeat(20_000))).0, 431);
    // The target is dialled only now.
    assert_eq!(get("/ssh", ""), (502, "connection refused\n".into()));
    assert_eq!(get("/ssh?x", "Origin: https://www.example\r\n").0, 502);
    run.wait_for_line("origin not allowed: http://evil.example");
    if cfg!(unix) {
        run.wait_for_lines("Connection refused", 2);
    }
    run.close();
}

#[test]
fn a_client_that_is_cut_off_resets_its_target() {
    for ending in [&b""[..], b"\x88\x82\0\0\0\0\x03\xe9", b"\x82\x81\0\0", b"\x82\x01x", b"\xc2\x80\0\0\0\0"]
    {
        let target = script().expect("data").expect_reset().serve();
        let run = listener("--open", &target);
        let mut client = open(&run, "");
        client.write_all(&[b"\x82\x84\0\0\0\0data", ending].concat()).unwrap();
        // After a malformed frame, the server may have closed the connection already.
        let _ = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let is_malformed = ending == b"\x82\x01x" || ending == b"\xc2\x80\0\0\0\0";
        assert_eq!(answer == b"\x88\x02\x03\xea", is_malformed, "{ending:x?}: {answer:x?}");
        target.finish();
        run.close();
    }
}

#[test]
fn a_target_that_is_cut_off_becomes_an_error_code() {
    let target = script().send("data").expect("go").reset().serve();
    let run = listener("--open", &target);
    let mut client = open(&run, "");
    client.write_all(b"\x82\x82\0\0\0\0go").unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"\x82\x04data\x88\x02\x03\xf3");
    if cfg!(unix) {
        run.wait_for_line("Connection reset by peer");
    }
    run.close();

    // Our client reports the code, whether data came before it or not.
    for banner in ["data", ""] {
        let target = script().send(banner).expect("go").reset().serve();
        let run = listener("--open", &target);
        let out = connect(format!("-x ws://{}/ssh", run.address())).input("go").run();
        out.expect_failure(8, &["WebSocket closed with code 1011 (internal error)"]).expect_stdout(banner);
        run.close();
    }
}

#[test]
fn a_silent_client_gets_pings() {
    let target = script().expect_eof().serve();
    let run = listener("--open --keepalive 1", &target);
    let mut client = websocket(&run);
    assert_eq!(client.read().unwrap(), Message::Ping(tungstenite::Bytes::new()));
    client.close(None).unwrap();
    while client.read().is_ok() {}
    target.finish();
    run.close();
}

/// A listener that checks tokens, and the signing key.
#[cfg(feature = "relay")]
struct Tokens {
    signing_key: TempPath,
    keys: TempPath,
}

#[cfg(feature = "relay")]
impl Tokens {
    fn new() -> Self {
        let signing_key = TempPath::new("hub.key");
        let out = connect("").arg("--mint-signing-key").arg(&*signing_key).run();
        Self { signing_key, keys: TempPath::file("hub.keys", out.expect_success().stdout.clone()) }
    }

    fn mint(&self, claims: &str) -> String {
        let claims = format!("aud=hub.example,{claims}");
        let out =
            connect("").arg("--mint-token").arg(claims).arg("--signing-key").arg(&*self.signing_key).run();
        out.expect_success().stdout_text().trim_end().to_owned()
    }

    fn listener(&self, target: &Server) -> Listening {
        listener(&format!("--token-keys {} --relay-name hub.example", self.keys.display()), target)
    }
}

#[test]
#[cfg(feature = "relay")]
fn only_a_client_with_a_valid_token_is_served() {
    let tokens = Tokens::new();
    let target = script().expect("ping").expect_eof().send("pong").serve();
    let run = tokens.listener(&target);
    let client = |token: &str| {
        let client = connect(format!("-x ws://{}/ssh", run.address()));
        if token.is_empty() { client } else { client.env("CONNECT_TOKEN", token) }.input("ping").run()
    };
    client("").expect_failure(6, &["requires a token: Unauthorized: token missing"]);
    client("abc").expect_failure(6, &["rejected the token: Unauthorized: malformed token"]);
    let expired = tokens.mint("role=dest,session=ssh,ttl=1");
    let other = tokens.mint("role=dest,session=other,ttl=1h");
    client(&other).expect_failure(5, &["403 Forbidden: token for another session"]);
    std::thread::sleep(Duration::from_millis(2100));
    client(&expired).expect_failure(6, &["token expired at "]);
    client(&tokens.mint("role=dest,session=s*,ttl=1h")).expect_success().expect_stdout("pong");
    run.wait_for_line(" for session 'ssh': 403 token for another session");
    target.finish();
    run.close();
}

#[test]
#[cfg(feature = "relay")]
fn a_refusal_names_client_identity_and_session() {
    let (tokens, nobody) = (Tokens::new(), RefusingPort::new());
    let run = listening(format!(
        "--listen ws://127.0.0.1:0/ssh --token-keys {} --relay-name hub.example --trust-forwarded 127.0.0.0/8 \
         127.0.0.1 {}",
        tokens.keys.display(),
        nobody.port()
    ));
    let get = |token: &str, number: u8| {
        let fields =
            format!("Authorization: Bearer {token}\r\nX-Forwarded-For: 203.0.113.9, 192.0.2.{number}\r\n");
        refused(&run, &request("GET /ssh", &fields)).0
    };
    let other = tokens.mint("role=dest,session=other,sub=jane,ttl=1h");
    let good = tokens.mint("role=dest,session=ssh,sub=jane,ttl=1h");
    assert_eq!([get("", 1), get(&other, 2), get(&other[..other.len() - 4], 3)], [401, 403, 401]);
    assert_eq!(get(&good, 4), 502);
    run.wait_for_line("refused client 192.0.2.1 for session 'ssh': 401 token missing");
    run.wait_for_line("refused client 192.0.2.2 (jane) for session 'ssh': 403 token for another session");
    // Without a valid signature, the identity may be forged.
    run.wait_for_line("refused client 192.0.2.3 for session 'ssh': 401 ");
    if cfg!(unix) {
        run.wait_for_line("client 192.0.2.4 (jane) for session 'ssh': cannot connect to ");
    }
    run.close();
}

#[test]
fn a_refusal_before_the_token_names_the_client_behind_a_web_server() {
    let target = RefusingPort::new();
    for (trusted, client) in [("127.0.0.0/8", "192.0.2.7"), ("192.0.2.0/24", "127.0.0.1:")] {
        let run = listening(format!(
            "--listen ws://127.0.0.1:0/ssh --open --trust-forwarded {trusted} 127.0.0.1 {}",
            target.port()
        ));
        let forwarded = "X-Forwarded-For: 192.0.2.7\r\n";
        let ask =
            |start: &str, fields: &str| refused(&run, &request(start, &format!("{forwarded}{fields}"))).0;
        let statuses = [
            ask("GET /other", ""),
            ask("POST /ssh", ""),
            ask("GET /ssh", "Origin: http://evil.example\r\n"),
            refused(&run, &format!("GET /ssh HTTP/1.1\r\nHost: x\r\n{forwarded}\r\n")).0,
        ];
        assert_eq!(statuses, [404, 405, 403, 426]);
        for status in statuses {
            let line = run.wait_for_line(&format!(": {status} "));
            assert!(line.contains(&format!("refused client {client}")), "{line}");
        }
        run.close();
    }
}

#[test]
#[cfg(feature = "relay")]
fn an_expired_token_ends_its_connection() {
    let tokens = Tokens::new();
    let target = script().send("banner").expect_reset().serve();
    let run = tokens.listener(&target);
    let token = tokens.mint("role=dest,session=ssh,ttl=2");
    let mut client = connect(format!("-x ws://{}/ssh", run.address())).env("CONNECT_TOKEN", token).start();
    client.wait_stdout_has("banner");
    let out = client.wait();
    out.expect_failure(6, &["WebSocket closed with code 4401: token expired at ", "; get a new token"]);
    run.wait_for_line("token expired at ");
    target.finish();
    run.close();
}

/// Neither end reads, so no byte moves, and nobody but the check of tokens can end the session.
#[test]
#[cfg(all(target_os = "linux", feature = "relay"))]
fn an_expired_token_ends_a_session_that_is_stalled() {
    let tokens = Tokens::new();
    let full = Gate::new();
    let opened = full.clone();
    let target = script().fill().open(&full).then("expect a reset", |session| {
        let started = Instant::now();
        while session.stream().take_error().unwrap().is_none() {
            if started.elapsed() > TIMEOUT {
                return Err("the connection is still open".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    let target = target.serve();
    let run = tokens.listener(&target);
    let token = tokens.mint("role=dest,session=ssh,ttl=3");
    let client = open(&run, &format!("Authorization: Bearer {token}\r\n"));
    // One frame, which never ends.
    (&client).write_all(b"\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0").unwrap();
    fill_up(&mut &client);
    opened.wait();
    let expired = run.wait_for_line("token expired at ");
    assert!(expired.contains("client"), "{expired}");
    target.finish();
    run.close();
}

/// Each such client used to hold a thread of the pool that connects targets.
#[test]
fn clients_that_send_their_request_slowly_hold_no_thread() {
    let target = script().send("banner").expect_eof().serve();
    let run = listener("--open", &target);
    let slow: Vec<_> = (0..300)
        .map(|_| {
            let mut client = run.client();
            client.write_all(b"GET /ssh HTTP/1.1\r\nHost: ").unwrap();
            client
        })
        .collect();
    // 256 clients of one address may be slow. The oldest make room.
    run.wait_for_line("did not complete its request in time");
    #[cfg(target_os = "linux")]
    {
        eventually("the oldest clients to be closed", || run.count_descriptors_and_threads().0 < 290);
        let (descriptors, threads) = run.count_descriptors_and_threads();
        assert!(descriptors > 256 && threads < 30, "{descriptors} {threads}");
    }
    let mut client = websocket(&run);
    assert_eq!(client.read().unwrap(), Message::binary(b"banner".to_vec()));
    client.close(None).unwrap();
    while client.read().is_ok() {}
    drop(slow);
    target.finish();
    run.close();
}

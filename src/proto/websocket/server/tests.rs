//! The server's handshake, in every fragmentation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::proto::server::testing::driver::Decision;
use crate::proto::server::testing::{Ending, Played, play_with};

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\n\
                       Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn site() -> Arc<Site> {
    let origins = vec![Origin::parse("https://www.example").unwrap()];
    Arc::new(Site { path: "/chat".into(), origins })
}

/// Plays a handshake in each fragmentation. The result must be the same each time.
fn play(request: &str, decision: Decision) -> Played {
    let make = || Box::new(ServerHandshake::new(site()));
    let input = request.as_bytes();
    let whole = play_with(make(), &[input], decision);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(play_with(make(), &bytes, decision), whole, "byte by byte");
    for at in (1..input.len()).step_by(if input.len() < 1000 { 1 } else { input.len() / 23 }) {
        let (before, after) = input.split_at(at);
        assert_eq!(play_with(make(), &[before, after], decision), whole, "cut after {at}");
    }
    whole
}

/// Returns the status of the answer to a request that is refused.
fn status(request: &str) -> u16 {
    let played = play(request, Decision::Connected(None));
    let Ending::Rejected(Rejection::Web { status, why }) = played.ending else { panic!("{played:?}") };
    let sent = String::from_utf8(played.sent).unwrap();
    assert!(sent.starts_with(&format!("HTTP/1.1 {status} ")), "{sent}");
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, format!("{why}\n"));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(head.ends_with("close"), "{head}");
    status
}

/// RFC 6455 §1.3.
#[test]
fn a_request_is_accepted_after_its_target_is_connected() {
    let played = play(&format!("{REQUEST}frames"), Decision::Connected(None));
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nConnect-Half-Close: 1\r\n\r\n";
    assert_eq!(String::from_utf8(played.sent).unwrap(), expected);
    assert_eq!((played.ending, played.rest.as_slice()), (Ending::Session, &b"frames"[..]));
}

#[test]
fn the_query_the_form_of_the_target_and_other_fields_do_not_matter() {
    for (from, to) in [
        ("/chat", "/chat?token=x"),
        ("/chat", "http://server.example/chat?x"),
        ("/chat", "https://server.example:8443/chat"),
        ("websocket", "WebSocket"),
        ("Host", "HOST"),
        ("\r\n\r\n", "\r\nOrigin: https://www.example\r\n\r\n"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: binary\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
        ("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let played = play(&REQUEST.replacen(from, to, 1), Decision::Connected(None));
        assert_eq!(played.ending, Ending::Session, "{to}");
    }
}

#[test]
fn a_target_that_cannot_be_reached_is_a_502_with_the_cause() {
    let played = play(REQUEST, Decision::Refused(Refusal::ConnectionRefused));
    assert_eq!(played.ending, Ending::Refused);
    let sent = String::from_utf8(played.sent).unwrap();
    assert!(
        sent.starts_with("HTTP/1.1 502 Bad Gateway\r\n") && sent.ends_with("\r\n\r\nconnection refused\n")
    );
}

#[test]
fn each_wrong_request_has_its_status() {
    for (from, to, expected) in [
        ("GET ", "GET\t", 400),
        ("Host: server.example\r\n", "", 400),
        ("Host: server.example\r\n", "Host: a\r\nHost: b\r\n", 400),
        ("Sec-WebSocket-Key: d", "Sec-WebSocket-Key: ", 400),
        ("Sec-WebSocket-Key: ", "X: ", 400),
        ("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", 400),
        ("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("/chat", "/", 404),
        ("/chat", "/chat/", 404),
        ("/chat", "/Chat", 404),
        ("/chat", "http://server.example", 404),
        ("/chat", "*", 404),
        ("GET", "POST", 405),
        ("GET", "HEAD", 405),
        ("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n", 403),
        ("\r\n\r\n", "\r\nOrigin: null\r\n\r\n", 403),
        ("\r\n\r\n", "\r\nOrigin: https://www.example\r\nOrigin: https://evil.example\r\n\r\n", 403),
        ("\r\n\r\n", "\r\nOrigin: http://www.example\r\n\r\n", 403),
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n", 426),
        ("Connection: keep-alive, Upgrade\r\n", "", 426),
        ("Version: 13", "Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("HTTP/1.1", "HTTP/1.0", 426),
    ] {
        assert_eq!(status(&REQUEST.replacen(from, to, 1)), expected, "{to}");
    }
    assert_eq!(status(&format!("GET /chat HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(17_000))), 431);
    let not_utf8 = [REQUEST.trim_end().as_bytes(), b"\r\nOrigin: \xff\r\n\r\n"].concat();
    let mut handshake = ServerHandshake::new(site());
    handshake.receive(&not_utf8);
    let Step::Send(answer) = handshake.step() else { panic!("expected an answer") };
    assert!(answer.bytes().starts_with(b"HTTP/1.1 403 "));
    let many = "X: y\r\n".repeat(101);
    assert_eq!(status(&format!("GET /chat HTTP/1.1\r\n{many}\r\n")), 431);
}

#[test]
fn a_wrong_path_says_nothing_about_the_rest() {
    let request = REQUEST.replace("/chat", "/other").replace("GET", "POST").replace("websocket", "h2c");
    assert_eq!(status(&request), 404);
}

#[test]
fn a_refused_request_names_its_client() {
    for (from, to) in [("/chat", "/other"), ("GET", "POST"), ("websocket", "h2c")] {
        let request =
            REQUEST.replace(from, to).replacen("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", 1);
        let mut handshake = ServerHandshake::new(site());
        assert_eq!(handshake.receive(request.as_bytes()), request.len());
        assert!(matches!(handshake.step(), Step::Send(_)), "{from}");
        assert_eq!(handshake.forwarded_for().as_deref(), Some("192.0.2.1"), "{from}");
    }
}

#[test]
fn the_driver_gets_the_token_and_the_forwarded_address() {
    let fields = "\r\nAuthorization: bearer hunter2\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    let request = REQUEST.replacen("\r\n\r\n", fields, 1);
    let mut handshake = ServerHandshake::new(site());
    assert_eq!(handshake.receive(request.as_bytes()), request.len());
    assert_eq!(handshake.step(), Step::Open);
    assert_eq!(handshake.token(), Some(&b"hunter2"[..]));
    assert_eq!(handshake.forwarded_for().as_deref(), Some("192.0.2.1,10.0.0.1"));
    assert!(!format!("{handshake:?}").contains("hunter2"));
    handshake.reject(401, "token expired".into());
    let Step::Send(answer) = handshake.step() else { panic!("expected an answer") };
    let answer = String::from_utf8(answer.bytes().to_vec()).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 401 Unauthorized\r\n")
            && answer.contains("WWW-Authenticate: Bearer\r\n")
    );
    let why = Rejection::Web { status: 401, why: "token expired".into() };
    assert_eq!(handshake.step(), Step::Close(Some(why)));
}

#[test]
fn an_incomplete_request_is_no_session() {
    for length in [0, 1, REQUEST.len() - 1] {
        let played = play(&REQUEST[..length], Decision::Connected(None));
        assert_eq!((played.ending, played.sent.as_slice()), (Ending::Rejected(Rejection::Closed), &b""[..]));
    }
    let mut slow = ServerHandshake::new(site());
    slow.timed_out();
    assert!(matches!(slow.step(), Step::Send(answer) if answer.bytes().starts_with(b"HTTP/1.1 408 ")));
    assert_eq!(slow.step(), Step::Close(Some(Rejection::TimedOut)));
}

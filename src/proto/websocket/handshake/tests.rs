//! The handshake with a server, in every fragmentation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::proto::testing::{PASSWORD, Turn, fails, opens};

/// RFC 6455 §1.3: the key of the example is the base64 of this text.
#[allow(clippy::unnecessary_wraps, reason = "the source of random bytes may fail")]
fn random() -> Option<[u8; 16]> {
    Some(*b"the sample nonce")
}

fn request() -> Request {
    Request {
        host: "server.example".into(),
        path: "/chat".into(),
        token: None,
        subprotocols: String::new(),
        needs_subprotocol: false,
        resumed_link: None,
        half_close: HalfClose::Neither,
    }
}

fn handshake() -> Handshake {
    Handshake::new(request(), random, Redactor::default())
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The fields of a valid response.
const FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn switching(fields: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n")
}

/// Returns the error after this response.
fn refused(response: &str) -> String {
    let turns = [Turn::Sends(REQUEST.as_bytes()), Turn::Proxy(response.as_bytes())];
    fails(handshake, &turns).to_string()
}

/// Returns the error after this response and EOF.
fn closed(response: &str) -> String {
    let turns = [Turn::Sends(REQUEST.as_bytes()), Turn::Proxy(response.as_bytes()), Turn::Closes];
    fails(handshake, &turns).to_string()
}

#[test]
fn the_frames_after_the_response_are_left_unread() {
    for fields in [
        FIELDS.to_owned(),
        FIELDS.to_ascii_lowercase().replace("s3pplmbitxaq9kygzzhzrbk+xoo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        FIELDS.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        format!("{FIELDS}Sec-WebSocket-Extensions: \r\nServer: x\r\n"),
    ] {
        let response = switching(&fields);
        opens(handshake, &[Turn::Sends(REQUEST.as_bytes()), Turn::Proxy(response.as_bytes())]);
    }
    let response = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{}", switching(FIELDS));
    opens(handshake, &[Turn::Sends(REQUEST.as_bytes()), Turn::Proxy(response.as_bytes())]);
}

#[test]
fn a_token_is_sent_and_masked() {
    let make = || {
        let token = Some(Secret::from(PASSWORD));
        Handshake::new(Request { token, ..request() }, random, Redactor::default())
    };
    let request = REQUEST.replace("==\r\n", &format!("==\r\nAuthorization: Bearer {PASSWORD}\r\n"));
    let response = switching(FIELDS);
    opens(make, &[Turn::Sends(request.as_bytes()), Turn::Proxy(response.as_bytes())]);
    // A server may repeat the token. `fails` checks that the error does not contain it.
    let response = format!("HTTP/1.1 401 No\r\nContent-Length: 29\r\n\r\ninvalid token {PASSWORD:.15}");
    let turns = [Turn::Sends(request.as_bytes()), Turn::Proxy(response.as_bytes())];
    let error = fails(make, &turns);
    assert!(matches!(error, Error::Token { sent: true, .. }), "{error:?}");
}

#[test]
fn each_field_of_the_response_is_checked() {
    for (fields, message) in [
        (FIELDS.replace("Upgrade: websocket\r\n", ""), "missing 'Upgrade: websocket'"),
        (FIELDS.replace("websocket", "h2c"), "missing 'Upgrade: websocket'"),
        (FIELDS.replace("Connection: Upgrade\r\n", ""), "missing 'Connection: Upgrade'"),
        (FIELDS.replace("Connection: Upgrade", "Connection: close"), "missing 'Connection: Upgrade'"),
        (FIELDS.replace("Sec-WebSocket-Accept", "X-Accept"), "missing 'Sec-WebSocket-Accept'"),
        (FIELDS.replace("s3pP", "S3pP"), "wrong Sec-WebSocket-Accept"),
        (
            format!("{FIELDS}Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            "unexpected extension 'permessage-deflate'",
        ),
        (format!("{FIELDS}Sec-WebSocket-Protocol: chat\x1b\r\n"), r"unexpected subprotocol 'chat\x1b'"),
    ] {
        let expected = format!("sent an invalid response to the WebSocket request: {message}");
        assert_eq!(refused(&switching(&fields)), expected);
    }
}

#[test]
fn only_an_offered_subprotocol_is_accepted() {
    let make = || {
        let subprotocols = "v1, authorization.bearer.x".into();
        Handshake::new(Request { subprotocols, ..request() }, random, Redactor::default())
    };
    let request = REQUEST.replace("==\r\n", "==\r\nSec-WebSocket-Protocol: v1, authorization.bearer.x\r\n");
    for field in ["", "Sec-WebSocket-Protocol: v1\r\n"] {
        let response = switching(&format!("{FIELDS}{field}"));
        opens(make, &[Turn::Sends(request.as_bytes()), Turn::Proxy(response.as_bytes())]);
    }
    let response = switching(&format!("{FIELDS}Sec-WebSocket-Protocol: v2\r\n"));
    let error = fails(make, &[Turn::Sends(request.as_bytes()), Turn::Proxy(response.as_bytes())]);
    assert_eq!(error, Error::BadUpgrade(BadUpgrade::Subprotocol("v2".into())));
}

#[test]
fn a_refusal_is_explained_by_its_status_and_body() {
    for (response, message) in [
        ("404 Not Found\r\nContent-Length: 0\r\n\r\n", "did not open a WebSocket: 404 Not Found"),
        (
            "502 Bad Gateway\r\nContent-Length: 18\r\n\r\nconnection refused",
            "did not open a WebSocket: 502 Bad Gateway: connection refused",
        ),
        (
            "200 OK\r\nContent-Type: text/html\r\nContent-Length: 26\r\n\r\n<html><title>Log in</title>",
            "did not open a WebSocket: 200 OK: Log in",
        ),
        (
            "302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n",
            "did not open a WebSocket: 302 Found (to https://login.example/)",
        ),
        (
            "401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n8\r\n expired\r\n0\r\n\r\n",
            "requires a token: Unauthorized: token expired",
        ),
        ("401 \r\nContent-Length: 0\r\n\r\n", "requires a token"),
    ] {
        assert_eq!(refused(&format!("HTTP/1.1 {response}")), message);
    }
}

#[test]
fn something_else_than_http_and_an_early_end_are_errors() {
    let mut other = handshake();
    assert!(matches!(other.step(), Ok(Step::Send(_))));
    let error = other.receive(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap_err().to_string();
    assert_eq!(error, "did not answer with HTTP: the response starts with 'SSH-2.0-OpenSSH_9.2'");
    let page = "HTTP/1.1 200 OK\r\n\r\n<html><title>Log in</title>";
    assert_eq!(closed(page), "did not open a WebSocket: 200 OK: Log in");
    assert_eq!(
        closed("HTTP/1.1 101 Switching"),
        "closed the connection before sending the rest of the response to the WebSocket request"
    );
    let turns = [Turn::Sends(REQUEST.as_bytes()), Turn::Closes];
    assert_eq!(fails(handshake, &turns), Error::Closed(Awaited::WebSocketResponse));
}

#[test]
fn the_server_decides_about_half_close() {
    for (before, field, after) in [
        (HalfClose::Neither, "", HalfClose::Neither),
        (HalfClose::Ours, "", HalfClose::Ours),
        (HalfClose::Ours, "Connect-Half-Close: 1\r\n", HalfClose::Both),
        (HalfClose::Neither, "Connect-Half-Close: 1\r\n", HalfClose::Both),
        (HalfClose::Neither, "Connect-Half-Close: 0\r\n", HalfClose::Neither),
    ] {
        let request = Request { half_close: before, ..request() };
        let mut handshake = Handshake::new(request, random, Redactor::default());
        let response = switching(&format!("{FIELDS}{field}"));
        assert!(matches!(handshake.step(), Ok(Step::Send(_))));
        assert_eq!(handshake.receive(response.as_bytes()), Ok(response.len()));
        assert_eq!((handshake.step(), handshake.half_close()), (Ok(Step::Done), after));
    }
}

#[test]
fn a_system_without_random_bytes_cannot_ask() {
    let mut handshake = Handshake::new(request(), || None, Redactor::default());
    assert_eq!(handshake.step(), Err(Error::NotEncodable(Unencodable::WebSocketKey)));
}

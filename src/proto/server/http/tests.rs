#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::testing::driver::Decision;
use super::super::testing::{Ending, Played, connects, filtered, logins, play, refuses};
use super::super::{Filter, Mode};
use super::body::Framing;
use super::fields::MAX_FIELDS;
use super::*;

fn played(input: &str) -> Played {
    connects("http", input.as_bytes())
}

/// Returns the status and the text of an answer of our own, whose form it checks.
fn answer(sent: &str) -> (u16, &str) {
    let (head, text) = sent.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
    assert!(head.contains("\r\nConnection: close"), "{head}");
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head}");
    let length = head.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap();
    if !text.is_empty() {
        assert_eq!(length.parse(), Ok(text.len()));
        assert!(text.starts_with("connect: ") && text.ends_with('\n'), "{text}");
    }
    (status, text)
}

/// Returns the status and the cause of a request that is rejected.
fn rejected(input: &str) -> (u16, String) {
    let played = played(input);
    assert_eq!(played.target, "", "{input}");
    let sent = played.sent();
    let (status, text) = answer(&sent);
    assert!(matches!(played.ending, Ending::Rejected(_)), "{input}");
    (status, text.to_owned())
}

#[test]
fn connect_opens_a_tunnel_and_leaves_the_bytes_after_the_head() {
    for (head, target) in [
        ("CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443\r\n\r\n", "host.example:443"),
        ("CONNECT host.example:443 HTTP/1.1\r\n\r\n", "host.example:443"),
        ("CONNECT host.example:443 HTTP/1.0\n\n", "host.example:443"),
        ("\r\n\r\nCONNECT 192.0.2.1:22 HTTP/1.0\r\n\r\n", "192.0.2.1:22"),
        ("CONNECT [::1]:22 HTTP/1.1\r\nHost: [::1]:22\r\nContent-Length: 0\r\n\r\n", "[::1]:22"),
        ("CONNECT host:22 HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\nUpgrade: x\r\n\r\n", "host:22"),
    ] {
        let played = played(&format!("{head}\r\nEARLY\0"));
        assert_eq!((played.target.as_str(), played.ending == Ending::Session), (target, true), "{head}");
        assert_eq!(played.sent(), "HTTP/1.1 200 Connection established\r\n\r\n");
        assert_eq!(played.rest(), "\r\nEARLY\0");
    }
}

#[test]
fn a_request_in_absolute_form_is_forwarded_in_origin_form() {
    for (line, target, expected) in [
        (
            "GET http://host.example/a?b=c HTTP/1.1",
            "host.example:80",
            "GET /a?b=c HTTP/1.1\r\nHost: host.example",
        ),
        (
            "GET HTTP://Host.Example:8080 HTTP/1.1",
            "Host.Example:8080",
            "GET / HTTP/1.1\r\nHost: Host.Example:8080",
        ),
        ("GET http://h:/ HTTP/1.1", "h:80", "GET / HTTP/1.1\r\nHost: h"),
        ("GET http://h?q HTTP/1.1", "h:80", "GET /?q HTTP/1.1\r\nHost: h"),
        ("GET http://[::1]:81/x HTTP/1.1", "[::1]:81", "GET /x HTTP/1.1\r\nHost: [::1]:81"),
        ("GET http://h/http://other/ HTTP/1.1", "h:80", "GET /http://other/ HTTP/1.1\r\nHost: h"),
        ("OPTIONS http://h HTTP/1.1", "h:80", "OPTIONS * HTTP/1.1\r\nHost: h"),
        ("OPTIONS http://h/ HTTP/1.1", "h:80", "OPTIONS / HTTP/1.1\r\nHost: h"),
        ("PURGE http://h/ HTTP/1.1", "h:80", "PURGE / HTTP/1.1\r\nHost: h"),
    ] {
        let played = played(&format!("{line}\r\nHost: other.example\r\n\r\n"));
        assert_eq!((played.target.as_str(), played.sent.as_slice()), (target, &b""[..]), "{line}");
        assert_eq!(played.rest(), format!("{expected}\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\n"));
    }
    // An answer to an HTTP/1.0 request is never chunked.
    let played = played("GET http://h/ HTTP/1.0\r\n\r\n");
    assert_eq!(played.rest(), "GET / HTTP/1.0\r\nHost: h\r\nVia: 1.0 connect\r\nConnection: close\r\n\r\n");
}

#[test]
fn fields_for_one_connection_are_not_forwarded() {
    let played = played(
        "GET http://h/ HTTP/1.1\r\nHost: x\r\nUser-Agent: curl\r\nConnection: X-One, keep-alive\r\nX-One: 1\r\n\
         connection: x-two\r\nX-Two: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authorization: Basic secret\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: websocket\r\n\
         HTTP2-Settings: x\r\nVia: 1.0 earlier\r\nCookie:  a=b \r\nMax-Forwards: 3\r\nX-Empty:\r\n\r\n",
    );
    assert_eq!(
        played.rest(),
        "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: curl\r\nVia: 1.0 earlier\r\nCookie: a=b\r\nMax-Forwards: 3\r\n\
         X-Empty: \r\nVia: 1.1 connect\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn max_forwards_counts_down_for_the_methods_that_it_limits() {
    for method in ["OPTIONS", "TRACE"] {
        let with =
            |value: &str| format!("{method} http://h/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: {value}\r\n\r\n");
        assert!(played(&with("3")).rest().contains("\r\nMax-Forwards: 2\r\n"));
        assert_eq!(rejected(&with("0")).0, 405);
        assert_eq!(rejected(&with("x")).0, 400);
    }
}

#[test]
fn exactly_the_body_is_forwarded() {
    let second = "GET http://other/ HTTP/1.1\r\nProxy-Authorization: Basic secret\r\n\r\n";
    for (fields, body, forwarded) in [
        ("Content-Length: 5\r\n", "hello", "hello"),
        ("Content-Length: 0\r\n", "", ""),
        ("", "", ""),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: Chunked\r\n",
            "00A;x=\"y\"\r\n0123456789\r\n1 \r\n!\r\n0;last\r\nX-Trailer: a\r\nB: c\r\n\r\n",
            "a\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n",
        ),
    ] {
        let played = played(&format!("POST http://h/ HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}{second}"));
        let head =
            format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}Via: 1.1 connect\r\nConnection: close\r\n\r\n");
        assert_eq!(played.rest(), format!("{head}{forwarded}"));
    }
}

#[test]
fn a_malformed_chunk_ends_the_request() {
    for body in [
        "x\r\n",
        "\r\n",
        ";a\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1\n",
        "1\r1",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\r\r",
        "10000000000000000\r\n",
        "1;\0\r\n",
        "1;a\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX\ry\r\n\r\n",
    ] {
        for parts in [vec![body.as_bytes()], body.as_bytes().chunks(1).collect()] {
            let mut filter = RequestBody::new(Framing::Chunked);
            let (output, failed) = filtered(&mut filter, &parts);
            let failed = failed.unwrap();
            assert!(!output.ends_with(b"0\r\n\r\n") || body.starts_with("0\r\n"), "{body:?}");
            assert_eq!(answer(std::str::from_utf8(&failed.answer).unwrap()).0, 400, "{body:?}");
        }
    }
    let long = format!("1;{}", "x".repeat(5000));
    assert!(filtered(&mut RequestBody::new(Framing::Chunked), &[long.as_bytes()]).1.is_some());
    let trailers = format!("0\r\n{}", "X: y\r\n".repeat(20_000));
    assert!(filtered(&mut RequestBody::new(Framing::Chunked), &[trailers.as_bytes()]).1.is_some());
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    for (framing, body) in [
        (Framing::Length(5), "hell"),
        (Framing::Chunked, ""),
        (Framing::Chunked, "5\r\nhel"),
        (Framing::Chunked, "5\r\nhello\r\n"),
        (Framing::Chunked, "0\r\n"),
    ] {
        let (_, failed) = filtered(&mut RequestBody::new(framing), &[body.as_bytes()]);
        assert_eq!(failed.unwrap().why, "incomplete body", "{body}");
    }
    assert_eq!(filtered(&mut RequestBody::new(Framing::None), &[]).1, None);
}

#[test]
fn a_request_that_two_parsers_could_read_differently_is_rejected() {
    for (head, cause) in [
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", "both"),
        (
            "POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "several Content-Length",
        ),
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n", "invalid Content-Length"),
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n", "invalid Content-Length"),
        (
            "POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n",
            "invalid Content-Length",
        ),
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n", "invalid Content-Length"),
        ("POST http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.0"),
        (
            "POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n",
            "invalid Transfer-Encoding",
        ),
        (
            "POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n",
            "invalid Transfer-Encoding",
        ),
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \r\n", "invalid Transfer-Encoding"),
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n", "invalid header name"),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n", "invalid header"),
        ("GET http://h/ HTTP/1.1\r\n Host: h\r\n", "invalid header"),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n", "invalid"),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n", "invalid header value"),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\nNo colon\r\n", "invalid header name"),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\nHost: i\r\n", "several Host"),
        ("GET http://h/ HTTP/1.1\r\n", "missing Host"),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: content-length\r\n", "Connection names"),
        ("GET  http://h/ HTTP/1.1\r\nHost: h\r\n", "invalid"),
        ("GET http://h/ a HTTP/1.1\r\nHost: h\r\n", "invalid"),
        ("GET http://user:hunter2@h/ HTTP/1.1\r\nHost: h\r\n", "user name"),
        ("GET http://h/#a HTTP/1.1\r\nHost: h\r\n", "fragment"),
        ("GET h HTTP/1.1\r\nHost: h\r\n", "invalid request target"),
        ("CONNECT h:22 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n", "CONNECT with a body"),
        ("CONNECT h:22 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n", "CONNECT with a body"),
        ("CONNECT h HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("CONNECT h:0 HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("CONNECT ::1:22 HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("CONNECT a;b:22 HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("CONNECT http://h:22/ HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("GET http://h:x/ HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("GET http:///a HTTP/1.1\r\nHost: h\r\n", "invalid host or port"),
        ("GET http://b\u{fc}cher/ HTTP/1.1\r\nHost: h\r\n", "invalid"),
        ("G\u{e9}T http://h/ HTTP/1.1\r\nHost: h\r\n", "invalid"),
    ] {
        let (status, text) = rejected(&format!("{head}\r\n"));
        assert!(status == 400 && text.contains(cause), "{head}: {status} {text}");
        assert!(!text.contains("hunter2"));
    }
}

#[test]
fn other_requests_are_rejected_with_their_status() {
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n", 405),
        ("GET https://h/ HTTP/1.1\r\nHost: h\r\n", 501),
        ("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n", 501),
        ("POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        ("PRI * HTTP/2.0\r\n", 505),
        ("GET / HTTP/3\r\nHost: h\r\n", 505),
    ] {
        assert_eq!(rejected(&format!("{head}\r\n")).0, status, "{head}");
    }
    assert!(played("GET / HTTP/1.1\r\nHost: h\r\n\r\n").sent().contains("\r\nAllow: CONNECT\r\n"));
    let many = "X: y\r\n".repeat(MAX_FIELDS);
    assert_eq!(rejected(&format!("GET http://h/ HTTP/1.1\r\nHost: h\r\n{many}\r\n")).0, 431);
}

#[test]
fn a_head_has_a_maximum_size() {
    let with = |length: usize| {
        let start = "GET http://h/ HTTP/1.1\r\nHost: h\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    assert_eq!(played(&with(MAX_HEAD)).target, "h:80");
    assert_eq!(rejected(&with(MAX_HEAD + 1)).0, 431);
    assert_eq!(rejected(&"x".repeat(MAX_HEAD + 1)).0, 431);
}

#[test]
fn another_protocol_gets_no_answer() {
    for (input, got) in [(&b"\x16\x03\x01\0"[..], 0x16), (b"\x05\x01\0", 5), (b"\0", 0)] {
        let played = connects("http", input);
        let why = Rejection::NotTheProtocol { expected: "an HTTP request", got };
        assert_eq!((played.sent, played.ending), (Vec::new(), Ending::Rejected(why)));
    }
}

#[test]
fn each_refusal_has_its_status_and_text() {
    for why in Refusal::ALL {
        let status = match why {
            Refusal::NotAllowed => 403,
            Refusal::TimedOut => 504,
            _ => 502,
        };
        for head in ["CONNECT h:22 HTTP/1.1\r\n\r\n", "GET http://h:22/ HTTP/1.1\r\nHost: h\r\n\r\n"] {
            let played = refuses("http", head.as_bytes(), why);
            assert_eq!(played.ending, Ending::Refused);
            let sent = played.sent();
            let text = format!("connect: cannot connect to h:22: {}\n", why.text());
            assert_eq!(answer(&sent), (status, text.as_str()));
        }
        let head = refuses("http", b"HEAD http://h:22/ HTTP/1.1\r\nHost: h\r\n\r\n", why);
        assert_eq!(answer(&head.sent()), (status, ""));
    }
}

#[test]
fn a_listener_with_logins_accepts_only_these() {
    let with = |field: &str| {
        let input = format!("CONNECT h:22 HTTP/1.1\r\nHost: h\r\n{field}\r\nEARLY");
        play("http", Some(&logins()), input.as_bytes(), Decision::Connected(None))
    };
    let basic = |pair: &str| format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(pair));
    for field in
        [basic("alice:hunter2-opensesame"), basic("alice:hunter2-opensesame").replace("Basic", "bAsIC ")]
    {
        let accepted = with(&field);
        assert_eq!((accepted.target.as_str(), accepted.rest()), ("h:22", "EARLY".into()), "{field}");
    }
    for (field, why) in [
        (String::new(), Rejection::NoPassword),
        ("Authorization: Basic eDp5\r\n".into(), Rejection::NoPassword),
        ("Proxy-Authorization: Digest x\r\n".into(), Rejection::NoPassword),
        ("Proxy-Authorization: Basic\r\n".into(), Rejection::NoPassword),
        ("Proxy-Authorization: Basic !!!\r\n".into(), Rejection::NoPassword),
        (basic("alice"), Rejection::WrongPassword),
        (basic("alice:hunter2"), Rejection::WrongPassword),
        (basic("bob:hunter2-opensesame"), Rejection::WrongPassword),
    ] {
        let rejected = with(&field);
        let sent = rejected.sent();
        assert_eq!(answer(&sent).0, 407, "{field}");
        assert!(sent.contains("\r\nProxy-Authenticate: Basic realm=\"connect\", charset=\"UTF-8\"\r\n"));
        assert_eq!(rejected.ending, Ending::Rejected(why));
    }
    let forwarded = format!("GET http://h/ HTTP/1.1\r\nHost: h\r\n{}\r\n", basic("alice:hunter2-opensesame"));
    let forwarded = play("http", Some(&logins()), forwarded.as_bytes(), Decision::Connected(None));
    assert!(!forwarded.rest().to_ascii_lowercase().contains("proxy-authorization"));
}

#[test]
fn a_slow_client_gets_an_answer_unless_it_has_sent_nothing() {
    let mut server = Http::new(None);
    server.timed_out();
    assert_eq!(server.step(), Step::Close(Some(Rejection::Closed)));
    let mut server = Http::new(None);
    server.receive(b"GET");
    server.timed_out();
    let Step::Send(sent) = server.step() else { unreachable!() };
    assert_eq!(answer(std::str::from_utf8(sent.bytes()).unwrap()).0, 408);
    assert_eq!(server.step(), Step::Close(Some(Rejection::TimedOut)));
}

#[test]
fn the_state_shows_no_password() {
    let mut server = Http::new(Some(logins()));
    server.receive(b"GET http://h/ HTTP/1.1\r\nHost: h\r\nCookie: hunter2\r\nProxy-Authorization: Basic ");
    let shown = format!("{server:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"), "{shown}");
}

/// Passes a response through the filter in every fragmentation, and returns the result as text.
fn response(is_http_1_0: bool, input: &str) -> String {
    let played = |parts: &[&[u8]]| {
        let (output, failed) = filtered(&mut Response::new(false, is_http_1_0, false), parts);
        assert_eq!(failed, None);
        String::from_utf8(output).unwrap()
    };
    let bytes = input.as_bytes();
    let whole = played(&[bytes]);
    assert_eq!(played(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    if bytes.len() < 1000 {
        for at in 1..bytes.len() {
            assert_eq!(played(&[&bytes[..at], &bytes[at..]]), whole, "{at}");
        }
    }
    whole
}

#[test]
fn the_head_of_a_response_is_rewritten_and_the_body_is_not() {
    for (input, expected) in [
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX: y\r\n\
             Transfer-Encoding: chunked\r\nTrailer: Z\r\n\r\n5\r\nhello\r\n0\r\nZ: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\nTrailer: Z\r\nVia: 1.1 connect\r\n\
             Connection: close\r\n\r\n5\r\nhello\r\n0\r\nZ: 1\r\n\r\n",
        ),
        (
            "HTTP/1.0 404 Not Found\nContent-Length : 2\nSet-Cookie: a\nProxy-Authenticate: x\n\nno",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nSet-Cookie: a\r\nVia: 1.0 connect\r\n\
             Connection: close\r\n\r\nno",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\nVia: 1.1 connect\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\
             Via: 1.1 connect\r\nConnection: close\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\nabc",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\n0\r\n\r\n",
        ),
    ] {
        assert_eq!(response(false, input), expected);
    }
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody";
    let expected = "HTTP/1.1 200 OK\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\nbody";
    assert_eq!(response(true, interim), expected);
}

#[test]
fn a_response_that_must_not_reach_the_client_becomes_a_502() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: abcdefghijklmnopqrstuvwxyz\r\n\r\n".repeat(2000);
    for input in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        &long,
    ] {
        let output = response(false, input);
        assert_eq!(answer(&output).0, 502, "{input}");
    }
    assert!(response(false, &interim).contains("HTTP/1.1 502 "));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(answer(&response(true, chunked)).0, 502);
}

#[test]
fn a_filter_stays_at_its_end() {
    let mut filter = Response::new(true, false, false);
    let mut output = Zeroizing::new(Vec::new());
    filter.closed(&mut output).unwrap();
    assert_eq!(answer(std::str::from_utf8(&output).unwrap()), (502, ""));
    assert_eq!(filter.mode(), Mode::End);
}

//! Tests of refusals and their messages.

use super::{REQUEST, answered, machine};
use crate::proto::testing::{Cut, Turn, fails, run};
use crate::proto::{Error, Negotiation as _, Step};

/// Returns the rest of a refusal's message, after "refused to connect to ssh.example:22: ".
fn message(answer: &str) -> String {
    message_of(answer.as_bytes())
}

fn message_of(answer: &[u8]) -> String {
    let error = answered(answer);
    assert!(matches!(error, Error::HttpRefused { .. }), "{error:?}");
    error.to_string().strip_prefix("refused to connect to ssh.example:22: ").unwrap().to_owned()
}

#[test]
fn the_message_has_the_status_and_the_first_line_of_the_body() {
    for (answer, expected) in [
        (
            "HTTP/1.1 403 Forbidden\r\n\r\nPort 22 is not allowed.\nAsk.\n",
            "403 Forbidden: Port 22 is not allowed.",
        ),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\nno way\nX", "502 Bad Gateway: no way"),
        ("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\nX", "504 Gateway Timeout"),
        ("HTTP/1.1 304 Not Modified\r\n\r\nX", "304 Not Modified"),
        ("HTTP/1.0 500 Oops\n\n\n  \r\n\t down \n", "500 Oops: down"),
        // The body repeats the reason phrase.
        ("HTTP/1.1 403 Forbidden\r\n\r\nforbidden\r\n", "403 Forbidden"),
        (
            "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n3\r\nway\r\n0\r\n\r\nX",
            "400 Bad: no way",
        ),
    ] {
        assert_eq!(message(answer), expected);
    }
}

#[test]
fn the_message_reads_well_without_a_reason_phrase() {
    for (answer, expected) in [
        ("HTTP/1.1 403\r\nContent-Length: 0\r\n\r\n", "403"),
        ("HTTP/1.1 403 \r\n\r\nno way\n", "403 no way"),
        ("HTTP/1.1 302\r\nLocation: http://login/\r\nContent-Length: 0\r\n\r\n", "302 (to http://login/)"),
    ] {
        assert_eq!(message(answer), expected);
    }
}

#[test]
fn an_unknown_status_class_is_a_refusal() {
    // RFC 9110 §15: treat it as a 5xx.
    for status in [600, 799, 999] {
        assert_eq!(
            message(&format!("HTTP/1.1 {status} Request denied\r\n\r\n")),
            format!("{status} Request denied")
        );
    }
}

#[test]
fn every_final_status_except_2xx_is_a_refusal() {
    for status in (300..600).filter(|status| ![401, 407].contains(status)) {
        assert_eq!(
            message(&format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")),
            format!("{status} No")
        );
    }
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    let to =
        |status| message(&format!("HTTP/1.1 {status} Found\r\nLocation: http://login.example/?a\r\n\r\n"));
    assert_eq!(to(302), "302 Found (to http://login.example/?a)");
    assert_eq!(to(307), "307 Found (to http://login.example/?a)");
    assert_eq!(to(403), "403 Found");
}

#[test]
fn a_page_is_reduced_to_its_title() {
    let page =
        "<!DOCTYPE html><HTML><head>\n<Title lang=en>\n  Access\n denied &amp; logged\n</title></head><p>x";
    for content_type in ["Content-Type: text/HTML; charset=utf-8\r\n", ""] {
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{content_type}\r\n{page}");
        assert_eq!(message(&answer), "403 Forbidden: Access denied & logged");
    }
}

#[test]
fn a_missing_rest_of_the_body_is_not_awaited() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5000\r\n\r\nno way";
    let silent = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(answer)]);
    let closed = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(answer), Turn::Closes]);
    assert_eq!(silent.to_string(), "refused to connect to ssh.example:22: 403 Forbidden: no way");
    assert_eq!(closed, silent);
}

#[test]
fn a_malformed_body_does_not_hide_the_refusal() {
    for (body, expected) in [
        ("zz\r\n", "403 No"),
        ("\r\n", "403 No"),
        ("-1\r\nx", "403 No"),
        ("3\r\noh no way", "403 No: oh"),
        ("6\r\nno way\r\n0\r\n", "403 No: no way"),
        ("fffffffffffffffff\r\n", "403 No"),
    ] {
        assert_eq!(
            message(&format!("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{body}")),
            expected,
            "{body:?}"
        );
    }
}

#[test]
fn the_rest_of_a_malformed_body_is_not_awaited() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(machine.step(), Ok(Step::ReceiveRest));
    assert_eq!(machine.receive(b"zz\r\nwhatever"), Ok(12));
    assert!(matches!(machine.step(), Err(Error::HttpRefused { status: 403, .. })));
}

#[test]
fn only_the_start_of_a_long_body_is_read() {
    let flood = [b"HTTP/1.1 403 No\r\n\r\nno way\n", &*vec![b'x'; 1_000_000]].concat();
    for cut in [Cut::InOneLump, Cut::At(100), Cut::ByteByByte] {
        let outcome = run(machine(), &[Turn::Sends(REQUEST), Turn::Proxy(&flood)], cut);
        assert_eq!(
            outcome.result.unwrap_err().to_string(),
            "refused to connect to ssh.example:22: 403 No: no way"
        );
        if let Cut::ByteByByte = cut {
            let read = flood.len() - outcome.unread.len();
            assert!((4096..5000).contains(&read), "{read}");
        }
    }
}

#[test]
fn the_message_for_a_long_body_does_not_depend_on_the_fragmentation() {
    let blanks = "1\r\n \r\n".repeat(1000);
    let answer =
        format!("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{blanks}5\r\nwords\r\n0\r\n\r\n");
    assert_eq!(message(&answer), "403 No");
}

#[test]
fn a_long_line_is_truncated() {
    let reason = "r".repeat(1000);
    let message =
        message(&format!("HTTP/1.1 302 {reason}\r\nLocation: {reason}\r\n\r\n{}", "b".repeat(3000)));
    let cut = |c: &str| format!("{}…", c.repeat(160));
    assert_eq!(message, format!("302 {}: {} (to {})", cut("r"), cut("b"), cut("r")));
}

#[test]
fn control_characters_from_the_proxy_are_escaped() {
    let hostile = "a\x1b]0;owned\x07\u{9b}2J\u{202e}b\x08\x7f";
    let shown = "a\\x1b]0;owned\\x07\\u{9b}2J\\u{202e}b\\x08\\x7f";
    assert_eq!(
        message(&format!("HTTP/1.1 302 {hostile}\r\nLocation: {hostile}\r\n\r\nB{hostile}\r\n")),
        format!("302 {shown}: B{shown} (to {shown})")
    );
    assert_eq!(
        message(&format!("HTTP/1.1 403 No\r\n\r\n<title>{hostile}\n&lt;&#27;</title>")),
        format!("403 No: {shown} <&#27;")
    );
    assert_eq!(message_of(b"HTTP/1.1 403 No\r\n\r\n\xff\x00\r\n"), "403 No: \u{fffd}\\x00");
    for answer in [
        format!("{hostile}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{hostile}\r\n\r\n"),
        format!("HTTP/1.1 2{hostile}\r\n\r\n"),
    ] {
        let turns = [Turn::Sends(REQUEST), Turn::Proxy(answer.as_bytes())];
        // `run` also checks that the error message contains no control characters.
        let error = run(machine(), &turns, Cut::InOneLump).result.unwrap_err();
        assert!(error.to_string().contains("\\x1b]0;owned"), "{error}");
    }
}

#[test]
fn a_header_line_without_a_colon_is_an_error_even_with_200() {
    for line in ["no colon", " folded onto nothing", "\u{1}", "Via x"] {
        let error = answered(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n").as_bytes());
        assert!(matches!(error, Error::MalformedHttp(_)), "{error:?}");
    }
}

#[test]
fn a_port_that_expects_tls_is_recognized() {
    let page = "<title>400 The plain HTTP request was sent to HTTPS port</title>";
    for (answer, expected) in [
        (format!("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n{page}"), true),
        (format!("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n{page}"), false),
        ("HTTP/1.1 400 Bad Request\r\n\r\n".into(), false),
    ] {
        let error = answered(answer.as_bytes());
        assert!(
            matches!(error, Error::HttpRefused { expects_tls, .. } if expects_tls == expected),
            "{error:?}"
        );
    }
    let alert = [Turn::Sends(REQUEST), Turn::Proxy(b"\x15\x03\x01\0\x02\x02\x46")];
    let error = run(machine(), &alert, Cut::InOneLump).result.unwrap_err();
    assert!(matches!(error, Error::NotHttp { is_tls: true, .. }), "{error:?}");
}

//! Refusals, and what is told of them.

use super::{REQUEST, answered, machine};
use crate::proto::testing::{Cut, Turn, fails, run};
use crate::proto::{Error, Negotiation as _, Step};

/// What the user reads of an answer, after "refused ssh.example:22: ".
fn told(answer: &str) -> String {
    told_of(answer.as_bytes())
}

fn told_of(answer: &[u8]) -> String {
    let error = answered(answer);
    assert!(matches!(error, Error::HttpRefused { .. }), "{error:?}");
    error.to_string().strip_prefix("refused ssh.example:22: ").unwrap().to_owned()
}

#[test]
fn status_and_the_start_of_the_text_are_told() {
    for (answer, due) in [
        (
            "HTTP/1.1 403 Forbidden\r\n\r\nPort 22 is not allowed.\nAsk.\n",
            "403 Forbidden: Port 22 is not allowed.",
        ),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\nno way\nX", "502 Bad Gateway: no way"),
        ("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\nX", "504 Gateway Timeout"),
        ("HTTP/1.1 304 Not Modified\r\n\r\nX", "304 Not Modified"),
        ("HTTP/1.0 500 Oops\n\n\n  \r\n\t down \n", "500 Oops: down"),
        // The reason once is enough.
        ("HTTP/1.1 403 Forbidden\r\n\r\nforbidden\r\n", "403 Forbidden"),
        (
            "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n3\r\nway\r\n0\r\n\r\nX",
            "400 Bad: no way",
        ),
    ] {
        assert_eq!(told(answer), due);
    }
}

#[test]
fn without_a_reason_the_rest_reads_well() {
    for (answer, due) in [
        ("HTTP/1.1 403\r\nContent-Length: 0\r\n\r\n", "403"),
        ("HTTP/1.1 403 \r\n\r\nno way\n", "403 no way"),
        ("HTTP/1.1 302\r\nLocation: http://login/\r\nContent-Length: 0\r\n\r\n", "302 (to http://login/)"),
    ] {
        assert_eq!(told(answer), due);
    }
}

#[test]
fn a_status_that_is_none_is_a_refusal_like_any_other() {
    // RFC 9110 §15: as if it were a 5xx.
    for status in [600, 799, 999] {
        assert_eq!(
            told(&format!("HTTP/1.1 {status} Request denied\r\n\r\n")),
            format!("{status} Request denied")
        );
    }
}

#[test]
fn every_final_status_but_2xx_refuses() {
    for status in (300..600).filter(|status| ![401, 407].contains(status)) {
        assert_eq!(
            told(&format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")),
            format!("{status} No")
        );
    }
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let to = |status| told(&format!("HTTP/1.1 {status} Found\r\nLocation: http://login.example/?a\r\n\r\n"));
    assert_eq!(to(302), "302 Found (to http://login.example/?a)");
    assert_eq!(to(307), "307 Found (to http://login.example/?a)");
    assert_eq!(to(403), "403 Found");
}

#[test]
fn a_page_is_told_by_its_title() {
    let page =
        "<!DOCTYPE html><HTML><head>\n<Title lang=en>\n  Access\n denied &amp; logged\n</title></head><p>x";
    for content_type in ["Content-Type: text/HTML; charset=utf-8\r\n", ""] {
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{content_type}\r\n{page}");
        assert_eq!(told(&answer), "403 Forbidden: Access denied & logged");
    }
}

#[test]
fn a_text_that_does_not_come_is_not_waited_for() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5000\r\n\r\nno way";
    let silent = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(answer)]);
    let closed = fails(machine, &[Turn::Sends(REQUEST), Turn::Proxy(answer), Turn::Closes]);
    assert_eq!(silent.to_string(), "refused ssh.example:22: 403 Forbidden: no way");
    assert_eq!(closed, silent);
}

#[test]
fn a_broken_text_does_not_hide_the_verdict() {
    for (body, due) in [
        ("zz\r\n", "403 No"),
        ("\r\n", "403 No"),
        ("-1\r\nx", "403 No"),
        ("3\r\noh no way", "403 No: oh"),
        ("6\r\nno way\r\n0\r\n", "403 No: no way"),
        ("fffffffffffffffff\r\n", "403 No"),
    ] {
        assert_eq!(
            told(&format!("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{body}")),
            due,
            "{body:?}"
        );
    }
}

#[test]
fn a_broken_text_is_not_waited_for() {
    let mut machine = machine();
    machine.step().unwrap();
    machine.receive(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(machine.step(), Ok(Step::ReceiveRest));
    assert_eq!(machine.receive(b"zz\r\nwhatever"), Ok(12));
    assert!(matches!(machine.step(), Err(Error::HttpRefused { status: 403, .. })));
}

#[test]
fn only_the_start_of_a_long_text_is_read() {
    let flood = [b"HTTP/1.1 403 No\r\n\r\nno way\n", &*vec![b'x'; 1_000_000]].concat();
    for cut in [Cut::InOneLump, Cut::At(100), Cut::ByteByByte] {
        let outcome = run(machine(), &[Turn::Sends(REQUEST), Turn::Proxy(&flood)], cut);
        assert_eq!(outcome.result.unwrap_err().to_string(), "refused ssh.example:22: 403 No: no way");
        if let Cut::ByteByByte = cut {
            let read = flood.len() - outcome.left.len();
            assert!((4096..5000).contains(&read), "{read}");
        }
    }
}

#[test]
fn what_is_told_of_a_long_text_does_not_depend_on_how_much_of_it_comes_at_once() {
    let blanks = "1\r\n \r\n".repeat(1000);
    let answer =
        format!("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{blanks}5\r\nwords\r\n0\r\n\r\n");
    assert_eq!(told(&answer), "403 No");
}

#[test]
fn a_long_line_is_cut() {
    let reason = "r".repeat(1000);
    let told = told(&format!("HTTP/1.1 302 {reason}\r\nLocation: {reason}\r\n\r\n{}", "b".repeat(3000)));
    let cut = |c: &str| format!("{}…", c.repeat(160));
    assert_eq!(told, format!("302 {}: {} (to {})", cut("r"), cut("b"), cut("r")));
}

#[test]
fn a_proxy_does_not_write_to_the_terminal() {
    let hostile = "a\x1b]0;owned\x07\u{9b}2J\u{202e}b\x08\x7f";
    let shown = "a\\x1b]0;owned\\x07\\u{9b}2J\\u{202e}b\\x08\\x7f";
    assert_eq!(
        told(&format!("HTTP/1.1 302 {hostile}\r\nLocation: {hostile}\r\n\r\nB{hostile}\r\n")),
        format!("302 {shown}: B{shown} (to {shown})")
    );
    assert_eq!(
        told(&format!("HTTP/1.1 403 No\r\n\r\n<title>{hostile}\n&lt;&#27;</title>")),
        format!("403 No: {shown} <&#27;")
    );
    assert_eq!(told_of(b"HTTP/1.1 403 No\r\n\r\n\xff\x00\r\n"), "403 No: \u{fffd}\\x00");
    for answer in [
        format!("{hostile}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{hostile}\r\n\r\n"),
        format!("HTTP/1.1 2{hostile}\r\n\r\n"),
    ] {
        let turns = [Turn::Sends(REQUEST), Turn::Proxy(answer.as_bytes())];
        // The driver looks at the error's text.
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
fn forbidden_has_a_hint() {
    let hint = |status| answered(format!("HTTP/1.1 {status} No\r\n\r\n").as_bytes()).hint();
    assert_eq!(hint(403), Some("many proxies allow CONNECT to port 443 only"));
    assert_eq!(hint(418), None);
}

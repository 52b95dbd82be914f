//! Tests of web pages in answer to CONNECT.

use super::{REQUEST, answered, established_by, machine};
use crate::proto::testing::{Cut, Turn, run};
use crate::proto::{Negotiation as _, Step};

/// Returns a response with status 200, this header line and this body.
fn response(field: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{body}")
}

#[test]
fn a_page_that_the_head_announces_is_an_error_with_its_title() {
    for (field, body) in [
        ("Content-Type: text/html", "<html><title>Hello</title>"),
        ("Content-Type: text/html", "\u{feff}\r\n  <!DOCTYPE html><TITLE>Hello</TITLE>"),
        ("content-type: application/xhtml+xml", "<?xml version='1.0'?><title>Hello</title>"),
        (
            "Content-Type: text/html\r\nTransfer-Encoding: chunked",
            "1a\r\n<script></script><title>He\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        ("Content-Type: text/html\r\nContent-Length: 26", "<!-- --><title>Hello</title>"),
        ("Location: http://login.example/", "<meta><title>Hello</title>"),
        ("Refresh: 0", "<body><title>Hello</title>"),
    ] {
        let error = answered(response(field, body).as_bytes());
        let expected = "sent a web page instead of a tunnel to ssh.example:22: 200 OK: Hello";
        assert_eq!(error.to_string(), expected, "{field}: {body}");
    }
}

/// `established_by` appends the greeting of a target.
#[test]
fn anything_else_is_a_tunnel() {
    for field in [
        "Content-Type: text/html",
        "Content-Type: text/html\r\nTransfer-Encoding: chunked",
        "Content-Type: text/html\r\nContent-Length: 0",
        "Content-Type: text/html\r\nContent-Length: 5",
        "Content-Type: text/plain",
        "Location: /",
    ] {
        established_by(response(field, "").as_bytes());
    }
    for (field, body) in [
        ("Content-Type: text/plain", "<html>"),
        ("X: y", "<html>"),
        ("Content-Type: text/html", "<stream>"),
        ("Content-Type: text/html", "<htm"),
        ("Content-Type: text/html", "\u{feff}"),
        ("Content-Type: text/html\r\nContent-Length: 2", "<html>"),
        ("Content-Type: text/html\r\nTransfer-Encoding: chunked", "<html>"),
        ("Content-Type: text/html\r\nTransfer-Encoding: chunked", "0\r\n\r\n<html>"),
    ] {
        let response = response(field, body);
        for cut in [Cut::InOneLump, Cut::ByteByByte] {
            let outcome = run(machine(), &[Turn::Sends(REQUEST), Turn::Proxy(response.as_bytes())], cut);
            assert_eq!(
                (outcome.result, outcome.unread),
                (Ok(()), body.as_bytes().to_vec()),
                "{field}: {body}"
            );
        }
    }
}

#[test]
fn a_page_is_looked_for_only_if_the_head_announces_one() {
    for (field, peeks) in [
        ("X: y", false),
        ("Content-Type: text/plain", false),
        ("Content-Type: text/html\r\nContent-Length: 0", false),
        ("Content-Type: text/html", true),
    ] {
        let mut machine = machine();
        machine.step().unwrap();
        machine.receive(response(field, "").as_bytes()).unwrap();
        let expected = if peeks { Step::Peek(0) } else { Step::Done };
        assert_eq!(machine.step(), Ok(expected), "{field}");
    }
}

//! Web servers and login pages of networks that answer CONNECT with status 200 and a page.

use std::time::Duration;

use crate::kit::*;

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head></html>\n";

/// A web server that ignores the method, or the login page of a network, was taken for a tunnel.
#[test]
fn a_web_page_in_answer_to_connect_passed_for_a_session() {
    let length = PAGE.len();
    for (head, page) in [
        (format!("Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"), PAGE.to_owned()),
        ("content-type: TEXT/HTML\r\nConnection: close\r\n".into(), format!("\u{feff}\r\n\r\n {PAGE}")),
        (
            "Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n".into(),
            format!("{length:x}\r\n{PAGE}\r\n0\r\n\r\n"),
        ),
        ("Content-Type: application/xhtml+xml\r\n".into(), format!("<?xml version='1.0'?>{PAGE}")),
        (
            "Refresh: 0; url=http://login.example/\r\n".into(),
            "<HTML><meta http-equiv=refresh><title>Welcome to nginx!</title>".into(),
        ),
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
        for options in ["", "--check"] {
            let (reply, page) = (reply.clone(), page.clone());
            let proxy = http_reply(reply).send_slowly(page, 20, Duration::ZERO).hold().serve();
            let out = connect(format!("{options} -H {proxy} host.example 22")).run();
            out.expect_code(5);
            let text = out.stdout_text() + &out.stderr_text();
            let about = "sent a web page instead of a tunnel to host.example:22: 200 OK: Welcome to nginx!";
            assert!(text.contains(&format!("HTTP proxy {proxy} {about}")), "{head}: {text}");
            assert!(text.contains("log in with a browser"), "{options}: {text}");
            assert!(!text.contains("Success"), "{text}");
            proxy.finish();
        }
    }
}

#[test]
fn a_tunnel_whose_head_announces_a_page_loses_no_byte() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    for (fields, data) in [
        ("Content-Type: text/html\r\n", "SSH-2.0-test\r\n"),
        ("Content-Type: text/html\r\nContent-Length: 0\r\n", PAGE),
        ("Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n", "SSH-2.0-test\r\n"),
        ("Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n", "1f\r\nSSH-2.0-test\r\n"),
        ("Location: /\r\n", "<stream>"),
        // These bodies are too short to decide.
        ("Content-Type: text/html\r\n", "<"),
        ("Content-Type: text/html\r\n", "\r\n<!doc"),
        ("Content-Type: text/html\r\n", ""),
        // These heads do not announce a page.
        ("", PAGE),
        ("Content-Type: text/plain\r\n", PAGE),
    ] {
        for slowly in [false, true] {
            let proxy = if slowly {
                http_reply(head(fields)).send_slowly(data, 1, Duration::from_millis(1)).drain()
            } else {
                http_reply(head(fields)).early(data).drain()
            };
            let proxy = proxy.serve();
            let out = connect(format!("-H {proxy} host.example 22")).run();
            out.expect_success().expect_stdout(data);
            proxy.finish();
        }
    }
}

#[test]
fn a_password_in_a_web_page_is_masked() {
    let page =
        "HTTP/1.1 200 hunter2x\r\nContent-Type: text/html\r\n\r\n<title>Hello \x1b[2J hunter2x</title>";
    let proxy = http_reply(page).hold().serve();
    let out = connect(format!("-H me:hunter2x@{proxy} host.example 22")).run();
    out.expect_failure(5, &["200 xxxxx: Hello \\x1b[2J xxxxx"]).expect_stderr_lacks("hunter2x");
    proxy.finish();
}

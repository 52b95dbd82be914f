//! Early data: bytes that arrive with the proxy's reply belong to the session, and bytes from stdin
//! are not sent until the negotiation is complete.

use std::time::Duration;

use super::connect;
use crate::kit::*;

/// The options for a proxy protocol, a script up to the request, and the reply that grants the
/// request.
type Protocol = (&'static str, fn() -> Script, &'static [u8]);

const PROTOCOLS: [Protocol; 3] = [
    ("-5 -S", socks5_request, &SOCKS5_GRANTED),
    ("-4 -S", socks4_request, &SOCKS4_GRANTED),
    ("-H", http_request, b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"),
];

#[test]
fn data_in_the_segment_of_the_reply_is_delivered() {
    for (options, request, granted) in PROTOCOLS {
        let proxy = request().send(granted).early("SSH-2.0-x\r\n").expect("ping").expect_eof();
        let proxy = proxy.serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait_stdout_has("SSH-2.0-x\r\n");
        run.send("ping");
        run.finish().expect_success().expect_stdout("SSH-2.0-x\r\n");
        proxy.finish();
    }
}

#[test]
fn data_in_the_segment_of_the_reply_and_eof_is_delivered() {
    for (options, request, granted) in PROTOCOLS {
        let proxy = request().send(granted).early("bye").serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout("bye");
        proxy.finish();
    }
}

#[test]
fn a_large_amount_of_early_data_is_delivered() {
    for (options, request, granted) in PROTOCOLS {
        let proxy = request().send(granted).early(bytes(1, 200_000)).serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout(bytes(1, 200_000));
        proxy.finish();
    }
}

/// The early data is binary: it contains NULs and a line that looks like a response.
#[test]
fn early_data_is_not_interpreted() {
    const DATA: &[u8] = b"\0\r\n\r\nHTTP/1.1 407 No\r\n\r\n\xff\0\n";
    for (options, request, granted) in PROTOCOLS {
        let proxy = request().send(granted).early(DATA).serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout(DATA);
        proxy.finish();
    }
}

#[test]
fn a_reply_in_single_bytes_is_separated_from_the_data_after_it() {
    for (options, request, granted) in PROTOCOLS {
        let all = [granted, b"banner"].concat();
        let proxy = request().send_slowly(all, 1, Duration::from_millis(2)).serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout("banner");
        proxy.finish();
    }
}

#[test]
fn stdin_is_not_sent_before_the_negotiation_is_done() {
    for (options, request, granted) in PROTOCOLS {
        let silence = Duration::from_millis(100);
        let proxy = request().expect_silence(silence).send(granted).expect("ping").expect_eof();
        let proxy = proxy.send("pong").serve();
        let run = connect(format!("{options} {proxy} example.org 22")).input("ping").run();
        run.expect_success().expect_stdout("pong");
        proxy.finish();
    }
}

#[test]
fn stdin_is_never_sent_to_a_proxy_that_refuses() {
    for (options, request, refusal) in [
        ("-5 -S", socks5_request as fn() -> Script, &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0][..]),
        ("-4 -S", socks4_request, &[0, 91, 0, 0, 0, 0, 0, 0]),
        ("-H", http_request, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let proxy = request().send(refusal).expect_disconnect().serve();
        let out = connect(format!("{options} {proxy} example.org 22")).input("secret").run();
        out.expect_failure(5, &[]).expect_stdout("");
        proxy.finish();
    }
}

//! Bytes that are early: those that come in one segment with the proxy's reply belong to the
//! session, and those that stand on stdin wait for the end of the negotiation.

use std::time::Duration;

use super::connect;
use crate::kit::*;

/// A way to ask for a tunnel: options, the script up to the request, the reply that grants it.
type Way = (&'static str, fn() -> Script, &'static [u8]);

const WAYS: [Way; 3] = [
    ("-5 -S", socks5_request, &SOCKS5_GRANTED),
    ("-4 -S", socks4_request, &SOCKS4_GRANTED),
    ("-H", http_request, b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"),
];

#[test]
fn what_comes_with_the_reply_is_delivered() {
    for (options, request, granted) in WAYS {
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
fn what_comes_with_the_reply_and_the_end_of_the_stream_is_delivered() {
    for (options, request, granted) in WAYS {
        let proxy = request().send(granted).early("bye").serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout("bye");
        proxy.finish();
    }
}

#[test]
fn much_that_comes_with_the_reply_is_delivered() {
    for (options, request, granted) in WAYS {
        let proxy = request().send(granted).early(bytes(1, 200_000)).serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout(bytes(1, 200_000));
        proxy.finish();
    }
}

/// Binary data with a NUL and what looks like a header: it is data.
#[test]
fn what_comes_with_the_reply_is_not_interpreted() {
    const DATA: &[u8] = b"\0\r\n\r\nHTTP/1.1 407 No\r\n\r\n\xff\0\n";
    for (options, request, granted) in WAYS {
        let proxy = request().send(granted).early(DATA).serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout(DATA);
        proxy.finish();
    }
}

#[test]
fn a_reply_in_single_bytes_and_what_follows_are_told_apart() {
    for (options, request, granted) in WAYS {
        let all = [granted, b"banner"].concat();
        let proxy = request().send_slowly(all, 1, Duration::from_millis(2)).serve();
        let mut run = connect(format!("{options} {proxy} example.org 22")).start();
        run.wait().expect_success().expect_stdout("banner");
        proxy.finish();
    }
}

#[test]
fn what_stands_on_stdin_goes_out_only_after_the_negotiation() {
    for (options, request, granted) in WAYS {
        let silence = Duration::from_millis(300);
        let proxy = request().expect_silence(silence).send(granted).expect("ping").expect_eof();
        let proxy = proxy.serve();
        let run = connect(format!("{options} {proxy} example.org 22")).input("ping").run();
        run.expect_success();
        proxy.finish();
    }
}

#[test]
fn what_stands_on_stdin_never_reaches_a_proxy_that_refuses() {
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

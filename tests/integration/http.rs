//! HTTP CONNECT with the real program. The authentication tests are in `http_auth`.

use crate::kit::*;
use crate::wire::*;
use std::time::Duration;

const REQUEST: &str = "CONNECT host.example:22 HTTP/1.1\r\nHost: host.example:22\r\n\r\n";

fn host_22(proxy: &Server) -> Program {
    connect(format!("-H {proxy} host.example 22"))
}

#[test]
fn the_conversation_is_one_request_and_one_head_in_any_fragmentation() {
    let head = "HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n";
    expect_tunnel(script().expect_at_once(REQUEST).send_bytewise(head), host_22);
}

#[test]
fn no_session_data_is_sent_before_the_tunnel_is_established() {
    let proxy = script().expect(REQUEST).expect_silence(Duration::from_millis(100));
    expect_tunnel(proxy.send("HTTP/1.1 200 OK\r\n\r\n"), host_22);
}

#[test]
fn every_successful_head_establishes_the_tunnel_and_the_bytes_after_it_belong_to_the_session() {
    let long_line = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 201 Created\r\n\r\n",
        "HTTP/1.1 299 Whatever\r\n\r\n",
        "HTTP/1.1 200 OK\nX: y\n\n",
        "HTTP/1.1 200 OK\r\nX: y\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        &long_line,
    ] {
        let proxy = http_reply(head).early("\0SSH-2.0-x\r\n\r\n").drain().serve();
        host_22(&proxy).run().expect_success().expect_stdout("\0SSH-2.0-x\r\n\r\n");
        assert_eq!(proxy.finish_one().head.as_deref(), Some(REQUEST), "{head}");
    }
}

#[test]
fn request_line_and_host_contain_the_target_as_typed() {
    for (target, authority) in [
        ("host.example 22", "host.example:22"),
        ("HOST.Example ssh", "HOST.Example:22"),
        ("localhost 22", "localhost:22"),
        ("-R local localhost 22", "localhost:22"),
        ("10.1.2.3 443", "10.1.2.3:443"),
        ("::1 22", "[::1]:22"),
        ("[2001:db8::7]:22", "[2001:db8::7]:22"),
    ] {
        let proxy = http_ok().drain().serve();
        connect(format!("-H {proxy} {target}")).run().expect_success();
        let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        assert_eq!(proxy.finish_one().head, Some(head), "{target}");
    }
}

#[test]
fn the_proxy_may_be_a_url_and_its_path_is_ignored() {
    for form in ["{S}", "http://{S}", "HTTP://{S}", "http://{S}/", "http://{S}/a/b", "{S}/path"] {
        let proxy = http_ok().drain().serve();
        connect(format!("-H {} host.example 22", form.replace("{S}", &proxy.to_string())))
            .run()
            .expect_success();
        proxy.finish();
    }
}

#[test]
fn an_international_name_without_an_ascii_form_is_an_error_before_anything_is_sent() {
    let proxy = Server::repeat(|| script().expect_eof());
    for (args, message) in [
        (format!("-H {proxy} bücher..example 22"), "'bücher..example': not a valid international name"),
        (format!("-x http://{proxy},http://ü..b host 22"), "invalid proxy in -x: invalid host name"),
    ] {
        connect(args).run().expect_failure(2, &[message]);
    }
    proxy.finish();
}

#[test]
fn the_variables_that_name_the_proxy_are_read_in_this_order() {
    // On Windows, environment variable names are case-insensitive.
    let all: &[_] = if cfg!(windows) {
        &["HTTP_PROXY", "https_proxy", "ALL_PROXY"]
    } else {
        &["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    };
    for (index, used) in all.iter().enumerate() {
        let proxy = http_ok().drain().serve();
        let mut run = connect("-h host.example 22").env("SOCKS_SERVER", "127.0.0.1:1");
        for (position, name) in all.iter().enumerate().filter(|(position, _)| position != &index) {
            // The variables before this one are empty; those after it must not be used.
            run = run.env(name, if position < index { "" } else { "http://127.0.0.1:1" });
        }
        run.env(used, format!("http://{proxy}/")).run().expect_success();
        assert_eq!(proxy.finish_one().target.as_deref(), Some("host.example:22"), "{used}");
    }
}

#[test]
fn a_variable_that_a_web_client_can_set_is_ignored_under_cgi() {
    // On Windows, environment variable names are case-insensitive.
    let (set_by_client, another) = if cfg!(windows) {
        (&["HTTP_PROXY", "http_proxy"][..], "https_proxy")
    } else {
        (&["HTTP_PROXY"][..], "http_proxy")
    };
    for name in set_by_client {
        let under_cgi =
            || connect("-h host.example 22").env("REQUEST_METHOD", "GET").env(name, "127.0.0.1:1");
        let proxy = http_ok().drain().serve();
        under_cgi().env(another, proxy.to_string()).run().expect_success();
        proxy.finish();
        under_cgi().run().expect_failure(2, &["HTTP_PROXY"]).expect_stdout("");
    }
}

#[test]
fn all_proxy_is_used_only_if_its_scheme_matches_the_option() {
    for (option, value) in [
        ("-h", "socks5://127.0.0.1:1"),
        ("-h", "127.0.0.1:1"),
        ("-s", "http://127.0.0.1:1"),
        ("-s", "127.0.0.1:1"),
    ] {
        for name in ["ALL_PROXY", "all_proxy"] {
            connect(format!("{option} h 22"))
                .env(name, value)
                .run()
                .expect_failure(2, &[option, "no proxy for"]);
        }
    }
}

#[test]
fn a_refusal_is_reported_with_its_status_and_the_start_of_its_body() {
    let html = "Content-Type: text/html\r\nContent-Length: 77\r\n\r\n\
        <html><head><style>x</style><title>Access\n &lt;denied&gt; by rule 7</title></head></html>";
    for (reply, parts) in [
        ("403 Forbidden\r\nContent-Length: 0\r\n\r\n", &["403 Forbidden", "443"][..]),
        ("403 Forbidden\r\n\r\n", &["403 Forbidden"]),
        (
            "403 Forbidden\r\nContent-Length: 21\r\n\r\n\r\nAsk the helpdesk.\r\n.",
            &["403", "Ask the helpdesk"],
        ),
        (
            "502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nno ro\r\nb;x=y\r\nute to host\r\n0\r\n\r\n",
            &["502 Bad Gateway", "no route to host"],
        ),
        (&format!("403 Forbidden\r\n{html}"), &["403 Forbidden", "Access <denied> by rule 7"]),
        ("404 Not Found\r\n\r\nno end", &["404 Not Found", "no end"]),
        (
            "302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
            &["302", "http://login.example/"],
        ),
        ("101 Switching Protocols\r\n\r\n", &["101"]),
        ("500\r\nContent-Length: 0\r\n\r\n", &["500"]),
    ] {
        let proxy = http_reply(format!("HTTP/1.1 {reply}")).serve();
        let (address, mut parts) = (format!("HTTP proxy {proxy}"), parts.to_vec());
        parts.extend([&*address, "host.example:22"]);
        host_22(&proxy).run().expect_failure(5, &parts).expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn a_missing_body_of_a_refusal_is_not_awaited() {
    for framing in ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let proxy = http_reply(format!("HTTP/1.1 403 Forbidden\r\n{framing}\r\n")).hold().serve();
        let out = host_22(&proxy).run();
        out.expect_failure(5, &["403 Forbidden"]).expect_within(PROMPTLY);
        proxy.finish();
    }
}

#[test]
fn control_characters_in_a_response_are_escaped() {
    for reply in [
        "403 \x1b]0;owned\x07\x1b[2J\r\nContent-Length: 0\r\n\r\n",
        "403 Forbidden\r\nContent-Type: text/plain\r\n\r\n\x1b[31mred\x1b[0m\x08\x7f\u{9b}2J\u{202e}",
        "403 Forbidden\r\nContent-Type: text/html\r\n\r\n<title>\x1b[2Jx\x07</title>",
        "302 Found\r\nLocation: \x1b[2J\r\nContent-Length: 0\r\n\r\n",
        "407 \x1b[2J\r\nProxy-Authenticate: \x1b[2J\r\nContent-Length: 0\r\n\r\n",
        "\x1b[2J\r\n\r\n",
        "403 Forbidden\r\n\x1b[2J\r\n\r\n",
        "403 two\rlines\r\n\r\n",
    ] {
        let proxy = http_reply(format!("HTTP/1.1 {reply}")).serve();
        let out = host_22(&proxy).run();
        assert!(matches!(out.code, Some(5 | 6)), "{out:?}");
        let text = out.stderr_text();
        assert!(text.starts_with("connect: ") && text.lines().count() == 1, "{out:?}");
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(harmful), "{out:?}");
        proxy.finish();
    }
}

#[test]
fn a_long_text_is_truncated_and_stays_on_one_line() {
    let reply = format!("HTTP/1.1 403 {}\r\n\r\n{}", "r".repeat(10_000), "b".repeat(100_000));
    let proxy = http_reply(reply).serve();
    let out = host_22(&proxy).run();
    out.expect_failure(5, &["403 rrrr", "…"]);
    assert!(out.stderr.len() < 1000, "{} bytes", out.stderr.len());
    proxy.finish();
}

#[test]
fn a_malformed_response_is_reported_at_once() {
    let (not_http, malformed) =
        (&["did not answer with HTTP", "-S"], &["malformed HTTP response", "administrator"]);
    for (answer, part, message) in [
        (&b"SSH-2.0-x\r\n"[..], "SSH-2.0-x", not_http),
        (b"\x05\xff", r"\x05\xff", not_http),
        (b"HTTP/2 200 OK\r\n\r\n", "HTTP/2", not_http),
        (b"ICY 200 OK\r\n\r\n", "ICY", not_http),
        (b"HTTP/1.1 2OO OK\r\n\r\n", "2OO", not_http),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "2000", not_http),
        (b"HTTP/1.1 099 OK\r\n\r\n", "099", not_http),
        (b"HTTP/1.1200 OK\r\n\r\n", "HTTP/1.1200", not_http),
        (b"HTTP/1.1\r\n\r\n", "HTTP/1.1", not_http),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP", not_http),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "no colon", malformed),
        (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "NUL", malformed),
        (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "CR", malformed),
    ] {
        let proxy = http_reply(answer).hold().serve();
        let out = host_22(&proxy).run();
        out.expect_failure(5, &[&proxy.to_string(), part, message[0], message[1]]);
        out.expect_within(PROMPTLY).expect_stdout("");
        proxy.finish();
    }
}

#[test]
fn a_truncated_response_is_an_error_that_names_the_message() {
    let whole = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    for length in 0..whole.len() {
        let proxy = http_reply(&whole[..length]).serve();
        let address = proxy.to_string();
        let out = host_22(&proxy).run();
        out.expect_failure(5, &[&address, "closed", "response to CONNECT"]).expect_stdout("");
        out.expect_cpu_below(Duration::from_secs(1));
        proxy.finish();
    }
    let proxy = http_reply("HTTP/1.1 100 Continue\r\n\r\n").serve();
    host_22(&proxy).run().expect_failure(5, &["closed", "response to CONNECT"]);
}

#[test]
fn the_size_of_a_head_is_limited() {
    for (start, piece) in [
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
        ("HTTP/1.1 200 ", "x"),
        ("HTTP/1.1 200 OK\r\nX: ", "\x1b[2J"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let proxy = http_reply(start)
            .then("send until the program closes", move |session| {
                let pieces = piece.repeat(1000);
                while session.send(pieces.as_bytes()).is_ok() {}
                Ok(())
            })
            .serve();
        let out = host_22(&proxy).run();
        out.expect_failure(5, &[&proxy.to_string(), "64 KiB"]).expect_within(PROMPTLY);
        proxy.finish();
    }
}

/// The time limit for the body of a refusal used to restart with every byte.
#[test]
fn a_body_that_arrives_byte_by_byte_is_not_awaited() {
    let proxy = http_reply("HTTP/1.1 403 No\r\n\r\nPort 22").then("drip", |session| {
        while session.send(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    let proxy = proxy.serve();
    let out = connect(format!("-H {proxy} host.example 22")).run();
    out.expect_failure(5, &["403 No: Port 22"]).expect_within(PROMPTLY);
}

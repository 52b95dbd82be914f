//! Checks that bugs reported against similar programs do not occur in this one. Each test is named
//! after the program or the report.

use crate::kit::*;
use crate::wire::*;
use std::time::Duration;

/// Returns, for SOCKS5, SOCKS4 and HTTP, the options that precede the proxy's address and a script
/// that establishes the tunnel.
fn each_protocol() -> [(&'static str, Script); 3] {
    [("-S me@", socks5_none()), ("-4 -R remote -S me@", socks4_granted()), ("-H me@", http_ok())]
}

#[test]
fn gost_and_nmap_2534_lose_the_bytes_after_the_reply() {
    // More data than a negotiation ever buffers, sent in the same write as the reply.
    let early = bytes(1, 200_000);
    for (options, granted) in each_protocol() {
        let proxy = granted.early(&early).drain().serve();
        let run = connect(format!("{options}{proxy} host.example 22")).run();
        run.expect_success();
        assert_eq!(Digest::from_reader(&*run.stdout), Digest::from_reader(&*early), "{options}");
        proxy.finish();
    }
}

#[test]
fn corkscrew_ends_the_session_at_a_nul() {
    for (options, granted) in each_protocol() {
        let proxy = granted.early("a\0b\0\r\n\r\n\0").drain().serve();
        let run = connect(format!("{options}{proxy} host.example 22")).run();
        run.expect_success().expect_stdout("a\0b\0\r\n\r\n\0");
        proxy.finish();
    }
}

#[test]
fn corkscrew_fails_if_the_status_line_is_split() {
    let whole = "HTTP/1.1 200 OK\r\n\r\n";
    for cut in 1..whole.len() {
        let (first, second) = whole.split_at(cut);
        let proxy =
            http_reply(first).pause(Duration::from_millis(10)).send(second).early("welcome").drain().serve();
        connect(format!("-H {proxy} h 22")).run().expect_success().expect_stdout("welcome");
        proxy.finish();
    }
}

#[test]
fn connect_1_105_crashes_with_names_of_252_bytes_or_more() {
    for length in [252, 254, 255] {
        for (options, granted) in each_protocol() {
            let name = "n".repeat(length);
            let proxy = granted.drain().serve();
            connect(format!("{options}{proxy} {name} 22")).run().expect_success();
            assert_eq!(proxy.finish_one().target, Some(format!("{name}:22")), "{options}");
        }
    }
}

#[test]
fn connect_1_105_spins_if_the_proxy_closes_within_the_header() {
    let proxy = http_reply("HTTP/1.1 200 OK\r\nVia:").serve();
    let out = connect(format!("-H {proxy} host.example 22")).run();
    out.expect_failure(5, &["closed"]).expect_cpu_below(Duration::from_millis(500));
    proxy.finish();
}

#[test]
fn connect_1_105_drops_the_banner_after_a_header_with_bare_line_feeds() {
    let proxy = http_reply("HTTP/1.0 200 OK\nVia: x\n\n").early("SSH-2.0-x\r\n").drain().serve();
    connect(format!("-H {proxy} host.example 22")).run().expect_success().expect_stdout("SSH-2.0-x\r\n");
    proxy.finish();
}

#[test]
fn connect_1_105_sends_the_prompt_as_the_password() {
    let proxy = script().expect([5, 1, 2]).send([5, 2]).expect_eof().serve();
    connect(format!("-a userpass -S me@{proxy} host.example 22")).run().expect_code(6);
    proxy.finish();
    let proxy = http_basic("me", "secret").serve();
    connect(format!("-H me@{proxy} host.example 22")).run().expect_code(6);
    assert!(!proxy.finish_one().head.unwrap().contains("Authorization"));
}

#[test]
fn connect_1_105_follows_redirects_to_a_port_that_it_cannot_parse() {
    let elsewhere = Server::repeat(http_ok);
    let reply = format!("HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let proxy = http_reply(reply).serve();
    connect(format!("-H {proxy} host.example 22")).run().expect_failure(5, &["302", &elsewhere.to_string()]);
    proxy.finish();
    assert!(elsewhere.finish().is_empty(), "the redirect was followed");
}

#[test]
fn nmap_2365_rejects_a_reply_with_a_name() {
    let reply = b"\x05\x00\x00\x03\x0eproxy.internal\x12\x34";
    let proxy = script().expect([5, 1, 0]).send([5, 0]).expect_bytes(19).send(reply).early("welcome").drain();
    let proxy = proxy.serve();
    connect(format!("-S {proxy} host.example 22")).run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn threeproxy_574_requires_a_password_whenever_one_is_offered() {
    // Without a password or a terminal to prompt on, the program does not offer user/password
    // authentication.
    let proxy = script().expect([5, 1, 0]).send([5, 0xff]).serve();
    connect(format!("-S me@{proxy} host.example 22")).run().expect_code(6);
    proxy.finish();
}

#[test]
fn smallstep_1641_hangs_after_remote_eof() {
    for (options, granted) in each_protocol() {
        let proxy = granted.send("bye").half_close().serve();
        let mut run = connect(format!("{options}{proxy} host.example 22")).start();
        // Stdin stays open.
        run.wait().expect_success().expect_stdout("bye").expect_within(PROMPTLY);
        proxy.finish();
    }
}

#[test]
fn socat_and_proxytunnel_lose_the_answer_after_local_eof() {
    for (options, granted) in each_protocol() {
        let proxy =
            granted.expect("ask").expect_eof().pause(Duration::from_millis(200)).send("answer").serve();
        let run = connect(format!("{options}{proxy} host.example 22")).input("ask").run();
        run.expect_success().expect_stdout("answer");
        proxy.finish();
    }
}

#[test]
fn six_of_six_tools_treat_an_interim_response_as_final() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let proxy = script()
        .expect_until("\r\n\r\n")
        .send(interim)
        .pause(Duration::from_millis(50))
        .send_bytewise("HTTP/1.1 200 OK\r\n\r\nwelcome")
        .drain()
        .serve();
    connect(format!("-H {proxy} host.example 22")).run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

/// SOCKS proxies got the name in UTF-8, which few name servers know. With an HTTP proxy, it was an
/// error.
#[test]
fn an_international_name_was_sent_as_typed() {
    for (options, granted) in each_protocol() {
        let proxy = granted.drain().serve();
        connect(format!("{options}{proxy} Bücher.example 22")).run().expect_success();
        assert_eq!(proxy.finish_one().target, Some(format!("{BUECHER}:22")), "{options}");
    }
    for scheme in ["socks4a", "socks5h", "http"] {
        let asked = if scheme == "http" { http_request() } else { socks5_request() };
        let first = if scheme == "socks4a" { socks4_request() } else { asked }.close().serve();
        let out = connect(format!("-x {scheme}://{first},http://bücher.example:8080 host.example 22")).run();
        out.expect_code(5);
        assert_eq!(first.finish_one().target, Some(format!("{BUECHER}:8080")), "{scheme}");
    }
    let dns = NameServer::start("127.0.0.1".parse().unwrap(), |_| {
        Answer::Addresses(vec!["127.0.0.1".parse().unwrap()])
    });
    let target = Server::repeat(|| script().send("welcome"));
    for list in ["bücher.example", ".bücher.example", "BÜCHER.example", BUECHER] {
        let args = format!("-R {dns} -S 127.0.0.1:1 bücher.example. {}", target.port());
        let program = connect(args).env("SOCKS5_DIRECT", list);
        program.run().expect_success().expect_stdout("welcome");
    }
    assert!(dns.asked().iter().all(|(_, question)| question.starts_with(&format!("{BUECHER}. "))));
    drop(target);
}

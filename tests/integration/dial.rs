//! Dialling a peer, and the time limit for reaching the target.

use crate::kit::*;
use crate::wire::*;
use std::time::Duration;

/// Checks that the run times out after about one second, and not earlier.
#[track_caller]
fn expect_timed_out(run: Program, parts: &[&str]) {
    let out = run.run();
    out.expect_failure(7, parts).expect_failure(7, &["timed out after 1 second", "-w"]).expect_stdout("");
    out.expect_within(PROMPTLY);
    assert!(out.elapsed >= Duration::from_millis(950), "{out:?}");
}

#[test]
fn a_refused_connection_is_an_error_with_hop_and_advice() {
    let port = RefusingPort::new();
    for (args, hop) in [
        ("127.0.0.1 {P}", "cannot connect to 127.0.0.1:{P}: "),
        ("-S 127.0.0.1:{P} host 22", "SOCKS5 proxy 127.0.0.1:{P}"),
        ("-4 -S 127.0.0.1:{P} 10.1.2.3 22", "SOCKS4 proxy 127.0.0.1:{P}"),
        ("-H 127.0.0.1:{P} host 22", "HTTP proxy 127.0.0.1:{P}"),
        ("localhost {P}", "localhost:{P}"),
    ] {
        let filled_in = |text: &str| text.replace("{P}", &port.port().to_string());
        let out = connect(filled_in(args)).run();
        out.expect_failure(4, &[&filled_in(hop), "refused", "check"]).expect_stdout("");
    }
}

#[test]
fn an_unknown_host_is_an_error_that_names_the_hop() {
    for (args, hop) in [
        (format!("{UNKNOWN} 22"), format!("cannot resolve {UNKNOWN}:22")),
        (format!("-S {UNKNOWN} host 22"), format!("SOCKS5 proxy {UNKNOWN}:1080")),
        (format!("-4 -S {UNKNOWN} 10.1.2.3 22"), format!("SOCKS4 proxy {UNKNOWN}:1080")),
        (format!("-H {UNKNOWN} host 22"), format!("HTTP proxy {UNKNOWN}:80")),
    ] {
        for limit in ["", "-w 5"] {
            let out = connect(format!("{limit} {args}")).run();
            out.expect_failure(3, &[&hop, "resolve"]).expect_stdout("");
        }
    }
}

#[test]
fn the_limit_covers_a_dial_that_hangs() {
    let silent = SilentPort::new();
    let port = silent.port();
    expect_timed_out(connect(format!("-w 1 127.0.0.1 {port}")), &[&format!("127.0.0.1:{port}")]);
    expect_timed_out(connect(format!("-w 1 -S 127.0.0.1:{port} h 22")), &["SOCKS5 proxy", "did not answer"]);
}

#[test]
fn the_limit_covers_a_silent_socks5_proxy() {
    let proxy = script().hold().serve();
    let args = format!("-w 1 -S {proxy} host 22");
    expect_timed_out(connect(args), &[&format!("SOCKS5 proxy {proxy}"), "the reply to the SOCKS5 greeting"]);
    proxy.finish();
}

#[test]
fn the_limit_covers_a_silent_socks4_proxy() {
    let proxy = script().send([0]).hold().serve();
    let args = format!("-w 1 -4 -S {proxy} 10.1.2.3 22");
    expect_timed_out(connect(args), &[&format!("SOCKS4 proxy {proxy}"), "the reply to the SOCKS4 request"]);
    proxy.finish();
}

#[test]
fn the_limit_covers_an_http_proxy_that_stops_within_its_header() {
    let proxy = http_reply("HTTP/1.1 200 OK\r\n").hold().serve();
    let args = format!("-w 1 -H {proxy} host 22");
    expect_timed_out(connect(args), &[&format!("HTTP proxy {proxy}"), "the rest of the response to CONNECT"]);
    proxy.finish();
}

#[test]
fn the_limit_does_not_restart_with_each_byte() {
    let proxy = http_reply("HTTP/1.1 200 OK\r\n")
        .then("drip until the other side is gone", |session| {
            while session.send(b"X").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        })
        .serve();
    expect_timed_out(connect(format!("-w 1 -H {proxy} host 22")), &[&proxy.to_string()]);
    proxy.finish();
}

#[test]
fn the_limit_ends_when_the_tunnel_is_established() {
    let proxy = socks5_none().pause(Duration::from_millis(1500)).send("welcome").drain().serve();
    let run = connect(format!("-w 1 -S {proxy} host 22")).run();
    run.expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn a_limit_of_zero_is_no_limit_and_fractions_are_accepted() {
    let target = script().send("welcome").serve();
    connect(format!("-w 0 {}", target.args())).run().expect_success().expect_stdout("welcome");
    let silent = SilentPort::new();
    let out = connect(format!("-w 0.2 127.0.0.1 {}", silent.port())).run();
    out.expect_failure(7, &["0.2 seconds"]).expect_within(PROMPTLY);
}

/// `-w 0` used to leave the 30 seconds for each proxy, so Tor's first connection failed.
#[test]
fn w_0_left_the_limits_of_single_steps() {
    let proxy = Server::repeat(|| http_ok().send("SSH-2.0-test\r\n").drain());
    for (options, limit) in
        [("", "30 seconds for each handshake"), ("-w 60", "60 seconds in all"), ("-w 0", "the system's")]
    {
        let out = connect(format!("--check {options} -H {proxy} host.example 22")).run();
        let text = out.stdout_text();
        assert!(text.contains(&format!("time limit: {limit}\n")), "{options}: {text}");
    }
}

#[test]
fn a_proxy_is_reached_over_ipv6_and_by_name() {
    let proxy = Server::each_v6([socks5_none().send("welcome").drain()]);
    connect(format!("-S {proxy} host 22")).run().expect_success().expect_stdout("welcome");
    proxy.finish();
    let proxy = socks5_none().send("welcome").drain().serve();
    connect(format!("-S localhost:{} host 22", proxy.port())).run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn an_ipv6_peer_is_named_in_brackets() {
    // Nothing listens on port 1 of the loopback interface.
    connect("::1 1").run().expect_failure(4, &["[::1]:1"]);
    connect("-H [::1]:1 host 22").run().expect_failure(4, &["HTTP proxy [::1]:1"]);
}

#[test]
fn stdin_is_not_read_before_the_tunnel_is_established() {
    let proxy = socks5_none().expect("ping").expect_eof().send("pong").serve();
    connect(format!("-S {proxy} host 22")).input("ping").run().expect_success().expect_stdout("pong");
    proxy.finish();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"for the next one").unwrap();
    drop(writer);
    let refused = socks5_refused(1).serve();
    let run = connect(format!("-S {refused} host 22")).stdin(reader.try_clone().unwrap()).run();
    run.expect_code(5);
    let mut left = String::new();
    std::io::Read::read_to_string(&mut reader, &mut left).unwrap();
    assert_eq!(left, "for the next one");
    refused.finish();
}

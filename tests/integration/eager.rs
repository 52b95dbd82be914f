//! `--eager`: requests are sent without waiting for the answers to earlier ones.

use std::sync::Arc;
use std::time::Duration;

use connect::addr::{Endpoint, Host, parse_port};
use connect::hops::{http, socks4, socks5};
use connect::plan::{Hop, Local, Login, Plan, Protocol, RelayMode, RelaySettings, Resolve, Target};

use crate::kit::*;
use crate::library::{first_bytes, open_tunnel};
use crate::wire::*;

const GREETING: &[u8] = b"\x05\x01\x00";
const GREETING_USERPASS: &[u8] = b"\x05\x01\x02";
const USERPASS: &[u8] = b"\x01\x02me\x06secret";
/// A SOCKS5 CONNECT request for host.example:22, by name.
const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0chost.example\x00\x16";

#[test]
fn greeting_and_request_are_sent_together() {
    let proxy = script()
        .expect_at_once([GREETING, REQUEST].concat())
        .send_bytewise([5, 0])
        .send_bytewise(SOCKS5_GRANTED)
        .send_bytewise("welcome")
        .expect("ping")
        .expect_eof()
        .serve();
    let out = connect(format!("--eager -S {proxy} host.example 22")).input("ping").run();
    out.expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn a_known_password_is_sent_with_them() {
    let proxy = script()
        .expect_at_once([GREETING_USERPASS, USERPASS, REQUEST].concat())
        .send([5, 2])
        .early([1, 0])
        .early(SOCKS5_GRANTED)
        .early("welcome")
        .serve();
    let mut run = connect(format!("-d --eager -S me:secret@{proxy} host.example 22")).start();
    run.wait().expect_code(0).expect_stdout("welcome").expect_stderr_lacks("secret");
    proxy.finish();
}

#[test]
fn with_two_methods_the_proxys_choice_is_awaited() {
    let proxy = script()
        .expect_at_once(b"\x05\x02\x02\x00")
        .expect_silence(Duration::from_millis(100))
        .send([5, 0])
        .expect_at_once(REQUEST)
        .send(SOCKS5_GRANTED)
        .early("welcome")
        .serve();
    let mut run = connect(format!("--eager -a userpass,none -S me:secret@{proxy} host.example 22")).start();
    run.wait().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn without_eager_each_answer_is_awaited() {
    let proxy = script()
        .expect_at_once(GREETING)
        .expect_silence(Duration::from_millis(100))
        .send([5, 0])
        .expect_at_once(REQUEST)
        .send(SOCKS5_GRANTED)
        .early("welcome")
        .serve();
    connect(format!("-S {proxy} host.example 22")).start().wait().expect_success().expect_stdout("welcome");
    proxy.finish();
}

/// microsocks discards data that arrives together with the greeting.
#[test]
fn a_proxy_that_discards_data_after_the_greeting_is_explained() {
    let proxy = script().expect([GREETING, REQUEST].concat()).send([5, 0]).expect_disconnect().serve();
    let out = connect(format!("--eager -w 1 -S {proxy} host.example 22")).run();
    out.expect_failure(7, &["SOCKS5 proxy", "the reply to the SOCKS5 request", "sent early", "--eager"]);
    proxy.finish();
}

#[test]
fn a_refused_method_is_reported_as_such() {
    let proxy = script().expect([GREETING, REQUEST].concat()).send([5, 0xff]).serve();
    let out = connect(format!("--eager -S {proxy} host.example 22")).run();
    out.expect_failure(6, &["SOCKS5_PASSWORD"]);
    proxy.finish();
}

#[test]
fn eager_changes_nothing_for_a_single_http_proxy() {
    let proxy = http_basic("me", "secret").early("welcome").serve();
    let mut run = connect(format!("--eager -H me:secret@{proxy} host.example 22")).start();
    run.wait().expect_success().expect_stdout("welcome");
    proxy.finish();
}

fn endpoint(host: &str, port: &str) -> Endpoint {
    Endpoint { host: Host::parse(host).unwrap(), port: parse_port(port).unwrap() }
}

/// Connects through one hop per protocol. Only `first` is dialled, and its script plays all hops.
/// Returns the first bytes from the tunnel.
#[track_caller]
fn through(first: &Server, protocols: Vec<Arc<dyn Protocol>>) -> Vec<u8> {
    let proxies = [endpoint("127.0.0.1", &first.port().to_string()), endpoint("second.example", "1080")];
    let hops = proxies.into_iter().zip(protocols).map(|(proxy, protocol)| Hop {
        proxy: Target::Tcp(proxy),
        protocol,
        tls: None,
    });
    let plan = Plan {
        local: Local::Stdio,
        target: Target::Tcp(endpoint("host.example", "22")),
        routes: vec![connect::plan::Route { hops: hops.collect(), ..Default::default() }],
        askpass: None,
        limits: connect::plan::Limits::Total(Duration::from_secs(10)),
        shows_status: false,
        eager: true,
        proxy_protocol: None,
        target_tls: None,
        sockets: connect::plan::SocketSettings::default(),
        relay: RelaySettings { mode: RelayMode::Copy, idle: None, half_close: true, warns: true },
    };
    first_bytes(&mut open_tunnel(&plan))
}

fn socks5() -> Arc<dyn Protocol> {
    Arc::new(socks5::Proxy { resolve: Resolve::Remote, methods: None, login: Login::default() })
}

/// A SOCKS5 CONNECT request for second.example:1080, by name.
const TO_SECOND: &[u8] = b"\x05\x01\x00\x03\x0esecond.example\x04\x38";

#[test]
fn the_request_for_the_next_proxy_follows_immediately() {
    let proxy = script()
        .expect_at_once([GREETING, TO_SECOND, GREETING, REQUEST].concat())
        .send([5, 0])
        .send(SOCKS5_GRANTED)
        .send([5, 0])
        .send(SOCKS5_GRANTED)
        .early("banner")
        .serve();
    assert_eq!(through(&proxy, vec![socks5(), socks5()]), b"banner");
    proxy.finish();
}

/// SOCKS4 has no greeting, and the bytes after a SOCKS4 request already belong to the next proxy.
#[test]
fn requests_are_sent_ahead_after_a_socks4_request() {
    let to_second = b"\x04\x01\x04\x38\0\0\0\x01me\0second.example\0";
    let proxy = script()
        .expect_at_once([to_second, GREETING, REQUEST].concat())
        .send(SOCKS4_GRANTED)
        .send([5, 0])
        .send(SOCKS5_GRANTED)
        .early("banner")
        .serve();
    let socks4: Arc<dyn Protocol> =
        Arc::new(socks4::Proxy { user: Some("me".into()), resolve: Resolve::Remote });
    assert_eq!(through(&proxy, vec![socks4, socks5()]), b"banner");
    proxy.finish();
}

/// An HTTP proxy that refuses a CONNECT request would treat the bytes after it as the next request.
/// So the request itself may be sent early, but nothing may follow it until the proxy answers.
#[test]
fn nothing_is_sent_before_the_answer_of_an_http_proxy() {
    let head = "CONNECT host.example:22 HTTP/1.1\r\nHost: host.example:22\r\n\r\n";
    let proxy = script()
        .expect_at_once([GREETING, TO_SECOND, head.as_bytes()].concat())
        .expect_silence(Duration::from_millis(100))
        .send([5, 0])
        .send(SOCKS5_GRANTED)
        .send("HTTP/1.1 200 OK\r\n\r\n")
        .early("banner")
        .serve();
    let http: Arc<dyn Protocol> = Arc::new(http::Proxy::default());
    assert_eq!(through(&proxy, vec![socks5(), http.clone()]), b"banner");
    proxy.finish();

    let to_second = "CONNECT second.example:1080 HTTP/1.1\r\nHost: second.example:1080\r\n\r\n";
    let proxy = script()
        .expect_at_once(to_second)
        .expect_silence(Duration::from_millis(100))
        .send("HTTP/1.1 200 OK\r\n\r\n")
        .expect_at_once([GREETING, REQUEST].concat())
        .send([5, 0])
        .send(SOCKS5_GRANTED)
        .early("banner")
        .serve();
    assert_eq!(through(&proxy, vec![http, socks5()]), b"banner");
    proxy.finish();
}

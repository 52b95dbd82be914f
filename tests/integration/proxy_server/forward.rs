//! Requests that the next HTTP proxy forwards, because many proxies open tunnels only to port 443.

use super::*;

const REQUIRED: &str =
    "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// The request that the proxy receives for `GET http://host.example/a?b`, with this line added.
fn forwarded(line: &str) -> String {
    format!(
        "GET http://host.example/a?b HTTP/1.1\r\nHost: host.example\r\nCookie: a=b\r\nVia: 1.1 connect\r\n\
         Connection: close\r\n{line}\r\n"
    )
}

const GET: &str = "GET http://host.example/a?b HTTP/1.1\r\nHost: host.example\r\nCookie: a=b\r\n\r\n";
const POST: &str = "POST http://host.example/ HTTP/1.1\r\nHost: host.example\r\nContent-Length: 4\r\n\
    Via: 1.1 connect\r\nConnection: close\r\n";

fn request_with_body() -> String {
    let head = "POST http://host.example/ HTTP/1.1\r\nHost: host.example\r\nContent-Length: 4\r\n\r\n";
    format!("{head}body")
}

const BASIC: &str = "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n";

#[test]
fn a_request_was_sent_through_a_tunnel_to_port_80() {
    let proxy = Server::each([script().expect(forwarded("")).send(OK)]);
    let run = http(&format!("-H {proxy}"));
    let answer = ask(&run, GET);
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 connect\r\nConnection: close\r\n\r\nhello"
    );
    proxy.finish();
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn the_login_is_negotiated_once() {
    let proxy = Server::each([
        script().expect(forwarded("")).send(REQUIRED),
        script().expect(forwarded(BASIC)).send(OK),
        script().expect(forwarded(BASIC)).send(OK),
    ]);
    // Digest comes first, so no password is sent before the proxy asks for one.
    let run = http(&format!("-a digest,basic -H me:secret@{proxy}"));
    for _ in 0..2 {
        let answer = ask(&run, GET);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    }
    proxy.finish();
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_body_is_sent_after_the_proxy_has_accepted_the_login() {
    let head = "HEAD http://host.example/ HTTP/1.1\r\nHost: host.example\r\n";
    let proxy = Server::each([
        script()
            .expect(format!("{head}{BASIC}\r\n"))
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            .expect(format!("{POST}{BASIC}\r\nbody"))
            .send(OK),
        script().expect(format!("{POST}{BASIC}\r\nbody")).send(OK),
    ]);
    let run = http(&format!("-H me:secret@{proxy}"));
    for _ in 0..2 {
        let answer = ask(&run, &request_with_body());
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    }
    proxy.finish();
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_rejected_login_is_reported_and_not_shown_to_the_client() {
    let proxy = Server::each([script().expect(forwarded(BASIC)).send(REQUIRED)]);
    let run = http(&format!("-H me:secret@{proxy}"));
    let answer = ask(&run, GET);
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(!answer.contains("Proxy-Authenticate") && !answer.contains("realm"), "{answer}");
    proxy.finish();
    let messages = close_after(run, 1);
    assert!(messages.iter().any(|message| message.contains("407 No")), "{messages:?}");
}

#[test]
fn a_login_that_the_proxy_no_longer_accepts_is_not_sent_again() {
    let proxy = Server::each([
        script().expect(forwarded(BASIC)).send(OK),
        script().expect(format!("{POST}{BASIC}\r\nbody")).send(REQUIRED),
        script().expect(forwarded(BASIC)).send(REQUIRED),
    ]);
    let run = http(&format!("-H me:secret@{proxy}"));
    assert_eq!(status(&ask(&run, GET)), 200);
    let answer = ask(&run, &request_with_body());
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.ends_with("connect: the next proxy rejected the login\n"), "{answer}");
    for _ in 0..2 {
        assert_eq!(status(&ask(&run, GET)), 502);
    }
    proxy.finish();
    let messages = close_after(run, 2);
    assert!(messages.iter().any(|message| message.contains("407 No")), "{messages:?}");
}

#[test]
fn only_the_last_proxy_of_a_chain_receives_the_request() {
    let web = Server::each([script().expect_until("\r\n\r\n").send(OK)]);
    let last = Server::each([script().expect(forwarded("")).send(OK)]);
    let port = last.to_string();
    let first = Server::each([http_ok().relay_to(&port)]);
    let run = http(&format!("-x http://{first},http://{last}"));
    assert_eq!(status(&ask(&run, GET)), 200);
    assert_eq!(run.close(), [""; 0]);
    first.finish();
    last.finish();
    // A SOCKS proxy opens a tunnel to the server.
    let socks = Server::each([socks5_none().relay_to(&web)]);
    let run = http(&format!("-S {socks}"));
    assert_eq!(status(&ask(&run, GET)), 200);
    assert_eq!(run.close(), [""; 0]);
    socks.finish();
    web.finish();
}

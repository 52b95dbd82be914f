//! TLS with each proxy protocol, in chains of proxies, and with local ports.

use std::io::{Read, Write};

use super::*;
use crate::listening::Listening;
use crate::wire::*;

/// Returns a run through this chain of proxies.
fn chain(pki: &Pki, options: &str, urls: &[String]) -> Program {
    let program = connect("--tls-ca").arg(&*pki.file);
    program.args(format!("{options} -x {} host.example 22", urls.join(",")))
}

#[test]
fn every_proxy_protocol_works_over_tls() {
    let pki = Pki::new();
    for (script, scheme) in [
        (http_ok(), "https"),
        (socks5_none(), "socks5h+tls"),
        (socks5_userpass("me", "secret"), "socks5h+tls"),
        (socks4_granted(), "socks4a+tls"),
        (script().expect("telnet host.example 22\r\n").send("Connected to host.example.\r\n"), "telnet+tls"),
        (http_basic("me", "secret"), "https"),
    ] {
        let proxy = script.early("welcome").expect("ping").expect_eof().serve();
        let front = pki.front().in_front_of(&proxy);
        let run = chain(&pki, "", &[format!("{scheme}://me:secret@localhost:{}", front.port())])
            .input("ping")
            .run();
        run.expect_success().expect_stdout("welcome");
        assert_eq!(front.only_handshake().end, Some(TlsEnd::CloseNotify), "{scheme}");
        proxy.finish();
    }
}

/// A challenge may require a second connection, and thus a second handshake.
#[cfg(unix)]
#[test]
fn a_proxy_may_close_after_a_challenge() {
    let pki = Pki::new();
    let refusal = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let first = http_request().send(refusal).half_close();
    let proxy = Server::each([first, http_basic("me", "secret").early("welcome")]);
    let front = pki.front().in_front_of(&proxy);
    let asker = crate::askpass::Asker::new("askpass", "echo secret");
    let program = pki.connect(&front, "").env("HTTP_PROXY_USER", "me");
    program
        .env("SSH_ASKPASS", asker.path())
        .env("DISPLAY", ":0")
        .run()
        .expect_success()
        .expect_stdout("welcome");
    proxy.finish();
}

/// The first proxy relays the TLS connection to the second.
#[test]
fn tls_works_inside_tls() {
    let pki = Pki::new();
    let second = http_ok().early("welcome").exchange(1, MIB).serve();
    let inner = pki.front().in_front_of(&second);
    let first = socks5_none().relay().serve();
    let outer = pki.front().in_front_of(&first);
    let urls = [format!("socks5h+tls://{outer}"), format!("https://{inner}")];
    let mut run = chain(&pki, "", &urls).limit(TIMEOUT).start();
    run.feed(data(2, MIB));
    let out = run.wait();
    out.expect_success();
    assert_eq!(out.stdout, [b"welcome".to_vec(), bytes(1, usize::try_from(MIB).unwrap())].concat());
    assert_eq!(second.finish_one().digest, Some(Digest::from_reader(data(2, MIB))));
    assert_eq!(
        (inner.only_handshake().end, outer.only_handshake().end),
        (Some(TlsEnd::CloseNotify), Some(TlsEnd::CloseNotify))
    );
    assert_eq!(first.finish_one().target.unwrap(), inner.to_string());
}

/// Tests a plain proxy after a TLS proxy, and the reverse.
#[test]
fn tls_applies_only_to_the_hop_that_has_it() {
    let pki = Pki::new();
    let second = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let first = http_ok().relay().serve();
    let outer = pki.front().in_front_of(&first);
    let urls = [format!("https://{outer}"), format!("socks5h://{second}")];
    chain(&pki, "", &urls).input("ping").run().expect_success().expect_stdout("welcome");
    first.finish();
    second.finish();

    let second = socks5_none().early("welcome").expect("ping").expect_eof().serve();
    let inner = pki.front().in_front_of(&second);
    let first = http_ok().relay().serve();
    let urls = [format!("http://{first}"), format!("socks5h+tls://{inner}")];
    chain(&pki, "", &urls).input("ping").run().expect_success().expect_stdout("welcome");
    first.finish();
    second.finish();
}

/// A clean close of the outer connection must not hide the truncation of the inner one.
#[test]
fn a_truncated_inner_connection_is_an_error() {
    let pki = Pki::new();
    let second = http_ok().send("half of it").serve();
    let inner = pki.front().without_close_notify().in_front_of(&second);
    let first = http_ok().relay().serve();
    let outer = pki.front().in_front_of(&first);
    let out = chain(&pki, "", &[format!("https://{outer}"), format!("https://{inner}")]).start().wait();
    out.expect_failure(8, &["close_notify"]).expect_stdout("half of it");
    second.finish();
    first.finish();
}

/// `--eager` pipelines requests only as far as the next TLS handshake, and resumes after it.
#[test]
fn requests_sent_ahead_do_not_cross_a_tls_handshake() {
    const GREETING: &[u8] = b"\x05\x01\x00";
    let request = |host: &str, port: u16| {
        let length = u8::try_from(host.len()).unwrap();
        [&b"\x05\x01\x00\x03"[..], &[length], host.as_bytes(), &port.to_be_bytes()].concat()
    };
    let pki = Pki::new();
    let ahead = [GREETING, &request("host.example", 22)].concat();
    let second = script().expect_at_once(ahead).send([5, 0]).early(SOCKS5_GRANTED).early("welcome").serve();
    let inner = pki.front().in_front_of(&second);
    let ahead = [GREETING, &request("localhost", inner.port())].concat();
    let first = script().expect_at_once(ahead).send([5, 0]).early(SOCKS5_GRANTED).relay_to(&inner).serve();
    let urls = [format!("socks5h://{first}"), format!("socks5h+tls://localhost:{}", inner.port())];
    chain(&pki, "--eager", &urls).run().expect_success().expect_stdout("welcome");
    first.finish();
    second.finish();
}

#[test]
fn every_client_has_its_own_tls_connection() {
    let pki = Pki::new();
    let proxy = Server::each((0..3).map(|_| http_ok().early("welcome").echo()));
    let front = pki.front().in_front_of(&proxy);
    let listening = Listening::start(pki.connect(&front, "-d --listen 127.0.0.1:0"));
    let mut clients: Vec<_> = (0..3).map(|_| listening.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let sent = vec![u8::try_from(number).unwrap(); 100_000];
        client.write_all(&sent).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all, [b"welcome".to_vec(), sent].concat());
    }
    drop(clients);
    listening.close();
    proxy.finish();
}

#[test]
fn a_client_of_a_local_port_gets_a_reset_for_a_truncated_connection() {
    let pki = Pki::new();
    let gate = Gate::new();
    let proxy = http_ok().send("half of it").wait_for(&gate).serve();
    let front = pki.front().without_close_notify().in_front_of(&proxy);
    let listening = Listening::start(pki.connect(&front, "-d -p 127.0.0.1:0"));
    let mut client = listening.client();
    client.read_exact(&mut [0; 10]).unwrap();
    gate.open();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    listening.wait_for_line("close_notify");
    proxy.finish();
}

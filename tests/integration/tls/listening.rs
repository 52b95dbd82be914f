//! `--listen` through a proxy that uses TLS.

use super::*;
use crate::listening::*;

#[test]
fn certificates_were_read_again_for_each_client() {
    let pki = Pki::new();
    let proxy = Server::repeat(|| http_ok().echo());
    let front = pki.front().in_front_of(&proxy);
    let url = format!("https://localhost:{}", front.port());
    let program = connect(format!("-d --listen 127.0.0.1:0 -x {url} host.example 22"));
    let run = Listening::start(program.env("SSL_CERT_FILE", &*pki.file));
    let clients: Vec<_> = (0..4).map(|_| run.client()).collect();
    for client in clients {
        expect_echo(client, "hello");
    }
    assert_eq!(run.count_lines("the system's certificates: 1 used"), 1);
    assert_eq!(run.close(), [""; 0]);
}

#[test]
fn a_certificate_that_cannot_be_read_is_tried_again_for_the_next_client() {
    let pki = Pki::new();
    let proxy = Server::repeat(|| http_ok().echo());
    let front = pki.front().in_front_of(&proxy);
    let file = TempPath::new("ca.pem");
    let run = Listening::start(trusting(&file, &front, "-d --listen 127.0.0.1:0"));
    expect_disconnect(run.client());
    run.wait_for_line("cannot read");
    std::fs::copy(&*pki.file, &*file).unwrap();
    expect_echo(run.client(), "hello");
    // From now on, the file is not read any more.
    std::fs::write(&*file, "no certificate").unwrap();
    expect_echo(run.client(), "hello");
    assert_eq!(run.close().len(), 1);
}

/// The same proxy is trusted on one route only.
#[test]
fn hops_with_different_settings_do_not_share_certificates() {
    let (pki, other) = (Pki::new(), Pki::named("Other Authority"));
    let proxy = Server::repeat(|| http_ok().echo());
    let front = pki.front().in_front_of(&proxy);
    let url = |pki: &Pki| format!("https://localhost:{}?tls-ca={}", front.port(), pki.file.display());
    let routes = format!("{}|{}", url(&other), url(&pki));
    let run = listening(format!("--listen 127.0.0.1:0 -x {routes} host.example 22"));
    for _ in 0..2 {
        expect_echo(run.client(), "hello");
    }
    run.wait_for_lines("route 1 of 2 failed", 2);
    assert_eq!(run.close(), [""; 0]);
}

//! TLS errors with a proxy or the target.

use super::{Message, Row, row};
use crate::kit::*;

/// Returns a row that uses a proxy with this TLS identity. `identity` is passed the authority that
/// the program trusts.
fn certificate(
    situation: &'static str,
    advice: &'static str,
    option: &'static str,
    identity: impl Fn(&Authority) -> Identity + Send + Sync + 'static,
) -> Row {
    row(5, "Tls", situation, advice, move || {
        let authority = Authority::new("Example Authority");
        let (file, identity) = (authority.file(), identity(&authority));
        through(TlsFront::new(&identity), option, &file).naming(identity.pin(), "sha256//…")
    })
}

/// Returns a row that uses a proxy with this certificate, whose authority the program trusts.
fn unsupported(situation: &'static str, pem: &'static str) -> Row {
    row(5, "Tls", situation, "", move || {
        let (identity, authority) = Identity::of_openssl(pem);
        through(TlsFront::new(&identity), "", &authority).naming(openssl::PIN, "sha256//…")
    })
}

/// Returns the message about a proxy behind this TLS front.
fn through(front: TlsFront, option: &str, authorities: &TempPath) -> Message {
    let unused = Server::each([]);
    let front = front.in_front_of(&unused);
    let program = connect(option).arg("--tls-ca").arg(&**authorities);
    let out = program.args(format!("-H https://localhost:{} host.example 22", front.port())).run();
    let message =
        Message::from_outcome(&out).naming(format!("localhost:{}", front.port()), "proxy.example:443");
    message.naming("localhost", "proxy.example")
}

/// Returns a row that uses a proxy that answers the `ClientHello` with these bytes.
fn answer(situation: &'static str, bytes: &'static [u8]) -> Row {
    row(5, "Tls", situation, "", move || {
        let proxy = script().expect_bytes(64).send(bytes).drain().serve();
        let out = connect(format!("-H https://{proxy} host.example 22")).run();
        Message::from_outcome(&out).naming(&proxy, "proxy.example:443")
    })
}

/// Returns a row with TLS to a target that runs this script.
fn target(situation: &'static str, script: fn() -> Script) -> Row {
    let variant = if situation.contains("breaks") { "Lost" } else { "Tls" };
    row(5, variant, situation, "", move || {
        let target = script().serve();
        let out = connect(format!("--tls-target -q {}", target.args())).run();
        Message::from_outcome(&out).naming(&target, "host.example:22")
    })
}

/// Returns a row with TLS to a target that has this TLS identity. `identity` is passed the
/// authority that the program trusts.
fn target_certificate(
    situation: &'static str,
    option: &'static str,
    identity: fn(&Authority) -> Identity,
) -> Row {
    row(5, "Tls", situation, "", move || {
        let authority = Authority::new("Example Authority");
        let (file, identity) = (authority.file(), identity(&authority));
        let unused = Server::each([]);
        let front = TlsFront::new(&identity).in_front_of(&unused);
        let program = connect("--tls-target").args(option).arg("--tls-ca").arg(&*file);
        let out = program.args(format!("localhost {}", front.port())).run();
        let message = Message::from_outcome(&out).naming(identity.pin(), "sha256//…");
        message
            .naming(format!("localhost:{}", front.port()), "host.example:22")
            .naming("localhost", "host.example")
    })
}

pub(super) fn rows() -> Vec<Row> {
    [proxies(), targets()].into_iter().flatten().collect()
}

fn targets() -> Vec<Row> {
    vec![
        target("The target does not use TLS, but `--tls-target` was given", || {
            script().send("SSH-2.0-OpenSSH_9.2\r\n").drain()
        }),
        target("The target closes the connection during the TLS handshake", || script().expect_bytes(64)),
        target("The target sends invalid TLS records", || {
            script().expect_bytes(64).send(b"\x16\x03\x03\0\x04\xff\xff\xff\xff").drain()
        }),
        target("The target accepts no TLS version that we support", || {
            script().expect_bytes(64).send(b"\x15\x03\x03\0\x02\x02\x46").drain()
        }),
        target("The connection breaks during the TLS handshake with the target", || {
            script().expect_bytes(64).reset()
        }),
        target_certificate("The target's certificate was issued by an untrusted authority", "", |_| {
            Authority::new("Corporate Authority").localhost()
        }),
        target_certificate("The target's certificate is self-signed", "", |_| Identity::self_signed(false)),
        target_certificate("The target's certificate is for another name", "", |authority| {
            authority.issue(&["other.example"], CertificateKind::Server)
        }),
        target_certificate("The target's certificate has no `subjectAltName`", "", |authority| {
            authority.issue(&[], CertificateKind::Server)
        }),
        target_certificate("The target's certificate has expired", "", |authority| {
            authority.issue(&["localhost"], CertificateKind::Expired)
        }),
        target_certificate("The target's certificate has a bad signature", "", |_| {
            Authority::new("Example Authority").localhost()
        }),
        target_certificate(
            "The target's key is not the pinned one",
            "--tls-pin sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            Authority::localhost,
        ),
        row(5, "Tls", "The proxy's certificate is untrusted, and the options are for the target", "", || {
            let authority = Authority::new("Example Authority");
            let identity = Authority::new("Corporate Authority").localhost();
            let file = authority.file();
            let unused = Server::each([]);
            let front = TlsFront::new(&identity).in_front_of(&unused);
            let args = format!("--tls-target -H https://{front} host.example 22");
            let out = connect(args).env("SSL_CERT_FILE", &*file).run();
            let message = Message::from_outcome(&out).naming(identity.pin(), "sha256//…");
            message.naming(&front, "proxy.example:443")
        }),
    ]
}

fn proxies() -> Vec<Row> {
    vec![
        answer(
            "The proxy does not use TLS, but was specified with `https://`",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ),
        row(5, "Tls", "The proxy closes the connection during the TLS handshake", "", || {
            let proxy = script().expect_bytes(64).serve();
            let out = connect(format!("-H https://{proxy} host.example 22")).run();
            Message::from_outcome(&out).naming(&proxy, "proxy.example:443")
        }),
        row(5, "Tls", "The WebSocket server does not use TLS, but was specified with `wss://`", "", || {
            let server = script().expect_bytes(64).send("HTTP/1.1 400 Bad Request\r\n\r\n").drain().serve();
            let out = connect(format!("-x wss://{server}/ host.example 22")).run();
            Message::from_outcome(&out).naming(&server, "ws.example:443")
        }),
        answer("The proxy accepts none of our cipher suites", b"\x15\x03\x03\0\x02\x02\x28"),
        answer("The proxy denies access", b"\x15\x03\x03\0\x02\x02\x31"),
        answer("The proxy has an internal error", b"\x15\x03\x03\0\x02\x02\x50"),
        row(5, "Tls", "The proxy requires a client certificate", "", || {
            let authority = Authority::new("Example Authority");
            let versions = &[&rustls::version::TLS13];
            let identity = authority.localhost();
            let front = TlsFront::requiring_client_certificate(&identity, &authority, versions);
            through(front, "", &authority.file())
        }),
        answer("The proxy rejects the client certificate", b"\x15\x03\x03\0\x02\x02\x2a"),
        answer("The proxy accepts no TLS version that we support", b"\x15\x03\x03\0\x02\x02\x46"),
        answer("The proxy has no certificate for the requested name", b"\x15\x03\x03\0\x02\x02\x70"),
        answer("The proxy sends invalid TLS records", b"\x16\x03\x03\0\x04\xff\xff\xff\xff"),
        certificate("The proxy's certificate was issued by an untrusted authority", "", "", |_| {
            Authority::new("Corporate Authority").localhost()
        }),
        certificate("The proxy's certificate is self-signed", "", "", |_| Identity::self_signed(false)),
        certificate("The proxy's certificate is for another name", "", "", |authority| {
            authority.issue(&["other.example"], CertificateKind::Server)
        }),
        certificate("The proxy's certificate has no `subjectAltName`", "", "", |authority| {
            authority.issue(&[], CertificateKind::Server)
        }),
        certificate("The proxy's certificate has expired", "", "", |authority| {
            authority.issue(&["localhost"], CertificateKind::Expired)
        }),
        certificate("The proxy's certificate is not valid yet", "", "", |authority| {
            authority.issue(&["localhost"], CertificateKind::NotYetValid)
        }),
        unsupported(
            "The proxy's certificate is signed with an algorithm that is not supported",
            openssl::RSA_SHA1,
        ),
        unsupported(
            "The proxy's certificate is signed with a key that is not supported",
            openssl::P521_SHA256,
        ),
        unsupported("The proxy's certificate is of X.509 version 1", openssl::VERSION_1),
        certificate("The proxy does not have the key of its certificate", "", "", |authority| {
            authority.localhost().with_another_key()
        }),
        certificate("The proxy's certificate has a bad signature", "", "", |_| {
            Authority::new("Example Authority").localhost()
        }),
        certificate(
            "The proxy's key is not the pinned one",
            "",
            "--tls-pin sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            Authority::localhost,
        ),
    ]
}

//! TLS errors with a proxy.

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

/// Returns the message about a proxy behind this front.
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

pub(super) fn rows() -> Vec<Row> {
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

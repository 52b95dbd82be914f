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
        let unused = Server::each([]);
        let front = TlsFront::new(&identity).in_front_of(&unused);
        let program = connect(option).arg("--tls-ca").arg(&*file);
        let out = program.args(format!("-H https://localhost:{} host.example 22", front.port())).run();
        let message = Message::from_outcome(&out).naming(identity.pin(), "sha256//…");
        message
            .naming(format!("localhost:{}", front.port()), "proxy.example:443")
            .naming("localhost", "proxy.example")
    })
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
        answer(
            "The proxy accepts none of our cipher suites, or requires a client certificate",
            b"\x15\x03\x03\0\x02\x02\x28",
        ),
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

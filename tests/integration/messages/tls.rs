//! A proxy that is, or is not, spoken to in TLS.

use super::{Row, Told, row};
use crate::kit::*;

/// Told of a proxy with this certificate, by the authority that is trusted.
fn certificate(
    situation: &'static str,
    advice: &'static str,
    option: &'static str,
    identity: impl Fn(&Authority) -> Identity + Send + Sync + 'static,
) -> Row {
    row(5, "Tls", situation, advice, move || {
        let authority = Authority::new("Example Authority");
        let (file, identity) = (authority.file(), identity(&authority));
        let nobody = Server::each([]);
        let front = TlsFront::new(&identity).in_front_of(&nobody);
        let program = connect(option).arg("--tls-ca").arg(&*file);
        let out = program.args(format!("-H https://localhost:{} host.example 22", front.port())).run();
        let told = Told::by(&out).naming(identity.pin(), "sha256//…");
        told.naming(format!("localhost:{}", front.port()), "proxy.example:443")
            .naming("localhost", "proxy.example")
    })
}

pub(super) fn rows() -> Vec<Row> {
    let at_once = |situation: &'static str, advice: &'static str, proxy: fn() -> Script| {
        row(5, "Tls", situation, advice, move || {
            let proxy = proxy().serve();
            let out = connect(format!("-H https://{proxy} host.example 22")).run();
            Told::by(&out).naming(&proxy, "proxy.example:443")
        })
    };
    vec![
        at_once("It does not speak TLS, and was named with `https://`", "", || {
            script().expect_bytes(64).send("HTTP/1.1 400 Bad Request\r\n\r\n").drain()
        }),
        at_once("It closes the connection when it is spoken to in TLS", "", || script().expect_bytes(64)),
        at_once("It breaks the TLS handshake off", "", || {
            script().expect_bytes(64).send(b"\x15\x03\x03\0\x02\x02\x28").drain()
        }),
        certificate("The proxy's certificate is of an authority that is not trusted here", "", "", |_| {
            Authority::new("Corporate Authority").localhost()
        }),
        certificate("The proxy's certificate is signed by nobody else", "", "", |_| {
            Identity::self_signed(false)
        }),
        certificate("The proxy's certificate is for another name", "", "", |authority| {
            authority.issue(&["other.example"], CertificateKind::Server)
        }),
        certificate(
            "The proxy has another key than the pinned one",
            "",
            "--tls-pin sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            Authority::localhost,
        ),
    ]
}

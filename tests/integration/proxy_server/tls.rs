//! `--listen https://`.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

/// A listener with TLS, and the authority of its certificate.
struct Secure {
    run: Listening,
    authority: Authority,
    _files: [TempPath; 2],
}

fn https(args: &str) -> Secure {
    let authority = Authority::new("Listener Authority");
    let identity = authority.localhost();
    let files = [identity.certificate_file(), identity.key_file()];
    let [certificate, key] = [&files[0], &files[1]].map(|file| file.display().to_string());
    let args = format!("--listen https://127.0.0.1:0 --serve-cert {certificate} --serve-key {key} {args}");
    Secure { run: listening(args), authority, _files: files }
}

impl Secure {
    fn client(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut configuration = builder.with_root_certificates(roots).with_no_client_auth();
        // Browsers offer these protocols.
        configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(configuration), name).unwrap();
        StreamOwned::new(tls, self.run.client())
    }
}

#[test]
fn requests_are_served_over_tls() {
    let target = echo();
    let server = Server::repeat(|| {
        script().expect_until("\r\n\r\n").send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    });
    let secure = https("");
    let mut client = secure.client();
    client.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: h\r\n\r\nearly").as_bytes()).unwrap();
    assert_eq!(status(&head(&mut client)), 200);
    assert_eq!(read(&mut client, 5), b"early");
    expect_echo(&mut client, "x".repeat(100_000));
    drop(client);
    let mut client = secure.client();
    client.write_all(format!("GET http://{server}/ HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).unwrap();
    // A close without close_notify would be an error here.
    assert!(read_to_end(&mut client).ends_with("\r\n\r\nhello"));
    let mut client = secure.client();
    client.write_all(b"CONNECT host.invalid:22 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(status(&read_to_end(&mut client)), 502);
    close_after(secure.run, 1);
}

#[test]
fn a_client_without_tls_is_reported() {
    let secure = https("");
    let mut client = secure.run.client();
    client.write_all(b"CONNECT host.example:22 HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    secure.run.wait_for_line("did not complete its request over TLS: ");
    close_after(secure.run, 1);
}

#[test]
fn a_certificate_without_its_key_is_an_error_at_the_start() {
    let authority = Authority::new("Listener Authority");
    let (identity, other) = (authority.localhost(), authority.localhost());
    let (certificate, key) = (identity.certificate_file(), other.key_file());
    let listen = format!("--listen https://127.0.0.1:0 --serve-cert {}", certificate.display());
    connect(&listen).run().expect_failure(2, &["no private key in"]);
    let wrong = connect(format!("{listen} --serve-key {}", key.display()));
    wrong.run().expect_failure(2, &["cannot use the certificate in"]);
    connect("--listen https://127.0.0.1:0 --serve-cert /nonexistent/x")
        .run()
        .expect_failure(2, &["/nonexistent/x"]);
}

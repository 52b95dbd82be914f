//! TLS handshakes that fail, and ones that arrive in pieces or together with data.

use std::time::Duration;

use super::*;

/// Runs the program with `peer` as its TLS proxy, and checks that it fails with this exit code and
/// a message that contains `parts`.
#[track_caller]
fn expect_failure(peer: Script, code: i32, parts: &[&str]) {
    let pki = Pki::new();
    let peer = peer.serve();
    let program = connect("-w 2 --tls-ca").arg(&*pki.file);
    program.args(format!("-H https://{peer} host.example 22")).run().expect_failure(code, parts);
    peer.finish();
}

#[test]
fn a_peer_that_does_not_speak_tls_is_recognized() {
    for reply in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\0", "\x05\x00"] {
        expect_failure(script().expect_bytes(5).send(reply).drain(), 5, &["does not speak TLS", "http://"]);
    }
    // A valid TLS record that contains an invalid message.
    let nonsense = b"\x16\x03\x03\x00\x04\xff\xff\xff\xff";
    expect_failure(script().expect_bytes(5).send(nonsense).drain(), 5, &["TLS"]);
    let endless = b"\x16\x03\x03\xff\xff".repeat(9000);
    expect_failure(script().expect_bytes(5).send(endless).drain(), 5, &["TLS"]);
}

#[test]
fn a_peer_that_closes_or_stays_silent_is_an_error() {
    expect_failure(script().expect_bytes(5).half_close().drain(), 5, &["closed the connection", "handshake"]);
    expect_failure(script().expect_bytes(5).reset(), 5, &["handshake"]);
    expect_failure(script().expect_bytes(5).hold(), 7, &["2 seconds", "handshake"]);
    // The limit runs from the start of the handshake, not from the last byte received.
    let drip = b"\x16\x03\x03\x40\x00".repeat(100);
    let drip = script().expect_bytes(5).then("drip", move |session| {
        for byte in &drip {
            if session.send(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    expect_failure(drip, 7, &["2 seconds", "handshake"]);
}

#[test]
fn alerts_are_explained() {
    for (alert, parts) in [
        (40, ["no common cipher suite", "handshake_failure"]),
        (70, ["protocol_version", "TLS 1.2 or 1.3"]),
        (71, ["no common cipher suite", "insufficient_security"]),
        (112, ["unrecognized_name", "--tls-server-name"]),
        (80, ["aborted the TLS handshake", "alert internal_error"]),
        (200, ["aborted the TLS handshake", "alert 200"]),
    ] {
        let alert = [0x15, 3, 3, 0, 2, 2, alert];
        expect_failure(script().expect_bytes(5).send(alert).drain(), 5, &parts);
    }
}

/// A proxy asks for a client certificate only after it has selected a cipher suite.
#[test]
fn an_old_proxy_without_a_common_cipher_suite_caused_advice_about_client_certificates() {
    let proxy = script().expect_bytes(5).send([0x15, 3, 3, 0, 2, 2, 40]).drain().serve();
    let out = connect(format!("-H https://{proxy} host.example 22")).run();
    out.expect_failure(5, &["no common cipher suite", "enable current cipher suites"]);
    out.expect_stderr_lacks("--tls-cert");
    proxy.finish();
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let pki = Pki::new();
    let proxy = http_ok().early("welcome").expect("ping").expect_eof().serve();
    let front = pki.front().byte_by_byte().in_front_of(&proxy);
    pki.connect(&front, "").input("ping").run().expect_success().expect_stdout("welcome");
    proxy.finish();
}

#[test]
fn the_negotiated_parameters_are_shown_by_d_and_check() {
    let pki = Pki::new();
    let proxy = http_ok().early("welcome").serve();
    let front = pki.front().in_front_of(&proxy);
    let out = pki.connect(&front, "-d").run();
    out.expect_code(0)
        .expect_stderr_has("TLS 1.3, TLS_")
        .expect_stderr_has("sha256//")
        .expect_stderr_has("2099-01-01");
    proxy.finish();
    let target = script().send("welcome\n").serve();
    let proxy = http_ok().relay_to(&target).serve();
    let front = pki.front().in_front_of(&proxy);
    let out = pki.connect(&front, "--check").run();
    out.expect_success();
    assert!(out.stdout_text().contains(": TLS 1.3, TLS_"), "{}", out.stdout_text());
    proxy.finish();
    target.finish();
}

/// A run without TLS does not even read the system's certificates.
#[test]
fn a_plan_without_tls_reads_no_certificate() {
    let target = script().send("welcome").serve();
    let run = connect(format!("-d {}", target.args())).env("SSL_CERT_FILE", "/nonexistent").run();
    run.expect_code(0).expect_stderr_lacks("certificate");
    target.finish();
}

/// rustls decrypts this data together with the end of the handshake, so poll(2) would not report
/// the data later.
#[test]
fn data_that_arrives_with_the_end_of_the_handshake_is_delivered() {
    let pki = Pki::new();
    let proxy = script().expect("telnet host.example 22\r\n").hold().serve();
    let front = pki.front().sending_early(b"Connected to host.example.\r\nwelcome").in_front_of(&proxy);
    let url = format!("telnet+tls://localhost:{}", front.port());
    let mut run = connect("--tls-ca").arg(&*pki.file).args(format!("-x {url} host.example 22")).start();
    run.wait_stdout_has("welcome");
    proxy.finish();
    run.wait().expect_success().expect_stdout("welcome");
}

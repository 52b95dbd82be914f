//! `--check` for listeners that serve web clients.

use std::fs;

use crate::kit::*;
use crate::listening::listening;

/// Expects lines with these parts, in this order.
#[track_caller]
fn expect_lines(out: &Outcome, expected: &[&str]) {
    let text = out.stdout_text();
    let mut rest = text.lines();
    for part in expected {
        assert!(rest.any(|line| line.contains(part)), "no {part:?} in this order:\n{text}");
    }
}

fn check(args: &str) -> Outcome {
    connect(format!("--check {args}")).run()
}

/// Returns a target that greets each client.
fn target() -> Server {
    Server::repeat(|| script().send("SSH-2.0-test\r\n").drain())
}

/// Returns a keys file with this number of keys.
fn keys(count: u8) -> TempPath {
    let key = |number| connect::token::key_line(&[number; 32], "test") + "\n";
    TempPath::file("keys", (1..=count).map(key).collect::<String>())
}

#[test]
fn a_listener_is_checked_with_its_files_its_address_and_its_target() {
    let (target, keys) = (target(), keys(2));
    let identity = Authority::new("CA").localhost();
    let (certificate, key) = (identity.certificate_file(), identity.key_file());
    let files = format!(
        "--token-keys {} --relay-name www.example --serve-cert {} --serve-key {} {}",
        keys.display(),
        certificate.display(),
        key.display(),
        target.args()
    );
    let facts = [
        format!("certificate: {}, key in {}", certificate.display(), key.display()),
        format!("tokens: keys in {}, audience www.example", keys.display()),
    ];
    let steps = [
        "Settings",
        "Checking the server",
        "2 keys may sign tokens",
        " for localhost, 127.0.0.1, valid until ",
        "127.0.0.1:",
        "Connecting",
        "sent: SSH-2.0-test",
        "Success",
    ];
    for (options, url, pages) in [
        (
            "--listen wss://127.0.0.1:0/lab/ssh --allow-origin https://www.example",
            "listener wss://127.0.0.1:0/lab/ssh",
            "web pages: only of https://www.example:443",
        ),
        (
            "--listen post+https://127.0.0.1:0/ssh --listen scgi://127.0.0.1:0/ssh",
            "listener post+https://127.0.0.1:0/ssh",
            "web pages: refused",
        ),
    ] {
        let out = check(&format!("{options} {files}"));
        out.expect_code(0).expect_stderr("");
        expect_lines(
            &out,
            &[&["Plan for 127.0.0.1:", url, &facts[0], &facts[1], pages][..], &steps].concat(),
        );
    }
}

#[test]
fn an_address_in_use_is_a_failure_and_the_other_steps_are_tried() {
    let target = target();
    let running = listening(format!("--listen ws://127.0.0.1:0/ssh --open {}", target.args()));
    let listen = format!("ws://{}/ssh", running.address());
    let out = check(&format!("--listen {listen} --open {}", target.args()));
    out.expect_code(1);
    expect_lines(&out, &["tokens: none required", "in use", "sent: SSH-2.0-test", "Failed with exit code 1"]);
    let out = connect(format!("--check=json --listen {listen} --open {}", target.args())).run();
    out.expect_code(1);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["listen"]["listeners"][0], listen);
    assert_eq!(report["listen"]["tokens"], "none required");
    assert_eq!(
        (&report["steps"][0]["stage"], &report["steps"][0]["verdict"]),
        (&"bind".into(), &"bad".into())
    );
    running.close();
}

#[test]
fn a_socket_is_free_and_removed_after_the_check() {
    let (target, socket) = (target(), TempPath::new("tunnel.sock"));
    let url = format!("scgi:unix:{}?path=/tunnel", socket.display());
    let out = check(&format!("--listen {url} --open {}", target.args()));
    out.expect_code(0);
    expect_lines(
        &out,
        &[&format!("listener {url}"), &format!("unix:{} is free", socket.display()), "Success"],
    );
    assert!(!socket.exists());
}

#[test]
fn a_target_that_is_down_is_a_failure() {
    let target = RefusingPort::new();
    let out = check(&format!("--listen ws://127.0.0.1:0/ssh --open 127.0.0.1 {}", target.port()));
    out.expect_code(4);
    expect_lines(&out, &["is free", "Connection refused", "Failed with exit code 4"]);
}

#[test]
fn files_that_are_missing_or_malformed_are_failures() {
    let (target, keys) = (target(), keys(1));
    let listen = "--listen wss://127.0.0.1:0/ssh";
    let identity = Authority::new("CA").localhost();
    let (certificate, key) = (identity.certificate_file(), identity.key_file());
    let tls = format!("--serve-cert {} --serve-key {}", certificate.display(), key.display());
    let out = check(&format!("{listen} {tls} --token-keys /nonexistent --relay-name x {}", target.args()));
    out.expect_failure(2, &["--token-keys: cannot read /nonexistent: No such file"]);
    fs::write(&*keys, "ed25519 nonsense\n").unwrap();
    let out =
        check(&format!("{listen} {tls} --token-keys {} --relay-name x {}", keys.display(), target.args()));
    out.expect_failure(2, &["line 1: expected a key of 32 bytes in base64"]);
    let out = check(&format!("{listen} --open --serve-cert /nonexistent {}", target.args()));
    out.expect_code(2);
    expect_lines(
        &out,
        &["cannot read /nonexistent for TLS: No such file", "is free", "Failed with exit code 2"],
    );
    fs::write(&*certificate, "nonsense").unwrap();
    let out = check(&format!("{listen} --open {tls} {}", target.args()));
    out.expect_code(2);
    expect_lines(&out, &["no certificate in ", "is free", "sent: SSH-2.0-test", "Failed with exit code 2"]);
}

#[test]
fn a_certificate_outside_its_validity_period_is_noted() {
    let target = target();
    for (kind, text, hint) in [
        (CertificateKind::Expired, ", expired at ", "try: renew it, because"),
        (
            CertificateKind::NotYetValid,
            ", not valid before ",
            "try: check the clock of this machine, because",
        ),
    ] {
        let identity = Authority::new("CA").issue(&["www.example"], kind);
        let (certificate, key) = (identity.certificate_file(), identity.key_file());
        let out = check(&format!(
            "--listen wss://127.0.0.1:0/ssh --open --serve-cert {} --serve-key {} {}",
            certificate.display(),
            key.display(),
            target.args()
        ));
        // The server starts with it.
        out.expect_code(0);
        expect_lines(&out, &[text, hint, "is free"]);
    }
}

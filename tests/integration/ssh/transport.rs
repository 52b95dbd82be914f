//! Algorithms, compression, and the ways to log in that depend on settings.

use std::sync::{Arc, Mutex};

use connect::ssh::algorithms::{Compression, Offer};
use connect::ssh::cipher::Cipher;
use connect::ssh::transport::Limits;
use connect::ssh::wire::Reader;

use super::server::{Reply, Setup, accept_key, blob, key_file, key_path, offer};
use crate::askpass::Asker;
use crate::kit::*;

/// Returns a server that lacks strict key exchange.
fn without_strict(ciphers: &[Cipher], connections: usize) -> Setup {
    let offer = Offer {
        ciphers: ciphers.to_vec(),
        is_strict: false,
        allow_without_strict: connections == 1,
        ..offer()
    };
    Setup { offer, connections, ..Setup::new() }
}

#[test]
fn a_server_without_strict_key_exchange_gets_a_second_connection_with_other_ciphers() {
    let server = without_strict(&[Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr], 2).start();
    // Without the option, the client prefers a cipher that the server lacks.
    let out = server.connect_with_key("-d").input("x").run();
    out.expect_code(0).expect_stdout("x");
    let notes = [
        "no strict key exchange: connecting again without chacha20-poly1305@openssh.com",
        "not strict, host key algorithm ssh-ed25519, cipher aes128-ctr with hmac-sha2-256\n",
    ];
    assert!(notes.iter().all(|note| out.stderr_text().contains(note)), "{}", out.stderr_text());
    let seen = server.finish();
    assert_eq!((seen[0].methods.len(), seen[1].methods.len()), (0, 1));
}

#[test]
fn chacha20_is_used_without_strict_key_exchange_if_the_user_names_it() {
    let server = without_strict(&[Cipher::ChaCha20Poly1305], 1).start();
    let out = server.connect_with_key("--ssh-ciphers chacha20-poly1305@openssh.com").input("x").run();
    out.expect_code(0).expect_stdout("x");
    let warning =
        "lacks strict key exchange: chacha20-poly1305@openssh.com is used because --ssh-ciphers names it";
    assert!(out.stderr_text().contains(warning), "{out:?}");
    server.finish_one();
}

#[test]
fn compressed_data_arrives_while_keys_are_exchanged_again() {
    let limits = Limits { packets: 20, ..Limits::default() };
    let offer = Offer { compression: Compression::Accepted, ..offer() };
    let server = Setup { offer, limits, ..Setup::new() }.start();
    let data = [bytes(6, 300_000), b"some text, and some more text\n".repeat(20_000)].concat();
    let out = server.connect_with_key("-d --ssh-compress").input(data.clone()).run();
    out.expect_code(0).expect_stdout(data);
    assert!(out.stderr_text().contains(", compression zlib@openssh.com\n"), "{}", out.stderr_text());
    assert!(server.finish_one().key_exchanges > 0);
}

#[test]
fn the_url_decides_about_compression_before_the_option() {
    let offer = Offer { compression: Compression::Accepted, ..offer() };
    let server = Setup { offer, ..Setup::new() }.start();
    let (known_hosts, key) = (server.known_hosts.display(), server.key.display());
    let url = format!("ssh://me@127.0.0.1:{}?ssh-compress=no", server.port());
    let out = connect(format!(
        "-d -x {url} --ssh-compress --ssh-agent off --ssh-known-hosts {known_hosts} -i {key} h 22"
    ))
    .input("x")
    .run();
    out.expect_code(0).expect_stdout("x");
    assert!(!out.stderr_text().contains("compression"), "{}", out.stderr_text());
    server.finish_one();
}

#[test]
fn eager_sends_the_public_value_before_the_algorithms_of_the_server_are_known() {
    let server = Setup::new().start();
    let out = server.connect_with_key("-d --eager").input("x").run();
    out.expect_code(0).expect_stdout("x");
    let log = out.stderr_text();
    let place = |text: &str| log.find(text).unwrap_or_else(|| panic!("no '{text}' in {out:?}"));
    assert!(place("sent KEX_ECDH_INIT") < place("received KEXINIT"));
    assert_eq!(log.matches("sent KEX_ECDH_INIT").count(), 1);
    server.finish_one();
}

#[test]
fn a_password_command_answers_a_single_hidden_question() {
    let server = Setup::new()
        .auth(|login| {
            let mut answers = Reader::new(login.fields);
            vec![match login.method {
                "keyboard-interactive" => Reply::Ask(&[("Password:", false)]),
                "answers" if (answers.u32(), answers.text()) == (Ok(1), Ok("secret")) => Reply::Success,
                _ => Reply::Failure(&["keyboard-interactive", "password"], false),
            }]
        })
        .start();
    let (port, known_hosts) = (server.port(), server.known_hosts.display());
    let args = format!(
        "-x ssh://me@127.0.0.1:{port} --ssh-agent off --ssh-known-hosts {known_hosts} --password-command"
    );
    let run = connect(args).arg("echo secret").arg("h").arg("22").env("SHELL", "/bin/sh");
    run.input("x").run().expect_success().expect_stdout("x");
    assert_eq!(server.finish_one().methods, ["none", "keyboard-interactive"]);
}

#[test]
fn the_certificate_of_a_key_is_tried_first() {
    let key = key_file("user");
    let certificate = key.with_file_name("user-cert.pub");
    std::fs::copy(key_path("user-cert.pub"), certificate).unwrap();
    for is_beside in [true, false] {
        let (tried, mut accept) = (Arc::new(Mutex::new(Vec::new())), accept_key("user-cert.pub"));
        let seen = tried.clone();
        let server = Setup::new()
            .auth(move |login| {
                let mut reader = Reader::new(login.fields);
                reader.bool().unwrap();
                reader.text().unwrap();
                seen.lock().unwrap().push(reader.string().unwrap().to_vec());
                accept(login)
            })
            .start();
        let run = if is_beside {
            server.connect(format!("-i {}", key.display()))
        } else {
            server.connect_with_key(format!("--ssh-cert {}", key_path("user-cert.pub").display()))
        };
        run.input("x").run().expect_success().expect_stdout("x");
        server.finish_one();
        assert_eq!(tried.lock().unwrap()[0], blob("user-cert.pub"));
    }
}

#[test]
fn a_certificate_in_the_url_needs_a_key_in_the_url() {
    let out = connect("-x ssh://bastion?ssh-cert=c -i k h 22").run();
    out.expect_code(2);
    assert!(out.stderr_text().contains("requires ssh-identity=FILE"), "{out:?}");
}

/// More output than a pipe holds.
#[test]
fn a_long_output_of_ssh_is_read() {
    let ssh = Asker::new("ssh", "yes 'sendenv LC_ALL' | head -n 10000; echo port none");
    let directory = ssh.path().parent().unwrap().display().to_string();
    let run = connect("-x ssh://bastion --ssh-config host.example 22");
    let out = run.env("PATH", format!("{directory}:/usr/bin:/bin")).run();
    out.expect_code(2);
    assert!(out.stderr_text().contains("ssh -G printed the invalid port 'none'"), "{out:?}");
}

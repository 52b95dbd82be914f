//! SSH servers as hops, with the real program.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use connect::ssh::algorithms::Offer;
use connect::ssh::cipher::Cipher;
use connect::ssh::connection::Source;
use connect::ssh::error::Error;
use connect::ssh::reason::{BY_APPLICATION, HOST_KEY_NOT_VERIFIABLE, NO_MORE_AUTH_METHODS};
use connect::ssh::transport::Limits;
use server::{Channel, Reply, Setup, SshServer, accept_key, fingerprint, key_file, offer, public_line};

use crate::askpass::Asker;
use crate::kit::*;
use crate::listening::*;

pub(crate) mod host;
pub(crate) mod server;
mod shared;
mod transport;

#[track_caller]
fn expect_end(error: Option<&Error>, expected: u32) {
    assert!(matches!(error, Some(Error::Disconnected { reason, .. }) if *reason == expected), "{error:?}");
}

#[test]
fn a_key_opens_a_channel_to_the_target() {
    let server = Setup::new().start();
    let data = bytes(1, 300_000);
    server.connect_with_key("").input(data.clone()).run().expect_success().expect_stdout(data);
    let seen = server.finish_one();
    assert_eq!(seen.targets, ["direct-tcpip host.example:22"]);
    assert_eq!(seen.methods, ["publickey"], "the only key is used at once");
    expect_end(seen.end.as_ref(), BY_APPLICATION);
}

#[test]
fn every_cipher_carries_data_in_both_directions() {
    for cipher in Cipher::ALL {
        let setup = Setup::new();
        let offer = Offer { ciphers: vec![cipher], ..offer() };
        let server = Setup { offer, ..setup }.start();
        let data = bytes(2, 100_000);
        server.connect_with_key("").input(data.clone()).run().expect_success().expect_stdout(data);
        server.finish_one();
    }
}

#[test]
fn keys_are_exchanged_again_in_mid_transfer() {
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let server = Setup { limits, ..Setup::new() }.start();
    let data = bytes(3, 8 << 20);
    server.connect_with_key("").input(data.clone()).run().expect_success().expect_stdout(data);
    let seen = server.finish_one();
    assert!(seen.key_exchanges >= 5, "{}", seen.key_exchanges);
}

#[test]
fn a_half_close_leaves_the_other_direction_open() {
    // The target answers only after EOF.
    let target = || {
        let mut received = Vec::new();
        Channel::Open(Box::new(move |connection, channel| {
            let mut buffer = [0; 1024];
            match connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) => {
                    received.extend_from_slice(b", and EOF");
                    connection.write(channel, &received).unwrap();
                    connection.send_eof(channel).unwrap();
                    connection.close_sending(channel).unwrap();
                    return false;
                }
                Some(count) => received.extend_from_slice(&buffer[..count]),
                None => {}
            }
            true
        }))
    };
    let server = Setup::new().channel(target).start();
    server.connect_with_key("").input("ping").run().expect_success().expect_stdout("ping, and EOF");
    server.finish_one();
}

#[test]
fn the_client_can_go_on_after_eof_from_the_target() {
    let (report, closed) = std::sync::mpsc::channel();
    let target = move || {
        let report = report.clone();
        let (mut is_ended, mut received) = (false, Vec::new());
        Channel::Open(Box::new(move |connection, channel| {
            if !is_ended {
                is_ended = true;
                connection.write(channel, b"bye").unwrap();
                connection.send_eof(channel).unwrap();
            }
            let mut buffer = [0; 1024];
            match connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) => {
                    report.send(std::mem::take(&mut received)).unwrap();
                    connection.close_sending(channel).unwrap();
                    return false;
                }
                Some(count) => received.extend_from_slice(&buffer[..count]),
                None => {}
            }
            true
        }))
    };
    let server = Setup::new().channel(target).start();
    let run = listening(server.args("--listen 127.0.0.1:0"));
    let mut client = run.client();
    assert_eq!(read_to_end(&client), "bye");
    client.write_all(b"late").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(closed.recv_timeout(TIMEOUT).unwrap(), b"late");
    assert_eq!(run.close(), [""; 0]);
    server.finish_one();
}

#[test]
fn a_target_that_does_not_read_does_not_stop_the_other_direction() {
    // Nothing is read before 4 MiB are sent, twice the client's window.
    let down = bytes(4, 4 << 20);
    let expected = down.clone();
    let target = move || {
        let (down, mut sent, mut received) = (down.clone(), 0, 0);
        Channel::Open(Box::new(move |connection, channel| {
            if sent < down.len() {
                sent += connection.write(channel, &down[sent..]).unwrap();
                return true;
            }
            let mut buffer = vec![0; 64 * 1024];
            match connection.read(channel, Source::Data, &mut buffer).unwrap() {
                Some(0) => {
                    assert_eq!(received, 5 << 20);
                    connection.send_eof(channel).unwrap();
                    connection.close_sending(channel).unwrap();
                    return false;
                }
                Some(count) => received += count,
                None => {}
            }
            true
        }))
    };
    let server = Setup::new().channel(target).start();
    server.connect_with_key("").input(bytes(5, 5 << 20)).run().expect_success().expect_stdout(expected);
    server.finish_one();
}

#[test]
fn a_connection_that_is_cut_is_an_error() {
    let target = || {
        let mut is_sent = false;
        Channel::Open(Box::new(move |connection, channel| {
            if !is_sent {
                is_sent = true;
                connection.write(channel, b"part").unwrap();
                connection.disconnect_with(2, "maintenance");
            }
            true
        }))
    };
    let server = Setup::new().channel(target).start();
    let port = server.port();
    let out = server.connect_with_key("").run();
    assert_eq!(out.code, Some(8), "{}", out.stderr_text());
    let expected = format!("SSH server 127.0.0.1:{port} closed the connection: \"maintenance\"");
    assert!(out.stderr_text().contains(&expected), "{}", out.stderr_text());
    assert_eq!(out.stdout, b"part");
    server.finish_one();
}

#[test]
fn a_locked_key_needs_its_passphrase() {
    let key = key_file("locked");
    let asker = Asker::new("askpass", "echo passphrase");
    let server = Setup::new().auth(accept_key("locked.pub")).start();
    let run = server.connect(format!("-i {}", key.display()));
    let run = run.env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0");
    run.input("x").run().expect_success().expect_stdout("x");
    let prompt = format!("Enter passphrase for key {}: \n", key.display());
    assert_eq!(asker.output("arguments"), prompt);
    assert_eq!(server.finish_one().methods, ["publickey"; 2], "a query, then the signature");
}

#[test]
fn a_wrong_passphrase_is_asked_for_three_times() {
    let key = key_file("locked");
    let asker = Asker::new("askpass", "echo wrong");
    let setup = Setup::new().auth(|login| match login.method {
        "publickey" => vec![Reply::KeyOk],
        _ => vec![Reply::Failure(&["publickey"], false)],
    });
    let server = setup.start();
    let run = server.connect(format!("-i {}", key.display()));
    let out = run.env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0").run();
    assert_eq!(out.code, Some(6), "{}", out.stderr_text());
    assert!(out.stderr_text().contains(": wrong passphrase"), "{}", out.stderr_text());
    assert_eq!(asker.output("arguments").lines().count(), 3);
    server.finish_one();
}

#[test]
fn a_configured_password_gets_one_try() {
    let password = |expected: &'static str| {
        Setup::new().auth(move |login| {
            let is_right = login.password() == Some(expected);
            vec![if is_right { Reply::Success } else { Reply::Failure(&["password"], false) }]
        })
    };
    let file = TempPath::private("password", "hunter2\n");
    let server = password("hunter2").start();
    let run = server.connect(format!("--password-file {}", file.display()));
    run.input("x").run().expect_success().expect_stdout("x");
    assert_eq!(server.finish_one().methods, ["none", "password"]);
    let server = password("another").start();
    let out = server.connect(format!("-d --password-file {}", file.display())).run();
    assert_eq!(out.code, Some(6), "{}", out.stderr_text());
    assert!(!out.stderr_text().contains("hunter2"), "{}", out.stderr_text());
    let seen = server.finish_one();
    assert_eq!(seen.methods, ["none", "password"]);
    expect_end(seen.end.as_ref(), NO_MORE_AUTH_METHODS);
}

#[test]
fn a_password_is_asked_for_until_it_is_right() {
    let asker =
        Asker::new("askpass", "test -e \"$D/second\" && echo right || echo wrong; touch \"$D/second\"");
    let setup = Setup::new().auth(move |login| {
        let is_right = login.password() == Some("right");
        vec![if is_right { Reply::Success } else { Reply::Failure(&["password"], false) }]
    });
    let server = setup.start();
    let run = server.connect("").env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0");
    run.input("x").run().expect_success().expect_stdout("x");
    assert_eq!(server.finish_one().methods, ["none", "password", "password"]);
}

#[test]
fn an_expired_password_is_replaced() {
    let asker = Asker::new("askpass", "case $1 in *New*) echo new;; *) echo old;; esac");
    let setup = Setup::new().auth(|login| match (login.method, login.password()) {
        ("password", Some("old")) if login.fields[0] == 0 => vec![Reply::ChangePassword],
        ("password", Some("old")) => {
            assert!(login.fields.ends_with(b"\0\0\0\x03new"));
            vec![Reply::Success]
        }
        _ => vec![Reply::Failure(&["password"], false)],
    });
    let server = setup.start();
    let run = server.connect("").env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0");
    run.input("x").run().expect_success().expect_stdout("x");
    assert!(asker.output("arguments").contains("Too old. New password for SSH server"));
    assert_eq!(server.finish_one().methods, ["none", "password", "password"]);
}

#[test]
fn the_user_answers_the_questions_of_the_server() {
    let asker = Asker::new("askpass", "case $1 in *Code*) echo 123;; *) echo secret;; esac");
    let setup = Setup::new().auth(|login| match login.method {
        "keyboard-interactive" => vec![Reply::Ask(&[("Password:", false), ("Code:", true)])],
        "answers" => {
            assert_eq!(login.fields, b"\0\0\0\x02\0\0\0\x06secret\0\0\0\x03123");
            vec![Reply::Success]
        }
        _ => vec![Reply::Failure(&["keyboard-interactive"], false)],
    });
    let server = setup.start();
    let run = server.connect("").env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0");
    run.input("x").run().expect_success().expect_stdout("x");
    assert_eq!(asker.output("arguments"), "Welcome Password: \nCode: \n");
    server.finish_one();
}

#[test]
fn a_configured_password_answers_a_single_hidden_question() {
    let file = TempPath::private("password", "hunter2\n");
    let setup = Setup::new().auth(|login| match login.method {
        "keyboard-interactive" => vec![Reply::Ask(&[("Password:", false)])],
        "answers" if login.fields == b"\0\0\0\x01\0\0\0\x07hunter2" => vec![Reply::Success],
        _ => vec![Reply::Failure(&["keyboard-interactive"], false)],
    });
    let server = setup.start();
    let run = server.connect(format!("--password-file {}", file.display()));
    run.input("x").run().expect_success().expect_stdout("x");
    server.finish_one();
}

#[test]
fn a_server_may_want_a_key_and_a_password() {
    let file = TempPath::private("password", "hunter2\n");
    let setup = Setup::new().auth(|login| match login.method {
        "publickey" => vec![Reply::Failure(&["password"], true)],
        _ if login.password() == Some("hunter2") => vec![Reply::Success],
        _ => vec![Reply::Failure(&["publickey"], false)],
    });
    let server = setup.start();
    let run = server.connect_with_key(format!("--password-file {}", file.display()));
    run.input("x").run().expect_success().expect_stdout("x");
    assert_eq!(server.finish_one().methods, ["publickey", "password"]);
}

#[test]
fn banners_are_shown_without_control_characters() {
    let auth = || {
        let mut accept = accept_key("user.pub");
        move |login: &server::Login<'_>| {
            let mut replies = vec![Reply::Banner("Authorized\x1b[2J use\r\n\r\nonly\n")];
            replies.extend(accept(login));
            replies
        }
    };
    let server = Setup::new().auth(auth()).start();
    let name = format!("SSH server 127.0.0.1:{}", server.port());
    let out = server.connect_with_key("").run();
    assert_eq!(
        out.stderr_text(),
        format!("connect: {name}: Authorized\\x1b[2J use\nconnect: {name}: only\n")
    );
    server.finish_one();
    let server = Setup::new().auth(auth()).start();
    server.connect_with_key("-q").run().expect_success();
    server.finish_one();
}

#[test]
fn an_unknown_host_key_gets_no_request_to_log_in() {
    let server = Setup::new().start();
    std::fs::write(&*server.known_hosts, "").unwrap();
    let out = server.connect_with_key("").run();
    assert_eq!(out.code, Some(5), "{}", out.stderr_text());
    assert!(out.stderr_text().contains("unknown host key"), "{}", out.stderr_text());
    let seen = server.finish_one();
    assert_eq!(seen.methods, [""; 0]);
    expect_end(seen.end.as_ref(), HOST_KEY_NOT_VERIFIABLE);
}

#[test]
fn a_new_host_key_is_added_once() {
    let server = Setup { connections: 2, ..Setup::new() }.start();
    let line = std::fs::read_to_string(&*server.known_hosts).unwrap();
    std::fs::write(&*server.known_hosts, "# mine\nother ssh-rsa AAAA").unwrap();
    let out = server.connect_with_key("--ssh-strict accept-new").run();
    let added = format!(
        "added the host key of SSH server 127.0.0.1:{}: ED25519 {}",
        server.port(),
        fingerprint("host.pub")
    );
    assert_eq!(out.stderr_text(), format!("connect: {added}\n"));
    server.connect_with_key("--ssh-strict yes").run().expect_success();
    let written = std::fs::read_to_string(&*server.known_hosts).unwrap();
    assert_eq!(written, format!("# mine\nother ssh-rsa AAAA\n{line}"));
    server.finish();
}

#[test]
fn the_user_decides_about_an_unknown_host_key() {
    let right = fingerprint("host.pub");
    for (answers, is_accepted) in
        [("yes", true), ("no", false), (&*right, true), (&*fingerprint("ca.pub"), false), ("maybe", false)]
    {
        // An unclear answer is followed by another question.
        let asker =
            Asker::new("askpass", &format!("case $1 in *type*) echo no;; *) echo '{answers}';; esac"));
        let server = Setup::new().start();
        std::fs::remove_file(&*server.known_hosts).unwrap();
        let run = server.connect_with_key("").env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0");
        let out = run.run();
        assert_eq!(out.code, Some(if is_accepted { 0 } else { 5 }), "{answers}: {}", out.stderr_text());
        assert!(asker.output("arguments").contains(&right));
        assert_eq!(server.known_hosts.exists(), is_accepted, "{answers}");
        server.finish_one();
    }
}

#[test]
fn after_a_changed_host_key_no_password_is_sent() {
    let file = TempPath::private("password", "hunter2\n");
    let setup = || Setup::new().auth(|_| vec![Reply::Failure(&["password", "keyboard-interactive"], false)]);
    let changed = |server: &SshServer| {
        let line = format!("[127.0.0.1]:{} {}\n", server.port(), public_line("ca.pub"));
        std::fs::write(&*server.known_hosts, line).unwrap();
    };
    let server = setup().start();
    changed(&server);
    let args = format!("--ssh-strict no --password-file {}", file.display());
    let out = server.connect(args).run();
    assert_eq!(out.code, Some(6), "{}", out.stderr_text());
    let mut lines = out.stderr_text().lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
    assert!(lines.next().unwrap().starts_with("connect: warning: host key of "));
    assert_eq!(server.finish_one().methods, ["none"]);
    let server = setup().start();
    changed(&server);
    let out = server.connect_with_key("").run();
    assert_eq!(out.code, Some(5));
    assert!(out.stderr_text().contains(" has changed: "), "{}", out.stderr_text());
    assert_eq!(server.finish_one().methods, [""; 0]);
}

#[test]
fn a_certificate_authority_does_not_vouch_for_a_plain_host_key() {
    // The server presents a plain key, to which a line with @cert-authority does not apply.
    let server = Setup::new().start();
    let line = format!("@cert-authority [127.0.0.1]:{} {}\n", server.port(), public_line("ca.pub"));
    std::fs::write(&*server.known_hosts, line).unwrap();
    let out = server.connect_with_key("--ssh-strict yes").run();
    assert_eq!(out.code, Some(5), "{}", out.stderr_text());
    server.finish_one();
}

#[test]
fn a_pin_replaces_the_files() {
    for (name, code) in [("host.pub", 0), ("ca.pub", 5)] {
        let server = Setup::new().start();
        std::fs::write(&*server.known_hosts, "").unwrap();
        let out = server.connect_with_key(format!("--ssh-pin {}", fingerprint(name))).run();
        assert_eq!(out.code, Some(code), "{}", out.stderr_text());
        server.finish_one();
    }
}

#[test]
fn a_strict_key_exchange_permits_chacha20_without_a_warning() {
    // The server of the test kit always supports strict key exchange.
    let server = Setup::new().start();
    let out = server.connect_with_key("-d --ssh-ciphers chacha20-poly1305@openssh.com").run();
    let log = out.stderr_text();
    assert!(log.contains("cipher chacha20-poly1305@openssh.com") && !log.contains("not strict"), "{log}");
    server.finish_one();
}

#[test]
fn the_debug_log_names_messages_and_no_secret() {
    let file = TempPath::private("password", "hunter2\n");
    let setup = Setup::new().auth(|login| {
        let is_right = login.password() == Some("hunter2");
        vec![if is_right { Reply::Success } else { Reply::Failure(&["password"], false) }]
    });
    let server = setup.start();
    let known_hosts = server.known_hosts.display().to_string();
    let out = server.connect(format!("-dd --password-file {}", file.display())).run();
    let log = out.stderr_text();
    for expected in [
        "sent KEXINIT (".to_owned(),
        "received the identification SSH-2.0-test".to_owned(),
        "received NEWKEYS (1 byte)".to_owned(),
        format!("host key ED25519 {}: known ({known_hosts}:1)", fingerprint("host.pub")),
        "key exchange mlkem768x25519-sha256, host key algorithm ssh-ed25519, cipher aes256-gcm@openssh.com"
            .to_owned(),
        "the server accepts password".to_owned(),
        "received USERAUTH_FAILURE (".to_owned(),
        "sent USERAUTH_REQUEST\n".to_owned(),
        "user me accepted: password".to_owned(),
        "received CHANNEL_OPEN_CONFIRMATION (".to_owned(),
    ] {
        assert!(log.contains(&expected), "{expected}: {log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
    server.finish_one();
}

#[test]
fn check_reports_each_step_and_changes_no_file() {
    let server = Setup::new().start();
    let key = server.key.display().to_string();
    let out = server.connect_with_key("--check").run();
    let report = String::from_utf8(out.stdout.clone()).unwrap();
    for expected in [
        format!("host key ED25519 {}: known ({}:1)", fingerprint("host.pub"), server.known_hosts.display()),
        "key exchange mlkem768x25519-sha256".to_owned(),
        "the server accepts publickey".to_owned(),
        format!("user me accepted: publickey (ED25519 {}, {key})", fingerprint("user.pub")),
    ] {
        assert!(report.contains(&expected), "{expected}: {report}");
    }
    server.finish_one();
    let server = Setup::new().start();
    std::fs::remove_file(&*server.known_hosts).unwrap();
    let out = server.connect_with_key("--check --ssh-strict accept-new").run();
    let report = String::from_utf8(out.stdout.clone()).unwrap();
    assert!(report.contains("unknown; --check does not add it"), "{report}");
    assert!(!server.known_hosts.exists());
    server.finish_one();
}

#[test]
fn two_servers_form_a_chain() {
    // The first server connects to the second one.
    let second = Setup::new().start();
    let port = second.port();
    let to_second = move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut pending = Vec::new();
        Channel::Open(Box::new(move |connection, channel| {
            let mut buffer = vec![0; 32 * 1024];
            while let Ok(Some(count @ 1..)) = connection.read(channel, Source::Data, &mut buffer) {
                stream.set_nonblocking(false).unwrap();
                stream.write_all(&buffer[..count]).unwrap();
                stream.set_nonblocking(true).unwrap();
            }
            match stream.read(&mut buffer) {
                Ok(0) => {
                    connection.close_sending(channel).unwrap();
                    return false;
                }
                Ok(count) => pending.extend_from_slice(&buffer[..count]),
                Err(_) => {}
            }
            let count = connection.write(channel, &pending).unwrap();
            pending.drain(..count);
            true
        }))
    };
    let first = Setup::new().channel(to_second).start();
    let known =
        [&first, &second].map(|server| std::fs::read_to_string(&*server.known_hosts).unwrap()).concat();
    let known = TempPath::file("known_hosts", known);
    let url = format!("ssh://me@127.0.0.1:{},ssh://me@127.0.0.1:{port}", first.port());
    let args =
        format!("-x {url} --ssh-agent off --ssh-known-hosts {} -i {}", known.display(), first.key.display());
    let out = connect(format!("{args} host.example 22")).input("through both").run();
    out.expect_success().expect_stdout("through both");
    assert_eq!(second.finish_one().targets, ["direct-tcpip host.example:22"]);
    assert_eq!(first.finish_one().targets, [format!("direct-tcpip 127.0.0.1:{port}")]);
}

#[test]
fn a_server_that_stops_answering_is_named_with_the_step() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ssh://me@{}", silent.local_addr().unwrap());
    let out = connect(format!("-w 0.3 -x {url} --ssh-agent off host.example 22")).run();
    assert_eq!(out.code, Some(7), "{}", out.stderr_text());
    assert!(out.stderr_text().contains(" did not send its identification"), "{}", out.stderr_text());
    let server = Setup::new().channel(|| Channel::Ignore).start();
    let out = server.connect_with_key("-w 1").run();
    assert!(out.stderr_text().contains(" did not open the channel"), "{}", out.stderr_text());
    server.finish_one();
}

#[test]
fn a_keepalive_asks_a_server_that_is_silent() {
    let server = Setup::new().start();
    let client = server.connect_with_key("--keepalive 1").start();
    std::thread::sleep(Duration::from_millis(1500));
    drop(client.finish());
    assert!(server.finish_one().requests.contains(&"keepalive@openssh.com".to_owned()));
}

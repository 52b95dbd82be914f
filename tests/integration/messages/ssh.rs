//! SSH servers: host keys, logins, and channels that they refuse.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use connect::ssh::algorithms::Offer;
use connect::ssh::cipher::Cipher;
use connect::ssh::connection::Source;

use super::{Message, Row, row};
use crate::kit::*;
use crate::ssh::server::{
    Channel, Login, Reply, Setup, SshServer, accept_key, fingerprint, key_file, offer, public_line,
};
use crate::websocket::server::WsServer;

const VARIANT: &str = "Ssh";

/// Replaces what varies from run to run.
fn message(out: &Outcome, server: &SshServer) -> Message {
    Message::from_outcome(out)
        .naming(format!("127.0.0.1:{}", server.port()), "bastion:22")
        .naming(server.known_hosts.display(), "/home/me/.ssh/known_hosts")
        .naming(server.key.display(), "/home/me/.ssh/id_ed25519")
        .naming(format!("[127.0.0.1]:{}", server.port()), "bastion")
}

/// Returns a row with a server, and arguments that name no key.
fn without_key(
    code: i32,
    situation: &'static str,
    advice: &'static str,
    args: &'static str,
    setup: impl Fn() -> Setup + Send + Sync + 'static,
) -> Row {
    row(code, VARIANT, situation, advice, move || {
        let server = setup().start();
        let out = server.connect(args).run();
        let message = message(&out, &server);
        server.finish();
        message
    })
}

/// Returns a row with a server that accepts the key.
fn with_key(
    code: i32,
    situation: &'static str,
    advice: &'static str,
    args: &'static str,
    setup: impl Fn() -> Setup + Send + Sync + 'static,
) -> Row {
    row(code, VARIANT, situation, advice, move || {
        let server = setup().start();
        let out = server.connect_with_key(args).run();
        let message = message(&out, &server);
        server.finish();
        message
    })
}

/// Returns a row with a server that does not speak SSH.
fn raw(code: i32, situation: &'static str, script: fn(&mut TcpStream)) -> Row {
    row(code, VARIANT, situation, "", move || {
        let server = WsServer::raw(move |mut stream| {
            script(&mut stream);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let at = format!("127.0.0.1:{}", server.port());
        let out = connect(format!("-x ssh://me@{at} --ssh-agent off host.example 22")).run();
        server.finish();
        Message::from_outcome(&out).naming(at, "bastion:22")
    })
}

/// Returns a row in which the file with known host keys contains these lines. `HOST` represents
/// the name of the server.
fn host_key(
    situation: &'static str,
    advice: &'static str,
    args: &'static str,
    lines: impl Fn() -> String + Send + Sync + 'static,
) -> Row {
    row(5, VARIANT, situation, advice, move || {
        let server = Setup::new().start();
        let name = format!("[127.0.0.1]:{}", server.port());
        std::fs::write(&*server.known_hosts, lines().replace("HOST", &name)).unwrap();
        let out = server.connect_with_key(args.replace("PIN", &fingerprint("ca.pub"))).run();
        let message = message(&out, &server);
        server.finish();
        message
    })
}

pub(super) fn rows() -> Vec<Row> {
    [peers(), host_keys(), logins(), keys(), channels(), ends(), settings()].into_iter().flatten().collect()
}

fn peers() -> Vec<Row> {
    let closes = |stream: &mut TcpStream| drop(stream.shutdown(Shutdown::Write));
    vec![
        raw(5, "The SSH server is a web server", |stream| {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            let _ = stream.shutdown(Shutdown::Write);
        }),
        raw(5, "The SSH server supports only version 1", |stream| {
            stream.write_all(b"SSH-1.5-old\r\n").unwrap();
        }),
        raw(5, "The SSH server closes the connection at once", closes),
        raw(5, "The SSH server sends a malformed packet", |stream| {
            stream.write_all(b"SSH-2.0-x\r\n\xff\xff\xff\xff").unwrap();
        }),
        with_key(
            5,
            "The SSH server offers no cipher that connect supports",
            "",
            "--ssh-ciphers aes128-ctr",
            || Setup { offer: Offer { ciphers: vec![Cipher::Aes256Gcm], ..offer() }, ..Setup::new() },
        ),
        with_key(
            5,
            "The SSH server lacks strict key exchange, and offers only ciphers that need it",
            "",
            "",
            || {
                let offer = Offer { ciphers: vec![Cipher::ChaCha20Poly1305], is_strict: false, ..offer() };
                Setup { offer, connections: 2, ..Setup::new() }
            },
        ),
        row(7, "TimedOut", "The SSH server sends no identification", "", || {
            let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let at = silent.local_addr().unwrap();
            let out = connect(format!("-w 0.3 -x ssh://me@{at} --ssh-agent off host.example 22")).run();
            Message::from_outcome(&out).naming(at, "bastion:22")
        }),
        row(7, "TimedOut", "The SSH server does not answer the login", "", || {
            let server = Setup::new().auth(|_| Vec::new()).start();
            let out = server.connect_with_key("-w 1").run();
            let message = message(&out, &server);
            server.finish();
            message
        }),
        row(7, "TimedOut", "The SSH server does not open the channel", "", || {
            let server = Setup::new().channel(|| Channel::Ignore).start();
            let out = server.connect_with_key("-w 1").run();
            let message = message(&out, &server);
            server.finish();
            message
        }),
    ]
}

fn host_keys() -> Vec<Row> {
    vec![
        host_key(
            "The host key is unknown",
            "On a terminal, `connect` asks whether to trust the key.",
            "",
            String::new,
        ),
        host_key("Only other types of host keys are known", "", "", || {
            let key = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJ1hU8bAgOFVcfMZlZGOzWMRxqEkWBk4g5vTx1/zT9uz\
                       E8e0P/vYkYKnqZ2RY5nDkqcQmRAiVYhnVX4TbNMbUFs=";
            format!("HOST ecdsa-sha2-nistp256 {key}\n")
        }),
        host_key(
            "The host key has changed",
            "Someone may be intercepting the connection, or the server was installed again. Compare the fingerprint with \
             the server's before you remove the old key.",
            "",
            || format!("HOST {}\n", public_line("ca.pub")),
        ),
        host_key("The host key is revoked", "", "", || {
            format!("@revoked HOST {}\n", public_line("host.pub"))
        }),
        host_key("The host key does not match the pin", "", "--ssh-pin PIN", String::new),
        row(0, "Warning", "A host key is added", "", || {
            let server = Setup::new().start();
            std::fs::write(&*server.known_hosts, "").unwrap();
            let out = server.connect_with_key("--ssh-strict accept-new").run();
            let message = message(&out, &server);
            server.finish();
            message
        }),
    ]
}

fn reject(methods: &'static [&'static str]) -> impl Fn() -> Setup + Send + Sync {
    move || Setup::new().auth(move |_: &Login<'_>| vec![Reply::Failure(methods, false)])
}

fn logins() -> Vec<Row> {
    vec![
        with_key(
            6,
            "The SSH server rejects the user",
            "The message lists what was tried. Without a terminal and `SSH_ASKPASS`, no password is asked for; set \
             `CONNECT_SSH_PASSWORD`, or load the key into an agent.",
            "",
            reject(&["publickey", "keyboard-interactive"]),
        ),
        without_key(6, "There is no key and no password for the SSH server", "", "", reject(&["publickey"])),
        with_key(6, "The SSH server requires a second method", "", "", || {
            Setup::new().auth(|_| vec![Reply::Failure(&["password"], true)])
        }),
        with_key(
            6,
            "The SSH server allows no more attempts",
            "An agent with many keys uses up the attempts that the server allows.",
            "",
            || Setup::new().auth(|_| vec![Reply::Disconnect(2, "Too many authentication failures")]),
        ),
        with_key(6, "The SSH server ends the connection during the login", "", "", || {
            Setup::new().auth(|_| vec![Reply::Disconnect(11, "account locked")])
        }),
        with_key(6, "The SSH server closes the connection during the login", "", "", || {
            Setup::new().auth(|_| vec![Reply::Close])
        }),
    ]
}

/// Returns a row with a key that cannot be used.
fn unusable(situation: &'static str, make: impl Fn() -> TempPath + Send + Sync + 'static) -> Row {
    row(6, VARIANT, situation, "", move || {
        let key = make();
        let server = reject(&["publickey"])().start();
        let out = server.connect(format!("-i {}", key.display())).run();
        let message = message(&out, &server).naming(key.display(), "/home/me/.ssh/id_ed25519");
        server.finish();
        message
    })
}

fn keys() -> Vec<Row> {
    vec![
        row(6, VARIANT, "The key needs a passphrase, and there is no way to ask for it", "", || {
            let key = key_file("locked");
            let server = Setup::new().auth(accept_key("locked.pub")).start();
            let out = server.connect(format!("-i {}", key.display())).run();
            let message = message(&out, &server).naming(key.display(), "/home/me/.ssh/id_ed25519");
            server.finish();
            message
        }),
        row(6, VARIANT, "The passphrase is wrong", "", || {
            let key = key_file("locked");
            let asker = crate::askpass::Asker::new("askpass", "echo wrong");
            let setup = Setup::new().auth(|login| match login.method {
                "publickey" => vec![Reply::KeyOk],
                _ => vec![Reply::Failure(&["publickey"], false)],
            });
            let server = setup.start();
            let run = server.connect(format!("-i {}", key.display()));
            let out = run.env("SSH_ASKPASS", asker.path()).env("DISPLAY", ":0").run();
            let message = message(&out, &server).naming(key.display(), "/home/me/.ssh/id_ed25519");
            server.finish();
            message
        }),
        unusable("Others can read the key", || {
            use std::os::unix::fs::PermissionsExt;
            let key = key_file("user");
            std::fs::set_permissions(&*key, std::fs::Permissions::from_mode(0o644)).unwrap();
            key
        }),
        unusable("The key file has another format", || {
            TempPath::private("key", "PuTTY-User-Key-File-3: x\n")
        }),
        unusable("The key is encrypted PEM", || {
            let header =
                "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
            TempPath::private("key", format!("{header}AAAA\n-----END EC PRIVATE KEY-----\n"))
        }),
        row(6, VARIANT, "The key does not exist", "", || {
            let server = reject(&["publickey"])().start();
            let out = server.connect("-i /nonexistent/key").run();
            let message = message(&out, &server);
            server.finish();
            message
        }),
    ]
}

fn channels() -> Vec<Row> {
    let refuse = |code, situation, reason, text: &'static str| {
        with_key(code, situation, "", "", move || Setup::new().channel(move || Channel::Refuse(reason, text)))
    };
    vec![
        refuse(4, "The SSH server cannot connect to the target", 2, "Connection refused"),
        refuse(5, "The SSH server does not permit forwarding", 1, "open failed"),
        refuse(5, "The SSH server knows no forwarding", 3, "unknown channel type"),
        refuse(5, "The SSH server has no resources for the channel", 4, ""),
        with_key(5, "The SSH server closes the connection instead of opening the channel", "", "", || {
            Setup::new().channel(|| Channel::Close)
        }),
        with_key(5, "The SSH server ends the connection instead of opening the channel", "", "", || {
            Setup::new().channel(|| Channel::Disconnect(11, "shutting down"))
        }),
    ]
}

/// Returns a row in which the target sends a line before the connection ends.
fn ends() -> Vec<Row> {
    let setup = || {
        Setup::new().channel(|| {
            let mut calls = 0;
            Channel::Open(Box::new(move |connection, channel| {
                calls += 1;
                if calls == 1 {
                    connection.write(channel, b"hello\n").unwrap();
                } else if calls == 2 {
                    connection.disconnect_with(11, "shutting down");
                } else if calls > 5 {
                    let mut buffer = [0; 16];
                    let _ = connection.read(channel, Source::Data, &mut buffer);
                }
                calls < 20
            }))
        })
    };
    vec![row(8, "Remote", "The SSH server ends the connection during the session", "", move || {
        let server = setup().start();
        let out = server.connect_with_key("").run();
        let message = message(&out, &server);
        server.finish();
        message
    })]
}

fn settings() -> Vec<Row> {
    let usage = |variant, situation, args: &'static str| {
        row(2, variant, situation, "", move || Message::from_outcome(&connect(args).run()))
    };
    let fake_ssh = |variant, situation, script: &'static str| {
        row(2, variant, situation, "", move || {
            let program = crate::askpass::Asker::new("ssh", script);
            let directory = program.path().parent().unwrap().display().to_string();
            let run = connect("-x ssh://bastion --ssh-config host.example 22");
            let out = run.env("PATH", format!("{directory}:/usr/bin:/bin")).run();
            Message::from_outcome(&out)
        })
    };
    vec![
        usage("Config", "The value of --ssh-strict is unknown", "-x ssh://bastion --ssh-strict maybe h 22"),
        usage(
            "Config",
            "The value of --ssh-pin is no fingerprint",
            "-x ssh://bastion --ssh-pin SHA256:x h 22",
        ),
        usage("Config", "A cipher is unknown", "-x ssh://bastion --ssh-ciphers 3des-cbc h 22"),
        usage("Config", "An SSH server is at a UNIX-domain socket", "-x ssh://unix:/run/sshd h 22"),
        usage("Config", "-F is combined with an SSH server", "-F -x ssh://bastion h 22"),
        usage("Config", "A certificate in a URL has no key", "-x ssh://bastion?ssh-cert=x h 22"),
        usage("Usage", "A certificate precedes its key", "-x ssh://bastion --ssh-cert c -i k h 22"),
        fake_ssh("Usage", "ssh reaches the server with ProxyJump", "echo proxyjump gate"),
        fake_ssh("Usage", "ssh reaches the server with ProxyCommand", "echo proxycommand nc %h %p"),
        fake_ssh("Config", "ssh -G fails", "exit 255"),
        fake_ssh("Config", "ssh -G prints an invalid port", "echo port none"),
    ]
}

//! Errors about tokens and their keys.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::{Message, Row, row};
use crate::kit::*;
use crate::websocket::server::{WsServer, accept_fields, read_head};

/// Returns a row with this command line.
fn args(variant: &'static str, situation: &'static str, args: &'static str, advice: &'static str) -> Row {
    row(2, variant, situation, advice, move || Message::from_outcome(&connect(args).run()))
}

/// Returns a row in which `FILE` in the command line is a file with this content.
fn file(situation: &'static str, content: &'static str, args: &'static str, advice: &'static str) -> Row {
    row(2, "Config", situation, advice, move || {
        let file = TempPath::file("file", content);
        fs::set_permissions(&*file, fs::Permissions::from_mode(0o600)).unwrap();
        let args = args.replace("FILE", &file.display().to_string());
        Message::from_outcome(&connect(args).run()).naming(file.display(), "/home/me/file")
    })
}

const CLAIMS: &str = "role=dest,session=ssh,aud=hub.example,ttl=30d";

pub(super) fn rows() -> Vec<Row> {
    [usage(), mint(), client(), server()].into_iter().flatten().collect()
}

fn usage() -> Vec<Row> {
    vec![
        args(
            "Usage",
            "`--token-file` without a hop that sends tokens",
            "--token-file /home/me/token -S socks.example host.example 22",
            "",
        ),
        args("Usage", "`--keepalive` without WebSocket and SSH", "--keepalive 10 host.example 22", ""),
        args(
            "Usage",
            "An option for tokens at a listener without tokens",
            "--listen socks5://1080 --token-keys keys",
            "",
        ),
        args(
            "Usage",
            "`--mint-token` without `--signing-key`",
            "--mint-token role=dest,session=ssh,aud=hub.example,ttl=30d",
            "",
        ),
        args("Usage", "`--signing-key` without `--mint-token`", "--signing-key hub.key", ""),
        args("Usage", "`--signing-key` with another option", "--mint-key --signing-key hub.key", ""),
        args("Usage", "Two keys at once", "--mint-key --mint-signing-key hub.key", ""),
        args("Usage", "`--mint-key` with a host", "--mint-key host.example", ""),
    ]
}

fn mint() -> Vec<Row> {
    let key = || {
        let file = TempPath::new("hub.key");
        connect("").arg("--mint-signing-key").arg(&*file).run().expect_success();
        file
    };
    let claims = move |situation: &'static str, claims: &'static str, advice: &'static str| {
        row(2, "Config", situation, advice, move || {
            let file = key();
            let out = connect("").arg("--mint-token").arg(claims).arg("--signing-key").arg(&*file).run();
            Message::from_outcome(&out)
        })
    };
    vec![
        row(1, "KeyFile", "The file of a new key exists", "", || {
            let file = TempPath::file("file", "");
            let out = connect("").arg("--mint-signing-key").arg(&*file).run();
            Message::from_outcome(&out).naming(file.display(), "hub.key")
        }),
        claims("A token without a claim that is required", "role=dest,aud=hub.example,ttl=30d", ""),
        claims("A token with an unknown claim", "role=dest,user=jane", ""),
        claims("A token with an invalid lifetime", "role=dest,ttl=soon", ""),
        claims("A token with a claim given twice", "role=dest,role=origin", ""),
        row(2, "Config", "A token with long claims", "", move || {
            let file = key();
            let claims = format!("{CLAIMS},sub={}", "x".repeat(2000));
            let out = connect("").arg("--mint-token").arg(claims).arg("--signing-key").arg(&*file).run();
            Message::from_outcome(&out)
        }),
        args(
            "Config",
            "The signing key cannot be read",
            "--mint-token role=dest,session=ssh,aud=hub.example,ttl=30d --signing-key /nonexistent/key",
            "",
        ),
        file(
            "The signing key is not PEM",
            "ed25519 AAAA\n",
            "--mint-token role=dest,session=ssh,aud=hub.example,ttl=30d --signing-key FILE",
            "Name the private key, not the keys file.",
        ),
        file(
            "The signing key is encrypted",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "--mint-token role=dest,session=ssh,aud=hub.example,ttl=30d --signing-key FILE",
            "",
        ),
        file(
            "The signing key is not of Ed25519",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "--mint-token role=dest,session=ssh,aud=hub.example,ttl=30d --signing-key FILE",
            "Create one with `--mint-signing-key`, or with `openssl genpkey -algorithm ed25519`.",
        ),
        row(0, "Warning", "Signing key that others can read", "", move || {
            let file = key();
            fs::set_permissions(&*file, fs::Permissions::from_mode(0o644)).unwrap();
            let out = connect("").arg("--mint-token").arg(CLAIMS).arg("--signing-key").arg(&*file).run();
            Message::from_outcome(&out).naming(file.display(), "/home/me/hub.key")
        }),
    ]
}

/// Returns a row with a warning about the token of a session, whose file has these permissions.
/// `PORT` is the port of a server.
fn warning(situation: &'static str, advice: &'static str, mode: u32, url: &'static str) -> Row {
    row(0, "Warning", situation, advice, move || {
        let server = WsServer::start("", |mut socket, _| {
            socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).unwrap();
            while socket.read().is_ok() {}
        });
        let file = TempPath::file("token", "token\n");
        fs::set_permissions(&*file, fs::Permissions::from_mode(mode)).unwrap();
        let url = url.replace("PORT", &server.port().to_string());
        let out = connect(format!("--token-file {} -x {url} host.example 22", file.display())).run();
        server.finish();
        Message::from_outcome(&out).naming(file.display(), "/home/me/token")
    })
}

fn client() -> Vec<Row> {
    vec![
        warning("Token file that others can read", "", 0o644, "ws://127.0.0.1:PORT/"),
        row(0, "Warning", "Token for a `ws://` server on another machine", "", || {
            // The proxy is also the server.
            let server = WsServer::raw(|mut stream| {
                read_head(&mut stream);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let head = read_head(&mut stream);
                let fields = accept_fields(&head);
                write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n").unwrap();
                stream.write_all(b"\x82\x01x\x88\x02\x03\xe8").unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let chain = format!("http://127.0.0.1:{},ws://ws.example/", server.port());
            let out = connect(format!("-x {chain} host.example 22")).env("CONNECT_TOKEN", "token").run();
            server.finish();
            Message::from_outcome(&out)
        }),
    ]
}

/// Returns a row in which a server's keys file has this content.
fn keys(situation: &'static str, content: &'static str, more: &'static str, advice: &'static str) -> Row {
    let args = "--listen post+http://127.0.0.1:0/ssh --relay-name hub.example --token-keys FILE";
    row(2, "Config", situation, advice, move || {
        let file = TempPath::private("keys", content);
        let args = args.replace("FILE", &file.display().to_string());
        let out = connect(format!("{args} {more} localhost 22")).run();
        Message::from_outcome(&out).naming(file.display(), "/home/me/hub.keys")
    })
}

const KEY: &str = "ed25519 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= hub.key\n";

fn server() -> Vec<Row> {
    vec![
        args("Usage", "`--serve-client-ca` without TLS", "--listen http://3128 --serve-client-ca ca.pem", ""),
        args(
            "Usage",
            "`--token-keys` with `--open`",
            "--listen post+http://8080/ssh --token-keys hub.keys --open localhost 22",
            "",
        ),
        args(
            "Usage",
            "`--token-keys` without `--relay-name`",
            "--listen post+http://8080/ssh --token-keys hub.keys localhost 22",
            "",
        ),
        args(
            "Usage",
            "`--deny-file` without `--token-keys`",
            "--listen post+http://8080/ssh --open --deny-file denied localhost 22",
            "",
        ),
        args(
            "Config",
            "A listener that checks tokens, without a path",
            "--listen post+http://8080/ --token-keys hub.keys --relay-name hub.example localhost 22",
            "",
        ),
        args(
            "Usage",
            "`--allow-origin` for POST tunnels",
            "--listen post+http://8080/ssh --open --allow-origin https://www.example localhost 22",
            "",
        ),
        args(
            "Config",
            "`--trust-forwarded` with a name",
            "--listen post+http://8080/ssh --open --trust-forwarded proxy.example localhost 22",
            "",
        ),
        args(
            "Config",
            "`--max-wait` with a fraction",
            "--listen post+http://8080/ssh --open --max-wait 0.5 localhost 22",
            "",
        ),
        keys("A keys file without keys", "# none\n", "", ""),
        keys("A keys file with an invalid key", "ed25519 AAAA\n", "", ""),
        keys(
            "A keys file with a misspelled limit",
            "ed25519 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= sesion=ssh\n",
            "",
            "",
        ),
        keys("A deny-file that cannot be read", KEY, "--deny-file /nonexistent/denied", ""),
    ]
}

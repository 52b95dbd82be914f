//! Errors of listeners that speak a protocol with their clients (`--listen` with a scheme).

use std::io::{Read, Write};
use std::net::TcpStream;

use super::session::port_in;
use super::{Message, Row, row};
use crate::kit::*;

/// Returns a row in which a client of a listener sends these bytes. `PORT` in them is the port of
/// the listener.
fn client(
    variant: &'static str,
    situation: &'static str,
    advice: &'static str,
    args: &'static str,
    request: &'static [u8],
) -> Row {
    row(5, variant, situation, advice, move || {
        let mut run = connect(format!("-d {args}")).start();
        let port = port_in(&mut run);
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let from = client.local_addr().unwrap();
        let request = String::from_utf8_lossy(request).replace("PORT", &port.to_string());
        // The listener may have closed the connection already.
        let _ = client.write_all(request.as_bytes());
        let _ = client.read_to_end(&mut Vec::new());
        drop(client);
        let name = format!("client {from}: ");
        run.wait_stderr_has(&name);
        let log = run.stderr_so_far();
        let line = log.lines().find(|line| line.contains(&name)).unwrap();
        // The listener keeps running, so use the exit code that a single session would have.
        Message { code: Some(5), text: format!("{line}\n") }
            .naming(from, "127.0.0.1:50000")
            .naming(port, "3128")
    })
}

const HTTP: &str = "--listen http://127.0.0.1:0";
const WEBSOCKET: &str = "--listen ws://127.0.0.1:0/ssh --open host.example 22";
const SOCKS: &str = "--listen socks5://127.0.0.1:0";

pub(super) fn rows() -> Vec<Row> {
    vec![
        client(
            "ClientRejected",
            "A client of `--listen http://` sends a malformed request",
            "",
            HTTP,
            b"GET http://host.example/ HTTP/1.1\r\n\r\n",
        ),
        client(
            "ClientRejected",
            "A client of `--listen http://` takes it for a web server",
            "Configure the address as a proxy in the client.",
            HTTP,
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        client(
            "ClientRejected",
            "A client of `--listen http://` speaks another protocol",
            "0x05 is SOCKS5, 0x04 SOCKS4, and 0x16 TLS.",
            HTTP,
            b"\x05\x01\0",
        ),
        client(
            "ClientRejected",
            "A client of `--listen socks5://` requests UDP",
            "Only TCP connections are supported.",
            SOCKS,
            b"\x05\x01\0\x05\x03\0\x01\0\0\0\0\0\0",
        ),
        row(5, "ClientRejected", "A client of `--listen` sends a wrong password", "", || {
            let file = private("logins", "alice:secret\n");
            rejected(&file, "Proxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n")
        }),
        row(5, "ClientRejected", "A client of `--listen` sends no password", "", || {
            let file = private("logins", "alice:secret\n");
            rejected(&file, "")
        }),
        client(
            "ClientNotAllowed",
            "A client of `--listen` is in none of the networks of `--allow-from`",
            "",
            "--listen http://127.0.0.1:0 --allow-from 10.0.0.0/8",
            b"",
        ),
        client(
            "TargetNotAllowed",
            "A client of `--listen` names a target that `--allow-to` does not include",
            "A network matches addresses only, because names may be resolved elsewhere.",
            "--listen http://127.0.0.1:0 --allow-to 10.0.0.0/8",
            b"CONNECT host.example:22 HTTP/1.1\r\n\r\n",
        ),
        client(
            "Loop",
            "A client of `--listen` names the listener itself",
            "",
            HTTP,
            b"CONNECT localhost:PORT HTTP/1.1\r\n\r\n",
        ),
        client(
            "ClientRejected",
            "A browser opens the URL of a WebSocket listener",
            "",
            WEBSOCKET,
            b"GET /ssh HTTP/1.1\r\nHost: www.example\r\n\r\n",
        ),
        client(
            "ClientRejected",
            "A web page uses a WebSocket listener",
            "To permit its site, use `--allow-origin`.",
            WEBSOCKET,
            b"GET /ssh HTTP/1.1\r\nHost: www.example\r\nOrigin: https://other.example\r\n\r\n",
        ),
        client(
            "ClientRejected",
            "A client of a listener for POST tunnels requests another path",
            "",
            "--listen post+http://127.0.0.1:0/tunnel --open host.example 22",
            b"POST /other HTTP/1.1\r\nHost: www.example\r\nContent-Length: 0\r\n\r\n",
        ),
    ]
}

fn private(name: &str, content: &str) -> TempPath {
    let file = TempPath::file(name, content);
    std::fs::set_permissions(&*file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    file
}

/// Sends a request with this field to a listener with a password file.
fn rejected(file: &TempPath, field: &str) -> Message {
    let mut run = connect(format!("-d {HTTP} --listen-password-file {}", file.display())).start();
    let mut client = TcpStream::connect(("127.0.0.1", port_in(&mut run))).unwrap();
    let from = client.local_addr().unwrap();
    client.write_all(format!("CONNECT host.example:22 HTTP/1.1\r\n{field}\r\n").as_bytes()).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    drop(client);
    run.wait_stderr_has(&format!("connect: client {from}: "));
    let log = run.stderr_so_far();
    let line = log.lines().find(|line| line.starts_with("connect: client")).unwrap();
    Message { code: Some(5), text: format!("{line}\n") }.naming(from, "127.0.0.1:50000")
}

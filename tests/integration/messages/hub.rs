//! The relay hub and origins.

use std::io::Read;

use tungstenite::Message as Frame;
use tungstenite::protocol::{CloseFrame, Role, WebSocket};

use super::{Message, Row, row};
use crate::kit::*;
use crate::websocket::server::{WsServer, accept_fields, read_head};

/// Returns a row with this command line.
fn args(variant: &'static str, situation: &'static str, args: &'static str) -> Row {
    row(2, variant, situation, "", move || Message::from_outcome(&connect(args).run()))
}

/// Returns a row whose hub registers the origin, and then closes the connection.
fn closed(
    variant: &'static str,
    situation: &'static str,
    advice: &'static str,
    code: u16,
    reason: &'static str,
) -> Row {
    row(5, variant, situation, advice, move || {
        let server = WsServer::raw(move |mut stream| {
            let head = read_head(&mut stream);
            let fields = accept_fields(&head);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: connect.origin.v1\r\n{fields}\r\n"
            );
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            let mut hub = WebSocket::from_raw_socket(stream, Role::Server, None);
            hub.send(Frame::text(r#"{"t":"ready"}"#)).unwrap();
            hub.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).unwrap();
            let _ = hub.get_mut().read_to_end(&mut Vec::new());
        });
        let args = format!("--origin relay+ws://127.0.0.1:{}/lab1 localhost 22", server.port());
        let out = connect(args).run();
        server.finish();
        Message::from_outcome(&out)
    })
}

pub(super) fn rows() -> Vec<Row> {
    [hub(), origin(), ends()].into_iter().flatten().collect()
}

fn hub() -> Vec<Row> {
    vec![
        args("Usage", "A hub without `--token-keys` and `--open`", "--relay ws://0.0.0.0:8080"),
        args("Config", "`--relay` without a scheme", "--relay 0.0.0.0:8080 --open"),
        args("Config", "`--relay` with an unknown option", "--relay ws://0.0.0.0:8080?rol=dest --open"),
        args("Config", "`--relay` with an invalid path", "--relay ws://0.0.0.0:8080/%41 --open"),
        args("Config", "`--relay wss://` without a certificate", "--relay wss://0.0.0.0:8443 --open"),
        args("Usage", "`--relay` with a host", "--relay ws://0.0.0.0:8080 --open host.example 22"),
        args(
            "Usage",
            "`--relay` with an option for listeners",
            "--relay ws://0.0.0.0:8080 --open --max-wait 5",
        ),
        args("Usage", "`--drain` without `--relay`", "--drain 5 host.example 22"),
    ]
}

fn origin() -> Vec<Row> {
    vec![
        args("Config", "`--origin` with another URL", "--origin wss://hub.example/lab1 localhost 22"),
        args(
            "Config",
            "`--origin` with a fallback",
            "--origin relay+wss://hub.example/lab1|direct localhost 22",
        ),
        args(
            "Config",
            "`--origin` with an invalid session",
            "--origin relay+wss://hub.example/lab%201 localhost 22",
        ),
        args(
            "Usage",
            "`--origin` with a listener",
            "--origin relay+wss://hub.example/lab1 --listen 2222 localhost 22",
        ),
        args(
            "Usage",
            "`--origin` for a UNIX-domain socket",
            "--origin relay+wss://hub.example/lab1 unix:/run/agent",
        ),
        args(
            "Usage",
            "`--origin` with an option for listeners",
            "--origin relay+wss://hub.example/lab1 --allow-to host.example localhost 22",
        ),
        args("Usage", "`--max-at-once` without `--origin`", "--max-at-once 1 host.example 22"),
        args(
            "Config",
            "`--spare` with an invalid number",
            "--origin relay+wss://hub.example/lab1 --spare few localhost 22",
        ),
        args(
            "Config",
            "`--max-total` with 0",
            "--origin relay+wss://hub.example/lab1 --max-total 0 localhost 22",
        ),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        row(
            5,
            "NoWebSocket",
            "No origin offers the session",
            "The hub has waited 5 seconds for one.",
            || {
                let server = WsServer::raw(|mut stream| {
                    read_head(&mut stream);
                    let answer =
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\nno origin offers 'lab1'\n";
                    std::io::Write::write_all(&mut stream, answer).unwrap();
                });
                let at = format!("127.0.0.1:{}", server.port());
                let out = connect(format!("-x ws://{at}/v1/lab1/dest")).run();
                server.finish();
                Message::from_outcome(&out).naming(at, "hub.example:80")
            },
        ),
        closed(
            "TakenOver",
            "A second origin registers for the session",
            "Run one origin for each session. Both have tokens with the same `sub` claim, or the hub checks none.",
            4409,
            "",
        ),
        closed(
            "Denied",
            "The hub denies the token of an origin",
            "The file of the hub's `--deny-file` contains the token, its `sub` claim or the session.",
            4403,
            "token denied",
        ),
    ]
}

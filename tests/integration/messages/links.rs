//! Sessions through a relay hub.

use std::io::{Read, Write};

use super::{Message, Row, row};
use crate::hub::{hub, origin};
use crate::kit::*;
use crate::websocket::server::{WsServer, read_head};

/// Returns a row with this command line.
fn args(variant: &'static str, situation: &'static str, args: &'static str) -> Row {
    row(2, variant, situation, "", move || Message::from_outcome(&connect(args).run()))
}

/// Returns a row whose hub refuses the request.
fn refused(
    code: i32,
    situation: &'static str,
    advice: &'static str,
    status: &'static str,
    body: &'static str,
) -> Row {
    row(code, "Link", situation, advice, move || {
        let server = WsServer::raw(move |mut stream| {
            read_head(&mut stream);
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let at = format!("127.0.0.1:{}", server.port());
        let out = connect(format!("--resume 0 -x relay+ws://{at}/lab1")).run();
        server.finish();
        Message::from_outcome(&out).naming(at, "hub.example:80")
    })
}

pub(super) fn rows() -> Vec<Row> {
    [usage(), refusals(), ends()].into_iter().flatten().collect()
}

fn usage() -> Vec<Row> {
    vec![
        args("Config", "A `relay+wss://` hop without a session", "-x relay+wss://hub.example/"),
        args("Config", "The key is part of a URL", "-x relay+wss://hub.example/lab1#key=abc"),
        args(
            "Config",
            "The key file cannot be read",
            "-x relay+wss://hub.example/lab1 --key-file /nonexistent",
        ),
        row(2, "Config", "The key is not 32 bytes in base64", "", || {
            let file = TempPath::private("lab1.key", "password\n");
            let args = format!("-x relay+wss://hub.example/lab1 --key-file {}", file.display());
            Message::from_outcome(&connect(args).run())
        }),
        args("Usage", "`--key-file` without a relay hub", "--key-file lab1.key host.example 22"),
        args("Config", "`--window` with an invalid number", "-x relay+wss://hub.example/lab1 --window 100"),
    ]
}

fn refusals() -> Vec<Row> {
    vec![
        refused(
            4,
            "No origin offers the session of a `relay+wss://` hop",
            "The hub has waited 5 seconds for one.",
            "404 Not Found",
            "no origin offers 'lab1'\n",
        ),
        refused(
            4,
            "The origin cannot reach its target",
            "",
            "502 Bad Gateway",
            "cannot reach localhost:22: connection refused\n",
        ),
        refused(
            4,
            "The origin does not answer the hub",
            "",
            "504 Gateway Timeout",
            "the origin of 'lab1' did not answer\n",
        ),
        refused(
            4,
            "The hub is shutting down",
            "`connect` repeats the request for up to 20 seconds, unless `--resume` is shorter.",
            "503 Service Unavailable",
            "the hub is shutting down\n",
        ),
        refused(
            5,
            "The origin has too many clients",
            "",
            "429 Too Many Requests",
            "limit of 1 connection at a time\n",
        ),
    ]
}

fn ends() -> Vec<Row> {
    let what = "Link";
    vec![
        row(6, what, "The two ends of a session have different keys", "", || {
            let hub = hub("--open");
            let key = || {
                let key = connect("--mint-key").run().expect_success().stdout.clone();
                TempPath::private("lab1.key", key)
            };
            let (one, other) = (key(), key());
            let run = origin(hub.address(), "lab1", &format!("--key-file {} 127.0.0.1 9", one.display()));
            let url = format!("relay+ws://{}/lab1", hub.address());
            let out = connect(format!("-x {url} --key-file {}", other.display())).run();
            drop(run);
            drop(hub);
            Message::from_outcome(&out)
        }),
        row(8, what, "A lost connection to the hub is not replaced in time", "", || killed("--resume 1")),
        row(8, what, "The connection to the hub is lost, with `--resume 0`", "", || killed("--resume 0")),
        row(8, what, "The target of an origin cuts its connection off", "", || {
            let hub = hub("--open");
            let target = script().expect("x").reset().serve();
            let run = origin(hub.address(), "lab1", &target.args());
            let out = connect(format!("-x relay+ws://{}/lab1", hub.address())).input("x").run();
            target.finish();
            drop(run);
            drop(hub);
            Message::from_outcome(&out)
        }),
    ]
}

/// Kills the hub of a session.
fn killed(args: &str) -> Message {
    let hub = hub("--open");
    let target = Server::repeat(|| script().send("banner").hold());
    let run = origin(hub.address(), "lab1", &target.args());
    let at = hub.address();
    let mut client = connect(format!("{args} -x relay+ws://{at}/lab1")).start();
    client.wait_stdout_has("banner");
    hub.run.signal(rustix::process::Signal::KILL);
    let out = client.wait();
    drop(run);
    drop(target);
    let message = Message::from_outcome(&out).naming(at, "hub.example:80");
    // The cause of the last attempt depends on the time.
    let text = match message.text.split_once(" in 1 second") {
        Some((start, _)) => format!("{start} in 1 second: the last attempt's cause\n"),
        None => message.text,
    };
    Message { text, ..message }
}

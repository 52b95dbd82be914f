//! WebSocket servers that refuse, and connections that they end.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Message, Row, row};
use crate::kit::*;
use crate::websocket::server::{WsServer, accept_fields, read_head};

/// Returns a row whose server runs a script with the head of the request.
fn server(
    code: i32,
    variant: &'static str,
    situation: &'static str,
    advice: &'static str,
    args: &'static str,
    script: fn(&mut TcpStream, &str),
) -> Row {
    row(code, variant, situation, advice, move || {
        let server = WsServer::raw(move |mut stream| {
            let head = read_head(&mut stream);
            script(&mut stream, &head);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let at = format!("127.0.0.1:{}", server.port());
        let token = TempPath::private("token", "0123456789abcdef\n");
        let args = args.replace("FILE", &token.display().to_string());
        let out = connect(format!("{args} -x ws://{at}/tunnel host.example 22")).run();
        server.finish();
        Message::from_outcome(&out).naming(at, "ws.example:80")
    })
}

/// Returns a row whose server answers with this response.
fn response(
    code: i32,
    variant: &'static str,
    situation: &'static str,
    advice: &'static str,
    script: fn(&mut TcpStream, &str),
) -> Row {
    server(code, variant, situation, advice, "", script)
}

fn reply(stream: &mut TcpStream, status: &str, body: &str) {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
}

fn switch(stream: &mut TcpStream, fields: &str) {
    write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n").unwrap();
}

/// Accepts the request, sends these frames, and closes the connection.
fn frames(stream: &mut TcpStream, head: &str, frames: &[u8]) {
    switch(stream, &accept_fields(head));
    stream.write_all(frames).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
}

pub(super) fn rows() -> Vec<Row> {
    [refusals(), upgrades(), ends(), tokens()].into_iter().flatten().collect()
}

fn refusals() -> Vec<Row> {
    vec![
        response(5, "NotHttp", "The WebSocket server is an ssh server", "", |stream, _| {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        }),
        response(
            5,
            "NoWebSocket",
            "A web page or a login page answers the WebSocket request",
            "",
            |stream, _| {
                let page = "<html><title>Log in</title>";
                reply(stream, "200 OK\r\nContent-Type: text/html", page);
            },
        ),
        response(5, "NoWebSocket", "The WebSocket server does not know the path", "", |stream, _| {
            reply(stream, "404 Not Found", "");
        }),
        response(
            5,
            "NotHttp",
            "The WebSocket server sends a TLS alert, because it expects TLS",
            "",
            |stream, _| {
                stream.write_all(b"\x15\x03\x03\0\x02\x02\x28").unwrap();
            },
        ),
        response(5, "MalformedHttp", "The WebSocket server answers with malformed HTTP", "", |stream, _| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n").unwrap();
        }),
        response(
            5,
            "NoWebSocket",
            "The WebSocket server does not receive the Upgrade field",
            "Many proxies pass on only the fields that HTTP/1.1 requires. They cannot see into `wss://`.",
            |stream, _| reply(stream, "426 Upgrade Required", ""),
        ),
        response(5, "NoWebSocket", "The WebSocket server cannot reach its target", "", |stream, _| {
            reply(stream, "502 Bad Gateway", "connection refused\n");
        }),
        response(5, "NoWebSocket", "The WebSocket server expects TLS", "", |stream, _| {
            let text = "The plain HTTP request was sent to HTTPS port";
            reply(stream, "400 Bad Request", text);
        }),
        response(6, "Token", "The WebSocket server requires a token", "", |stream, _| {
            reply(stream, "401 Unauthorized", "");
        }),
        server(6, "Token", "The WebSocket server rejects the token", "", "--token-file FILE", |stream, _| {
            reply(stream, "401 Unauthorized", "token expired at 2026-01-01T00:00:00Z");
        }),
        response(5, "Closed", "The WebSocket server closes the connection", "", |stream, _| {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }),
        response(5, "Closed", "The WebSocket server closes the connection mid-response", "", |stream, _| {
            stream.write_all(b"HTTP/1.1 101 ").unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }),
    ]
}

fn upgrades() -> Vec<Row> {
    let what = "BadUpgrade";
    vec![
        response(5, what, "A proxy removes the Upgrade field from the response", "", |stream, head| {
            switch(stream, &accept_fields(head).replace("Upgrade: websocket\r\n", ""));
        }),
        response(5, what, "The response is for another WebSocket request", "", |stream, head| {
            switch(stream, &accept_fields(head).replace("Accept: ", "Accept: x"));
        }),
        response(5, what, "The WebSocket server selects an extension", "", |stream, head| {
            switch(
                stream,
                &format!("{}Sec-WebSocket-Extensions: permessage-deflate\r\n", accept_fields(head)),
            );
        }),
        response(5, what, "The WebSocket server selects a subprotocol", "", |stream, head| {
            switch(stream, &format!("{}Sec-WebSocket-Protocol: chat\r\n", accept_fields(head)));
        }),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        response(6, "Remote", "The token expires while the WebSocket is open", "", |stream, head| {
            frames(stream, head, b"\x88\x27\x11\x31token expired at 2026-01-01T00:00:00Z");
        }),
        response(8, "Remote", "The WebSocket server reports an error", "", |stream, head| {
            frames(stream, head, b"\x88\x18\x03\xf3the target was cut off");
        }),
        response(8, "Remote", "The WebSocket connection is cut off", "", |stream, head| {
            frames(stream, head, b"");
        }),
        response(8, "Remote", "The WebSocket server sends a malformed frame", "", |stream, head| {
            frames(stream, head, b"\xc2\x01x");
        }),
    ]
}

fn tokens() -> Vec<Row> {
    let args = |situation: &'static str, args: &'static str, advice: &'static str| {
        row(2, "Config", situation, advice, move || {
            let token = TempPath::private("token", "not a token\n");
            let args = args.replace("FILE", &token.display().to_string());
            Message::from_outcome(&connect(format!("{args} host.example 22")).run())
                .naming(token.display(), "/home/me/token")
        })
    };
    vec![
        args("Token in a URL", "-x wss://ws.example/#token=abc", ""),
        args("The token file does not exist", "--token-file /nonexistent -x wss://ws.example/", ""),
        args("The token file contains something else", "--token-file FILE -x wss://ws.example/", ""),
        args(
            "The token from standard input, which carries the session",
            "--token-file - -x wss://ws.example/",
            "",
        ),
    ]
}

//! Errors about POST tunnels.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::{Message, Row, row};
use crate::kit::*;

/// Returns a row with this command line.
fn args(variant: &'static str, situation: &'static str, args: &'static str) -> Row {
    row(2, variant, situation, "", move || Message::from_outcome(&connect(args).run()))
}

/// Returns a row whose server answers the first request with this status and body.
fn answer(
    code: i32,
    variant: &'static str,
    situation: &'static str,
    advice: &'static str,
    args: &'static str,
    response: String,
) -> Row {
    row(code, variant, situation, advice, move || {
        let (at, server) = serve(vec![response.clone()]);
        let token = TempPath::private("token", "0123456789abcdef\n");
        let args = args.replace("FILE", &token.display().to_string());
        let out = connect(format!("{args} -x post+http://{at}/tunnel host.example 22")).run();
        server.join().unwrap();
        Message::from_outcome(&out).naming(at, "www.example:80")
    })
}

/// Answers the requests on one connection. Returns the address.
fn serve(responses: Vec<String>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for response in responses {
            read_request(&mut stream);
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    (at, server)
}

/// Reads the head and the body of a request.
fn read_request(stream: &mut TcpStream) {
    let mut received = Vec::new();
    let is_complete = |received: &[u8]| {
        let end = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
        (received.len() - end >= length.parse::<usize>().unwrap()).then_some(())
    };
    while is_complete(&received).is_none() {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", received.escape_ascii());
        received.extend_from_slice(&buffer[..count]);
    }
}

/// Returns a response with a body.
fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Returns the answer with which a server resets a tunnel.
fn reset(code: u8, text: &str) -> String {
    let head = "\u{1}\u{4}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let body = format!("{head}\0{}{text}", char::from(code));
    response("200 OK", "application/octet-stream", &body)
}

pub(super) fn rows() -> Vec<Row> {
    [usage(), other_servers(), refusals(), ends()].into_iter().flatten().collect()
}

/// Servers of another kind.
fn other_servers() -> Vec<Row> {
    vec![
        answer(
            5,
            "NotHttp",
            "The server of a POST tunnel sends a TLS alert, because it expects TLS",
            "",
            "",
            "\x15\x03\x03\0\x02\x02\x28".into(),
        ),
        answer(
            5,
            "NotHttp",
            "The server of a POST tunnel is an ssh server",
            "",
            "",
            "SSH-2.0-OpenSSH_9.2\r\n".into(),
        ),
    ]
}

fn refusals() -> Vec<Row> {
    let page = response("200 OK", "text/html", "<title>Log in</title>");
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n".into();
    let text = |status, text| response(status, "text/plain", text);
    vec![
        answer(5, "Post", "A web page or a login page answers instead of a POST tunnel", "", "", page),
        answer(
            5,
            "Post",
            "A redirect answers instead of a POST tunnel",
            "Redirects are not followed.",
            "",
            moved,
        ),
        answer(5, "Post", "The server has no POST tunnel at the path", "", "", text("404 Not Found", "")),
        answer(
            5,
            "Post",
            "The server refuses the POST tunnel",
            "",
            "",
            text("403 Forbidden", "connect: token denied\n"),
        ),
        answer(
            8,
            "Post",
            "The server cannot parse a request of a POST tunnel",
            "",
            "",
            text("400 Bad Request", ""),
        ),
        answer(
            8,
            "Post",
            "The web server of a POST tunnel expects TLS",
            "",
            "",
            response(
                "400 Bad Request",
                "text/html",
                "<title>400 The plain HTTP request was sent to HTTPS port</title>",
            ),
        ),
        answer(
            5,
            "Post",
            "Too many tunnels are open with the token",
            "The `max` claim of the token limits their number. `connect` tries again for 5 seconds.",
            "--resume 0",
            text("429 Too Many Requests", "connect: limit of 1 connection at a time with this token\n"),
        ),
        answer(
            4,
            "Post",
            "The server of a POST tunnel cannot reach its target",
            "",
            "",
            reset(2, "localhost:22: Connection refused"),
        ),
        answer(5, "Post", "The server of a POST tunnel has too many tunnels", "", "", reset(3, "")),
        answer(5, "Post", "The policy of the server forbids the POST tunnel", "", "", reset(1, "")),
        answer(8, "Post", "The server of a POST tunnel is shutting down", "", "", reset(6, "")),
        answer(4, "Post", "The server of a POST tunnel does not answer", "", "--resume 0", String::new()),
        answer(
            4,
            "Post",
            "The web server does not reach the server of a POST tunnel",
            "",
            "--resume 0",
            text("502 Bad Gateway", ""),
        ),
        answer(
            6,
            "Token",
            "The server of a POST tunnel requires a token",
            "",
            "",
            text("401 Unauthorized", "connect: token missing\n"),
        ),
        answer(
            6,
            "Token",
            "The server of a POST tunnel rejects the token",
            "",
            "--token-file FILE",
            text("401 Unauthorized", "connect: token expired at 2026-01-01T00:00:00Z\n"),
        ),
    ]
}

/// Sessions that end with an error after the tunnel was open.
fn ends() -> Vec<Row> {
    let opened = "\u{1}\u{1}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let opened = move || response("200 OK", "application/octet-stream", opened);
    let then = move |code, situation, advice, answer: String| {
        row(code, "Remote", situation, advice, move || {
            let (at, server) = serve(vec![opened(), answer.clone()]);
            let out = connect(format!("-x post+http://{at}/tunnel host.example 22")).start().wait();
            server.join().unwrap();
            Message::from_outcome(&out).naming(at, "www.example:80")
        })
    };
    vec![
        then(
            8,
            "The server of a POST tunnel was restarted, or the tunnel has expired",
            "A new session must be started: the server has reset the connection to the target.",
            response("404 Not Found", "text/plain", ""),
        ),
        then(
            6,
            "The token of a POST tunnel expires during the session, and its file contains no other",
            "With a new token in the file, the session would continue.",
            response("401 Unauthorized", "text/plain", "token expired at 2026-01-01T00:00:00Z"),
        ),
        row(8, "Remote", "The server of a POST tunnel stops answering", "", move || {
            let (at, server) = serve(vec![opened()]);
            let args = format!("--resume 2 -x post+http://{at}/tunnel host.example 22");
            let mut running = connect(args).start();
            server.join().unwrap();
            Message::from_outcome(&running.wait()).naming(at, "www.example:80")
        }),
        then(8, "The target of a POST tunnel was cut off", "", reset(4, "Connection reset by peer")),
        then(7, "The server of a POST tunnel ends it because it was idle", "", reset(7, "")),
        then(8, "The server of a POST tunnel reports a protocol error", "", reset(5, "")),
    ]
}

fn usage() -> Vec<Row> {
    vec![
        args("Usage", "`--resume` without a POST tunnel", "--resume 10 host.example 22"),
        args(
            "Usage",
            "A listener for POST tunnels without a check of tokens",
            "--listen scgi://127.0.0.1:9001/tunnel localhost 22",
        ),
        args(
            "Usage",
            "A listener for POST tunnels and another kind of listener",
            "--listen scgi://127.0.0.1:9001/tunnel --listen 2222 --open localhost 22",
        ),
        args(
            "Usage",
            "An option without effect on POST tunnels",
            "--listen scgi://127.0.0.1:9001/tunnel --open --allow-to host.example localhost 22",
        ),
        args(
            "Config",
            "A listener for POST tunnels with an invalid path",
            "--listen scgi:unix:/run/tunnel?path=tunnel --open localhost 22",
        ),
        args(
            "Config",
            "A UNIX-domain socket for HTTP",
            "--listen post+http://unix:/run/tunnel --open localhost 22",
        ),
    ]
}

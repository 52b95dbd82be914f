//! Tunnels over WebSocket with the real program.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use server::{WsServer, accept_fields, read_bytes, read_head, read_to_close};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Error, Message};

use crate::kit::*;
#[cfg(unix)]
use crate::waiting::Screen;

mod listener;
pub(crate) mod server;

/// The field with which a server announces that it takes Close as the EOF of one direction.
const HALF_CLOSE: &str = "Connect-Half-Close: 1\r\n";

fn through(port: u16, path: &str) -> Program {
    connect(format!("-x ws://127.0.0.1:{port}{path} host.example 22"))
}

fn close(socket: &mut WebSocket<TcpStream>, code: CloseCode, reason: &'static str) {
    socket.close(Some(CloseFrame { code, reason: reason.into() })).unwrap();
    // Let the client answer, and close the connection first.
    while socket.read().is_ok() {}
}

#[test]
fn bytes_pass_in_both_directions() {
    let server = WsServer::start(HALF_CLOSE, |mut socket, head| {
        let received = read_to_close(&mut socket);
        (received, head)
    });
    let port = server.port();
    let running = through(port, "/").input("ping").start();
    let (received, head) = server.finish();
    assert_eq!(received, b"ping");
    running.finish();
    let lines: Vec<_> = head.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    let expected =
        ["GET / HTTP/1.1", "Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", ""];
    assert_eq!(lines, expected, "no Origin and no extensions");
    assert!(head.contains(&format!("Host: 127.0.0.1:{port}\r\n")), "{head}");
}

#[test]
fn the_server_decides_whether_an_end_without_data_is_normal() {
    for (code, frame, message) in [
        (0, &b"\x88\x02\x03\xe8"[..], "closed before the target sent anything"),
        (8, b"\x88\x02\x03\xe9", "WebSocket closed with code 1001 (going away)"),
        (8, b"", "WebSocket connection closed without a Close frame"),
    ] {
        let server = WsServer::start("", move |mut socket, _| {
            socket.get_mut().write_all(frame).unwrap();
            if !frame.is_empty() {
                // The client answers the Close.
                socket.get_mut().read_exact(&mut [0; 8]).unwrap();
            }
        });
        let mut client = through(server.port(), "/").start();
        let out = client.wait();
        assert!(out.code == Some(code) && out.stderr_text().contains(message), "{}", out.stderr_text());
        server.finish();
    }
}

#[test]
fn path_and_query_name_the_target() {
    for (path, target, expected) in [
        ("/%h/%p?x=%2f#eof=close", "host.example 22", "GET /host.example/22?x=%2f HTTP/1.1"),
        ("?h=%h", "[2001:db8::1]:443", "GET /?h=2001%3Adb8%3A%3A1 HTTP/1.1"),
    ] {
        let server = WsServer::start("", |mut socket, head| {
            close(&mut socket, CloseCode::Normal, "");
            head
        });
        let run = connect(format!("-x ws://127.0.0.1:{}{path} {target}", server.port())).run();
        run.expect_success();
        assert_eq!(server.finish().lines().next(), Some(expected));
    }
}

/// Returns the header and the claims of the token with which wstunnel's client names the target.
fn wstunnel_token(head: &str) -> [serde_json::Value; 2] {
    let offered = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: ")).unwrap();
    let token = offered.strip_prefix("v1, authorization.bearer.").unwrap();
    let parts: Vec<_> = token.split('.').collect();
    assert!(parts.len() == 3 && BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len() == 32, "{token}");
    [parts[0], parts[1]]
        .map(|part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
}

/// The exchange of wstunnel 10 over HTTP/1.1, with the server's side played here.
#[test]
fn the_dialect_of_wstunnel_reaches_the_target_in_both_directions() {
    let (up, down) = (bytes(1, 300_000), bytes(2, 300_000));
    let (expected, sent) = (up.clone(), down.clone());
    let server = WsServer::start("Sec-WebSocket-Protocol: v1\r\n", move |mut socket, head| {
        // The target speaks first, in unmasked frames, of which some are parts of a message.
        socket.get_mut().write_all(b"\x02\x04SSH-\x89\x01?\x80\x042.0-").unwrap();
        assert_eq!(read_bytes(&mut socket, expected.len()), expected);
        socket.send(Message::binary(sent)).unwrap();
        close(&mut socket, CloseCode::Normal, "");
        head
    });
    let url = format!("ws://127.0.0.1:{}/prefix#dialect=wstunnel", server.port());
    let out = connect(format!("-x {url} host.example 22")).input(up).run();
    out.expect_success().expect_stdout([b"SSH-2.0-", &*down].concat());
    let head = server.finish();
    assert!(head.starts_with("GET /prefix/events HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains("Authorization:") && !head.contains("Origin:"), "{head}");
    let [header, claims] = wstunnel_token(&head);
    assert_eq!(header, serde_json::json!({"alg": "HS256", "typ": "JWT"}));
    let id = claims["id"].as_str().unwrap();
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
    let target =
        serde_json::json!({"id": id, "p": {"Tcp": {"proxy_protocol": false}}, "r": "host.example", "rp": 22});
    assert_eq!(claims, target);
    connect(format!("-x {url}")).run().expect_failure(2, &["missing host"]);
}

#[test]
fn a_server_that_is_not_wstunnel_is_recognized_by_its_subprotocol() {
    let server = WsServer::start("Sec-WebSocket-Protocol: v2\r\n", |_, _| ());
    let url = format!("ws://127.0.0.1:{}/#dialect=wstunnel", server.port());
    connect(format!("-x {url} host.example 22")).run().expect_failure(5, &["subprotocol"]);
    server.finish();
}

#[test]
fn a_target_that_the_server_selects_may_be_left_out() {
    for (path, target, expected) in
        [("/tunnel", "", "GET /tunnel HTTP/1.1"), ("/?h=%h", "sink", "GET /?h=sink HTTP/1.1")]
    {
        let server = WsServer::start("", |mut socket, head| {
            close(&mut socket, CloseCode::Normal, "");
            head
        });
        connect(format!("-x ws://127.0.0.1:{}{path} {target}", server.port())).run().expect_success();
        assert_eq!(server.finish().lines().next(), Some(expected));
    }
    for (args, part) in [
        ("-x ws://127.0.0.1/%h", "missing host"),
        ("-x ws://127.0.0.1/%p", "missing host"),
        ("-x ws://127.0.0.1/%p sink", "missing port for sink"),
        ("-x ws://127.0.0.1/|direct sink", "missing port for sink"),
        ("-x ws://127.0.0.1/,socks5://127.0.0.1", "missing host"),
        ("-x socks5://127.0.0.1 sink", "missing port for sink"),
        ("--tls-target -x ws://127.0.0.1/", "no TLS server name for the target"),
    ] {
        connect(args).run().expect_failure(2, &[part]);
    }
}

/// The server's Close ends the session, with or without half-close.
#[test]
fn frames_that_arrive_with_the_response_are_relayed() {
    for fields in ["", HALF_CLOSE] {
        let server = WsServer::raw(move |mut stream| {
            let head = read_head(&mut stream);
            let response =
                format!("HTTP/1.1 101 Switching Protocols\r\n{fields}{}\r\n", accept_fields(&head));
            let frames = b"\x82\x08SSH-2.0-\x01\x04frag\x80\x01!\x88\x02\x03\xe8";
            stream.write_all(&[response.as_bytes(), frames].concat()).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer
        });
        let running = through(server.port(), "/").start();
        running.wait_stdout_has("SSH-2.0-frag!");
        let answer = server.finish();
        // The answer is a masked Close with the same code.
        assert_eq!((answer.len(), &answer[..2]), (8, &b"\x88\x82"[..]));
        assert_eq!([answer[6] ^ answer[2], answer[7] ^ answer[3]], [0x03, 0xe8]);
        running.finish().expect_success();
    }
}

#[test]
fn the_end_of_the_input_reaches_a_server_with_half_close_and_its_answer_still_comes() {
    for (fields, path) in [(HALF_CLOSE, "/"), ("", "/#eof=close")] {
        let server = WsServer::raw(move |mut stream| {
            let head = read_head(&mut stream);
            write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{fields}{}\r\n", accept_fields(&head))
                .unwrap();
            let mut request = [0; 4 + 6 + 8];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request[10..12], *b"\x88\x82", "Close follows the data");
            thread::sleep(Duration::from_millis(200));
            stream.write_all(b"\x82\x06answer\x88\x00").unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            rest
        });
        through(server.port(), path).input("ping").run().expect_success().expect_stdout("answer");
        assert_eq!(server.finish(), b"", "one Close");
    }
}

#[test]
fn a_server_without_half_close_does_not_see_the_end_of_the_input() {
    let server = WsServer::start("", |mut socket, _| {
        assert_eq!(read_bytes(&mut socket, 4), b"ping");
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let nothing = socket.read().unwrap_err();
        socket.get_ref().set_read_timeout(Some(TIMEOUT)).unwrap();
        socket.send(Message::binary(b"answer".to_vec())).unwrap();
        close(&mut socket, CloseCode::Normal, "");
        nothing
    });
    through(server.port(), "/").input("ping").run().expect_success().expect_stdout("answer");
    assert!(matches!(server.finish(), Error::Io(_)), "no Close");
}

/// The user would otherwise take the session for stuck.
#[test]
#[cfg(unix)]
fn an_input_end_that_the_server_does_not_see_is_reported_on_a_terminal() {
    for (fields, options, is_reported) in [("", "", true), ("", "-q", false), (HALF_CLOSE, "", false)] {
        let gate = Gate::new();
        let opened = gate.clone();
        let server = WsServer::start(fields, move |mut socket, _| {
            socket.send(Message::binary(b"answer".to_vec())).unwrap();
            opened.wait();
            close(&mut socket, CloseCode::Normal, "");
        });
        let pty = Pty::with_columns(200);
        let url = format!("ws://127.0.0.1:{}/", server.port());
        let program = connect(format!("{options} -x {url} host.example 22")).input("ping");
        let running = program.stderr(pty.slave()).start();
        running.wait_stdout_has("answer");
        let mut screen = Screen::new(&pty);
        if is_reported {
            screen.wait_has("standard input has ended; waiting for WebSocket proxy");
        } else {
            thread::sleep(Duration::from_millis(1500));
        }
        gate.open();
        running.finish().expect_code(0);
        let (lines, _) = screen.finish();
        assert_eq!(lines.len(), usize::from(is_reported), "{lines:?}");
        server.finish();
    }
}

#[test]
fn large_transfers_arrive_intact() {
    let (up, down) = (bytes(1, 5_000_000), bytes(2, 7_000_000));
    let sent = down.clone();
    let server = WsServer::start(HALF_CLOSE, move |mut socket, _| {
        for part in sent.chunks(100_000) {
            socket.send(Message::binary(part.to_vec())).unwrap();
            socket.send(Message::Ping(b"?".to_vec().into())).unwrap();
        }
        read_to_close(&mut socket)
    });
    let running = through(server.port(), "/").input(up.clone()).start();
    assert!(server.finish() == up);
    running.finish().expect_stdout(down);
}

#[test]
#[cfg(target_os = "linux")]
fn a_frame_larger_than_our_memory_passes() {
    const SIZE: usize = 48 << 20;
    let server = WsServer::raw(|mut stream| {
        let head = read_head(&mut stream);
        write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{}\r\n", accept_fields(&head)).unwrap();
        stream.write_all(b"\x82\x7f\0\0\0\0\x03\0\0\0").unwrap();
        let part = vec![b'x'; 1 << 20];
        (0..SIZE / part.len()).for_each(|_| stream.write_all(&part).unwrap());
        // Keep the program running while its memory is measured.
        let mut answer = [0; 1];
        stream.read_exact(&mut answer).unwrap();
        stream.write_all(b"\x88\x00").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut running = through(server.port(), "/").start();
    assert_eq!(running.wait_stdout(SIZE).len(), SIZE);
    let memory = running.peak_memory();
    assert!(memory < 12 << 20, "{memory} bytes");
    running.send("x");
    running.finish().expect_success();
    server.finish();
}

#[test]
fn an_incomplete_stream_is_an_error() {
    for (ending, part) in [
        (&b"\x88\x02\x03\xf3"[..], "WebSocket closed with code 1011 (internal error)"),
        (b"\x88\x0a\x03\xf3\x1b target", r"code 1011 (internal error): \x1b target"),
        (b"\x88\x02\x03\xe9", "WebSocket closed with code 1001 (going away)"),
        (b"", "WebSocket connection closed without a Close frame"),
        (b"\x82\x05part", "WebSocket connection closed without a Close frame"),
        (b"\x82\x7e\x00\x01x", "malformed WebSocket frame: invalid length"),
        (b"\x8b\x00", "malformed WebSocket frame: unknown opcode 11"),
        (b"\x82\x81\0\0\0\0x", "malformed WebSocket frame: masked frame from a server"),
    ] {
        let server = WsServer::raw(move |mut stream| {
            let head = read_head(&mut stream);
            let response = format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", accept_fields(&head));
            stream.write_all(&[response.as_bytes(), b"\x82\x04data", ending].concat()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let run = through(server.port(), "/").run();
        run.expect_failure(8, &[part]);
        assert!(run.stdout.starts_with(b"data"));
        server.finish();
    }
}

/// Runs the program against a server that answers the request with this response.
fn refused(response: &'static str) -> Outcome {
    let server = WsServer::raw(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(response.as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let run = through(server.port(), "/").run();
    server.finish();
    run
}

#[test]
fn a_refusal_names_its_cause() {
    let page =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 26\r\n\r\n<html><title>Log in</title>";
    refused(page).expect_failure(5, &["did not open a WebSocket: 200 OK: Log in", "log in with a browser"]);
    let moved = "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    refused(moved).expect_failure(5, &["301 Moved (to http://127.0.0.1:1/)"]);
    refused("HTTP/1.1 401 \r\nContent-Length: 0\r\n\r\n").expect_failure(6, &["requires a token"]);
    refused("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        .expect_failure(5, &["404 Not Found", "path"]);
    let upgrade = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
    refused(upgrade).expect_failure(5, &["426", "a proxy on the way may remove the Upgrade field"]);
    let wrong =
        "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    refused(wrong).expect_failure(5, &["wrong Sec-WebSocket-Accept"]);
    refused("HTTP/1.1 101 OK\r\n\r\n").expect_failure(5, &["missing 'Upgrade: websocket'"]);
    refused("SSH-2.0-x\r\n").expect_failure(5, &["did not answer with HTTP"]);
}

#[test]
fn a_silent_server_gets_a_ping() {
    let server = WsServer::start(HALF_CLOSE, |mut socket, _| {
        let first = socket.read().unwrap();
        socket.send(Message::binary(b"banner".to_vec())).unwrap();
        close(&mut socket, CloseCode::Normal, "");
        first
    });
    let running =
        connect(format!("--keepalive 1 -x ws://127.0.0.1:{}/ host.example 22", server.port())).start();
    assert_eq!(server.finish(), Message::Ping(tungstenite::Bytes::new()));
    running.finish().expect_success().expect_stdout("banner");
}

#[test]
fn the_token_is_sent_to_the_last_server_and_never_shown() {
    const TOKEN: &str = "hunter2-opensesame-0123456789";
    let file = TempPath::private("token", format!("{TOKEN}\r\nignored"));
    let server = || {
        WsServer::start("", |mut socket, head| {
            close(&mut socket, CloseCode::Normal, "");
            head
        })
    };
    let field = format!("Authorization: Bearer {TOKEN}\r\n");
    for by_url in [true, false] {
        let server = server();
        let path = file.display();
        let (option, fragment) = if by_url {
            (String::new(), format!("#token-file={path}"))
        } else {
            (format!("--token-file {path}"), String::new())
        };
        let run =
            connect(format!("-dd {option} -x ws://127.0.0.1:{}/{fragment} host.example 22", server.port()))
                .run();
        run.expect_code(0).expect_stderr_lacks("hunter2").expect_stderr_has("Authorization: Bearer ");
        assert!(server.finish().contains(&field));
    }
    let server = WsServer::raw(|mut stream| {
        read_head(&mut stream);
        let text = format!("the token {TOKEN} is not known");
        write!(stream, "HTTP/1.1 401 No\r\nContent-Length: {}\r\n\r\n{text}", text.len()).unwrap();
    });
    let run = through(server.port(), "/").env("CONNECT_TOKEN", TOKEN).run();
    run.expect_failure(6, &["rejected the token: No: the token xxxxx", "get a new token"]);
    run.expect_stderr_lacks("hunter2");
}

#[test]
fn an_invalid_url_is_a_usage_error() {
    for (args, part) in [
        ("-x ws://me:hunter2@127.0.0.1/ host 22", "--token-file"),
        ("-x ws://127.0.0.1/%x host 22", "invalid '%' in the path"),
        ("-x ws://127.0.0.1/#token=hunter2 host 22", "a token in a URL can be read by others"),
        ("-x ws://127.0.0.1/#eof=open host 22", "invalid eof= value"),
        ("-F -x ws://127.0.0.1/ host 22", "-F cannot be combined with a WebSocket proxy"),
    ] {
        connect(args).run().expect_failure(2, &[part]).expect_stderr_lacks("hunter2");
    }
}

#[test]
fn a_websocket_may_be_anywhere_in_a_chain() {
    let server = WsServer::start("", |mut socket, head| {
        assert_eq!(read_bytes(&mut socket, 4), b"ping");
        socket.send(Message::binary(b"pong".to_vec())).unwrap();
        close(&mut socket, CloseCode::Normal, "");
        head
    });
    // After an HTTP proxy.
    let tunnel = "HTTP/1.1 200 OK\r\n\r\n";
    let to = format!("127.0.0.1:{}", server.port());
    let proxy = script().read_connect_request().send(tunnel).relay_to(&to).serve();
    let ws = format!("ws://{to}/?to=%h:%p");
    connect(format!("-x http://{proxy},{ws} host.example 22"))
        .input("ping")
        .run()
        .expect_success()
        .expect_stdout("pong");
    assert!(server.finish().starts_with("GET /?to=host.example:22 "));

    // Before a SOCKS4 proxy: its address is the destination of the WebSocket.
    let server = WsServer::start("", |mut socket, head| {
        let request = read_bytes(&mut socket, 9 + 13);
        assert!(request.starts_with(b"\x04\x01\x00\x16\0\0\0\x01") && request.ends_with(b"host.example\0"));
        socket.send(Message::binary(b"\0\x5a\0\0\0\0\0\0banner".to_vec())).unwrap();
        close(&mut socket, CloseCode::Normal, "");
        head
    });
    let ws = format!("ws://127.0.0.1:{}/%h/%p", server.port());
    connect(format!("-x {ws},socks4a://192.0.2.1:1080 host.example 22"))
        .env("SOCKS4_USER", "")
        .run()
        .expect_success()
        .expect_stdout("banner");
    assert!(server.finish().starts_with("GET /192.0.2.1/1080 "));
}

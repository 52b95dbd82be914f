//! A WebSocket server on loopback, with the frames of tungstenite.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use base64::prelude::{BASE64_STANDARD, Engine};
use sha1::{Digest, Sha1};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::kit::TIMEOUT;

/// A server for one connection. `T` is the result of its script.
pub(crate) struct WsServer<T> {
    port: u16,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> WsServer<T> {
    /// Starts a server that accepts the handshake with these additional header fields, and then
    /// runs a script with the head of the request.
    pub(crate) fn start(
        fields: &'static str,
        script: impl FnOnce(WebSocket<TcpStream>, String) -> T + Send + 'static,
    ) -> Self {
        Self::raw(move |mut stream| {
            let head = read_head(&mut stream);
            write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{fields}{}\r\n", accept_fields(&head))
                .unwrap();
            script(WebSocket::from_raw_socket(stream, Role::Server, None), head)
        })
    }

    /// Starts a server that runs a script with the connection.
    pub(crate) fn raw(script: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            stream.set_write_timeout(Some(TIMEOUT)).unwrap();
            script(stream)
        };
        Self { port, thread: thread::spawn(serve) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the script, and returns its result. Fails the test if the script failed.
    #[track_caller]
    pub(crate) fn finish(self) -> T {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Reads up to the empty line.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Returns the fields of a response that accepts this request.
pub(crate) fn accept_fields(head: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = BASE64_STANDARD.encode(hash);
    format!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n")
}

/// Reads messages up to the client's Close. Returns their bytes.
pub(crate) fn read_to_close(socket: &mut WebSocket<TcpStream>) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        match socket.read().unwrap() {
            Message::Binary(data) => received.extend_from_slice(&data),
            Message::Close(_) => return received,
            other => assert!(matches!(other, Message::Pong(_)), "{other:?}"),
        }
    }
}

/// Reads messages until this many bytes have arrived.
pub(crate) fn read_bytes(socket: &mut WebSocket<TcpStream>, count: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < count {
        match socket.read().unwrap() {
            Message::Binary(data) => received.extend_from_slice(&data),
            Message::Pong(_) => {}
            other => panic!("{other:?} after {} bytes", received.len()),
        }
    }
    received
}

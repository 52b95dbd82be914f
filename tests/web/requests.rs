//! Requests of a POST tunnel as any program can send them: repeated, overlapping and invalid ones.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::context::{Case, Context, Topic};
use crate::daemon::free_port;
use crate::kit::TIMEOUT;
use crate::servers::{LIGHTTPD, NGINX, POST};
use crate::sessions::{Listener, target};

const OPEN: u8 = 1;
const EOF: u8 = 2;
const POLL: u8 = 8;

/// The length of an answer without data.
const ANSWER_HEAD: usize = 20;

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("requests");
    topic.ours("repeated and overlapping data reaches the target once", repeated_data);
    topic.ours("a repeated POLL is answered with the same data", repeated_poll);
    for (endpoint, name) in [(POST, "listener"), (LIGHTTPD, "lighttpd"), (NGINX, "nginx")] {
        topic.ours(format!("{name}: a tunnel needs its key"), move |context| {
            let mut tunnel = Tunnel::new(&context.address(endpoint));
            assert_eq!(tunnel.send(OPEN, 0, 0, b"").0, 200);
            assert_eq!(tunnel.send(0, 0, 0, b"x").0, 200);
            tunnel.key[0] ^= 1;
            assert_eq!(tunnel.send(0, 1, 0, b"y").0, 404);
            assert_eq!(tunnel.send(OPEN, 0, 0, b"").0, 404);
        });
        topic.ours(format!("{name}: an unknown tunnel is not opened"), move |context| {
            let tunnel = Tunnel::new(&context.address(endpoint));
            assert_eq!(tunnel.send(0, 0, 0, b"x").0, 404);
        });
        topic.ours(format!("{name}: a web page cannot send a request"), move |context| {
            let tunnel = Tunnel {
                fields: "Origin: http://evil.example\r\n".into(),
                ..Tunnel::new(&context.address(endpoint))
            };
            assert_eq!(tunnel.send(OPEN, 0, 0, b"").0, 403);
        });
        topic.ours(format!("{name}: a GET is refused"), move |context| {
            let tunnel = Tunnel { method: "GET", ..Tunnel::new(&context.address(endpoint)) };
            // lighttpd itself refuses a GET with a body.
            assert_eq!(tunnel.exchange(&[]).0, 405);
        });
        topic.ours(format!("{name}: a body of more than 1 MiB is refused"), move |context| {
            let tunnel = Tunnel::new(&context.address(endpoint));
            assert_eq!(tunnel.send(OPEN, 0, 0, &vec![0; 1024 * 1024 + 1]).0, 413);
        });
    }
    topic.into_cases()
}

/// A tunnel of a client that the case plays.
struct Tunnel {
    address: String,
    sid: String,
    key: [u8; 16],
    method: &'static str,
    /// Header fields, each with its line end.
    fields: String,
}

impl Tunnel {
    fn new(address: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let sid = format!("{:016x}{number:016x}", std::process::id());
        Self { address: address.to_owned(), sid, key: [7; 16], method: "POST", fields: String::new() }
    }

    /// Sends a request. Returns the status and the body of the answer.
    fn send(&self, flags: u8, up: u64, down: u64, data: &[u8]) -> (u16, Vec<u8>) {
        let opening: &[u8] = if flags & OPEN == 0 { &[] } else { &[0; 4] };
        // The server may hold a POLL for one second.
        let (wait, up, down) = (10u16.to_be_bytes(), up.to_be_bytes(), down.to_be_bytes());
        let body = [&[1, flags], &wait[..], &up, &down, &self.key, opening, data].concat();
        self.exchange(&body)
    }

    fn exchange(&self, body: &[u8]) -> (u16, Vec<u8>) {
        // The answer to HTTP/1.0 is never chunked.
        let head = format!(
            "{} /tunnel/{} HTTP/1.0\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n",
            self.method,
            self.sid,
            self.fields,
            body.len()
        );
        let mut server = TcpStream::connect(&self.address).unwrap();
        server.set_read_timeout(Some(TIMEOUT)).unwrap();
        // The server may refuse the request before it has read the body, and reset the connection.
        let _ = server.write_all(&[head.as_bytes(), body].concat());
        let mut answer = Vec::new();
        let _ = server.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let end =
            answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |end| end + 4);
        (status.unwrap_or_else(|| panic!("no status in {text:?}")), answer[end..].to_vec())
    }
}

/// The target receives each position of the stream once, and is connected once.
fn repeated_data(context: &Context) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let connections = Arc::new(AtomicUsize::new(0));
    let (target, _) = target({
        let (received, connections) = (Arc::clone(&received), Arc::clone(&connections));
        move |mut client, _| {
            connections.fetch_add(1, Ordering::Relaxed);
            let mut bytes = [0; 64];
            while let Ok(length @ 1..) = client.read(&mut bytes) {
                received.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..length]);
            }
            received.lock().unwrap_or_else(PoisonError::into_inner).push(b'$');
        }
    });
    let port = free_port();
    let _listener = Listener::start(context, "post+http", port, target);
    let tunnel = Tunnel::new(&format!("127.0.0.1:{port}"));
    for (flags, up, data) in [
        (OPEN, 0, "abc"),
        (OPEN, 0, "abc"),
        (0, 1, "bcd"),
        (0, 9, "after a gap"),
        (0, 4, "ef"),
        (0, 4, "ef"),
        (0, 0, "abc"),
        (EOF, 5, "fg"),
        (EOF, 5, "fg"),
    ] {
        let (status, body) = tunnel.send(flags, up, 0, data.as_bytes());
        assert_eq!(status, 200, "{flags} {up} {data}");
        assert!(body.len() >= ANSWER_HEAD && body[0] == 1, "{body:?}");
    }
    let start = Instant::now();
    let text = || String::from_utf8(received.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap();
    while !text().ends_with('$') && start.elapsed() < TIMEOUT {
        sleep(Duration::from_millis(10));
    }
    assert_eq!(text(), "abcdefg$");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// The server keeps the target's data until the client acknowledges it.
fn repeated_poll(context: &Context) {
    let (target, _) = target(|mut client, _| {
        client.write_all(b"greeting").unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    });
    let port = free_port();
    let _listener = Listener::start(context, "post+http", port, target);
    let tunnel = Tunnel::new(&format!("127.0.0.1:{port}"));
    assert_eq!(tunnel.send(OPEN, 0, 0, b"").0, 200);
    let data = |down| {
        let (status, body) = tunnel.send(POLL, 0, down, b"");
        assert_eq!(status, 200);
        String::from_utf8(body[ANSWER_HEAD..].to_vec()).unwrap()
    };
    // The greeting may arrive in two parts, so wait until the server has all of it.
    let start = Instant::now();
    while data(0) != "greeting" {
        assert!(start.elapsed() < TIMEOUT);
    }
    assert_eq!(data(0), "greeting");
    assert_eq!(data(5), "ing");
    assert_eq!(data(8), "");
}

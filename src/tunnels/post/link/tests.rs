//! Exchanges with servers that are slow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use zeroize::Zeroizing;

use super::*;
use crate::plan::{Dial, DialError};
use crate::proto::Redactor;
use crate::proto::post::{Client, Key, Resource, Settings, Sid};
use crate::sys::Channel;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n";

/// The time limit of the exchanges.
const fn limit() -> Duration {
    Duration::from_millis(500)
}

#[derive(Debug)]
struct NoDial;

impl Dial for NoDial {
    fn dial(&self) -> Result<Box<dyn Stream>, DialError> {
        unreachable!("the link has a connection")
    }
}

struct Idle;

impl Local for Idle {
    fn interest(&self) -> Interest {
        Interest::default()
    }

    fn advance(&mut self) -> bool {
        true
    }
}

/// Sends a request with a body of this length to a server. Returns the body of the answer, or the
/// cause of the failure.
fn exchange(length: usize, serve: fn(TcpStream)) -> Result<Vec<u8>, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    let settings = Settings {
        sid: Sid::new([1; 16]),
        key: Key::new([2; 16]),
        token: Zeroizing::default(),
        target: Vec::new(),
        resume: Duration::ZERO,
    };
    let resource = Resource { authority: "h".into(), path: "/t".into(), query: None };
    let (_outer, inner) = sys::channel_pair().unwrap();
    let client = Client::new(settings);
    let shared = Shared::new(client, Duration::ZERO, resource, Redactor::default(), Arc::new(NoDial), inner);
    let mut link = Link { timeout: limit(), ..Link::new(Some(Box::new(Channel::socket(stream)))) };
    let result = link.exchange(&shared, &vec![0; length], Duration::ZERO, &mut Idle);
    drop(link);
    server.join().unwrap();
    result.map(|response| response.body).map_err(|failed| failed.cause)
}

#[test]
fn an_answer_may_take_longer_than_the_limit_while_parts_of_it_arrive() {
    let body = exchange(10, |mut stream| {
        stream.write_all(HEAD).unwrap();
        for digit in b"0123456789" {
            thread::sleep(limit() / 5);
            stream.write_all(&[*digit]).unwrap();
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_eq!(body, Ok(b"0123456789".to_vec()));
}

#[test]
fn a_server_that_stops_in_the_middle_of_its_answer_has_failed() {
    let started = Instant::now();
    let body = exchange(10, |mut stream| {
        stream.write_all(HEAD).unwrap();
        stream.write_all(b"01234").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_eq!(body, Err("the server did not answer in time".into()));
    assert!(started.elapsed() >= limit());
}

/// Only Linux reports the bytes that the peer has not acknowledged.
#[test]
#[cfg(target_os = "linux")]
fn a_body_may_take_longer_than_the_limit_while_the_server_reads_it() {
    let started = Instant::now();
    let body = exchange(8 * 1024 * 1024, |mut stream| {
        let mut buffer = vec![0; 256 * 1024];
        let mut received = 0;
        while received < 8 * 1024 * 1024 {
            thread::sleep(limit() / 10);
            received += stream.read(&mut buffer).unwrap();
        }
        stream.write_all(&[HEAD, b"0123456789"].concat()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert_eq!(body, Ok(b"0123456789".to_vec()));
    assert!(started.elapsed() >= 2 * limit());
}

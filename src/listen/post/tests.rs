#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use super::*;
use crate::cli::{self, Request as CliRequest};
use crate::config::{self, Sources};
use crate::listen::unauthenticated::MAX_PER_ADDRESS;
use crate::plan::TokenCheck;
use crate::proto::post::{Answer, Key, Opening as OpenFields, Request, Reset, ResetCode, Sid};
use crate::sys::Channel;

/// A server whose clients connect to `address`, and the listener of its target.
struct Server {
    address: SocketAddr,
    target: TcpListener,
}

impl Server {
    fn start(transport: PostTransport) -> Self {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = target.local_addr().unwrap().port();
        Self { address: serve(transport, port), target }
    }

    fn accept(&self) -> TcpStream {
        let (stream, _) = self.target.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream, sid: Sid::new([3; 16]) }
    }
}

fn serve(transport: PostTransport, target: u16) -> SocketAddr {
    let args = ["connect", "127.0.0.1", &target.to_string()].map(Into::into);
    let CliRequest::Session(args) = cli::parse(args).unwrap() else { unreachable!() };
    let plan = config::plan(&args, &Sources::with_files(&|_| None, &|_| (), Vec::new())).unwrap();
    let mailbox = Arc::new(Mailbox::new().unwrap());
    let openers = openers(Connector::new(plan), Gate::new(&TokenCheck::Open).unwrap(), &mailbox);
    let open = Box::new(move |opening| openers.run(opening).is_ok());
    let engine = Engine::new(Arc::clone(&mailbox), Duration::from_secs(25), open);
    thread::spawn(move || engine.run());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let site = Arc::new(Site { transport, path: "/tunnel".into(), session: None, forwarders: Vec::new() });
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            client.set_nonblocking(true).unwrap();
            let addrs = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let stream = Box::new(Channel::socket(client));
            let connection = Connection::new(stream, &site, "client".into(), Some(addrs));
            mailbox.send(Arrival::Connection(connection));
        }
    });
    address
}

/// A connection to the server.
struct Client {
    stream: TcpStream,
    sid: Sid,
}

fn request() -> Request<'static> {
    Request::new(Key::new([1; 16]))
}

fn open() -> Request<'static> {
    Request { opening: Some(OpenFields { token: b"", target: b"" }), ..request() }
}

fn poll(down: u64) -> Request<'static> {
    Request { is_poll: true, wait: 200, down, ..request() }
}

impl Client {
    fn send(&mut self, request: &Request<'_>, data: &[u8]) {
        let mut body = request.encode(data.len());
        body.extend_from_slice(data);
        let head = format!(
            "POST /tunnel/{} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            self.sid,
            body.len()
        );
        self.stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    }

    /// Reads an answer: its status and its body.
    fn receive(&mut self) -> (u16, Vec<u8>) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        (status, body)
    }

    fn ask(&mut self, request: &Request<'_>, data: &[u8]) -> (Answer, Vec<u8>) {
        self.send(request, data);
        let (status, body) = self.receive();
        assert_eq!(status, 200);
        let (answer, data) = Answer::decode(&body).unwrap();
        (answer, data.to_vec())
    }
}

#[test]
fn a_tunnel_carries_bytes_both_ways_and_both_ends() {
    let server = Server::start(PostTransport::Http);
    let mut client = server.client();
    assert!(client.ask(&open(), b"").0.is_opened);
    let mut target = server.accept();
    assert_eq!(client.ask(&request(), b"hello").0.up, 5);
    let mut buffer = [0; 5];
    target.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello");
    target.write_all(b"world").unwrap();
    assert_eq!(client.ask(&poll(0), b"").1, b"world");
    let mut poller = server.client();
    poller.send(&poll(5), b"");
    client.ask(&Request { up: 5, is_eof: true, ..request() }, b"bye");
    let mut rest = Vec::new();
    target.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"bye");
    drop(target);
    let (status, body) = poller.receive();
    assert_eq!(status, 200);
    assert!(Answer::decode(&body).unwrap().0.is_eof);
    assert_eq!(client.ask(&Request { up: 9, down: 6, ..request() }, b"").0.up, 9);
}

#[test]
fn a_held_poll_is_answered_as_soon_as_there_is_a_byte() {
    let server = Server::start(PostTransport::Http);
    let mut client = server.client();
    client.ask(&open(), b"");
    let mut target = server.accept();
    let started = Instant::now();
    client.send(&poll(0), b"");
    thread::sleep(Duration::from_millis(50));
    target.write_all(b"x").unwrap();
    assert_eq!(Answer::decode(&client.receive().1).unwrap().1, b"x");
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// `ssh_over_https` had one connection to the target for all clients.
#[test]
fn each_tunnel_has_a_target_of_its_own() {
    let server = Server::start(PostTransport::Http);
    let (mut first, mut second) = (server.client(), server.client());
    second.sid = Sid::new([4; 16]);
    first.ask(&open(), b"");
    let mut first_target = server.accept();
    second.ask(&open(), b"");
    let mut second_target = server.accept();
    second_target.write_all(b"second").unwrap();
    first_target.write_all(b"first").unwrap();
    assert_eq!(first.ask(&poll(0), b"").1, b"first");
    assert_eq!(second.ask(&poll(0), b"").1, b"second");
}

/// `ssh_over_https` connected to the target again, which joined two sessions into one.
#[test]
fn a_target_that_closed_is_not_connected_again() {
    let server = Server::start(PostTransport::Http);
    let mut client = server.client();
    client.ask(&open(), b"");
    drop(server.accept());
    assert!(client.ask(&poll(0), b"").0.is_eof);
    for _ in 0..3 {
        client.ask(&request(), b"abc");
        client.ask(&open(), b"");
    }
    server.target.set_nonblocking(true).unwrap();
    assert!(server.target.accept().is_err());
}

/// `ssh_over_https` sent all bytes again if the target had accepted only some of them.
#[test]
fn a_repeated_request_after_a_partial_write_adds_nothing() {
    let server = Server::start(PostTransport::Http);
    let mut client = server.client();
    client.ask(&open(), b"");
    let mut target = server.accept();
    let data: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let reader = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        let mut received = Vec::new();
        target.read_to_end(&mut received).unwrap();
        received
    });
    let mut up = 0;
    while up < data.len() + 1 {
        let start = up.min(data.len());
        let part = &data[start..data.len().min(start + 500_000)];
        let is_eof = start + part.len() == data.len();
        let request = Request { up: start as u64, is_eof, ..request() };
        let first = client.ask(&request, part).0.up;
        let second = client.ask(&request, part).0.up;
        assert!(second >= first);
        up = usize::try_from(second).unwrap();
    }
    assert!(reader.join().unwrap() == data);
}

#[test]
fn an_unreachable_target_is_reported() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let address = serve(PostTransport::Http, closed);
    let stream = TcpStream::connect(address).unwrap();
    let mut client = Client { stream, sid: Sid::new([3; 16]) };
    let (answer, data) = client.ask(&open(), b"");
    let reset = Reset::decode(&data);
    assert!(answer.is_reset && reset.code == ResetCode::Unreachable);
    assert!(reset.text.starts_with(&format!("127.0.0.1:{closed}")), "{}", reset.text);
}

#[test]
fn a_refused_request_is_answered_before_its_body_is_read() {
    let server = Server::start(PostTransport::Http);
    for (request, expected) in [
        ("GET /tunnel/0 HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        (
            "POST /tunnel/00112233445566778899aabbccddeeff HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nabc",
            413,
        ),
        (
            "POST /tunnel/00112233445566778899aabbccddeeff HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            400,
        ),
    ] {
        let mut client = server.client();
        client.stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(client.receive().0, expected);
    }
}

#[test]
fn a_client_that_resets_the_tunnel_resets_the_target() {
    let server = Server::start(PostTransport::Http);
    let mut client = server.client();
    client.ask(&open(), b"");
    let mut target = server.accept();
    client.ask(&Request { is_reset: true, ..request() }, b"\0\x04");
    assert!(target.read(&mut [0; 1]).is_err(), "expected a reset");
}

#[test]
fn a_web_server_may_close_its_direction_before_the_answer() {
    let server = Server::start(PostTransport::Scgi);
    let scgi = |request: &Request<'_>, data: &[u8]| {
        let mut client = server.client();
        let mut body = request.encode(data.len());
        body.extend_from_slice(data);
        let uri = format!("/tunnel/{}", client.sid);
        let length = body.len().to_string();
        let fields = ["CONTENT_LENGTH", &length, "SCGI", "1", "REQUEST_METHOD", "POST", "REQUEST_URI", &uri];
        let header = fields.join("\0") + "\0";
        let message = [format!("{}:{header},", header.len()).as_bytes(), &body].concat();
        client.stream.write_all(&message).unwrap();
        client.stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"Status: 200 OK\r\n"));
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        Answer::decode(&answer[end..]).map(|(answer, data)| (answer, data.to_vec())).unwrap()
    };
    assert!(scgi(&open(), b"").0.is_opened);
    let mut target = server.accept();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        target.write_all(b"late").unwrap();
        target
    });
    assert_eq!(scgi(&poll(0), b"").1, b"late");
    drop(writer.join());
}

#[test]
fn requests_may_be_pipelined() {
    let server = Server::start(PostTransport::Http);
    let mut client = server.client();
    client.send(&open(), b"");
    client.send(&request(), b"abc");
    client.send(&Request { up: 3, ..request() }, b"def");
    let positions: Vec<_> = (0..3).map(|_| Answer::decode(&client.receive().1).unwrap().0.up).collect();
    assert_eq!(positions, [0, 3, 6]);
}

#[test]
fn a_long_body_is_refused_early_unless_its_client_has_a_tunnel() {
    let server = Server::start(PostTransport::Http);
    let mut known = server.client();
    assert!(known.ask(&open(), b"").0.is_opened);
    let start = |sid, request: &Request<'_>| {
        let mut client = Client { sid, ..server.client() };
        let mut body = request.encode(0);
        body.resize(100_000, 0);
        let head = format!("POST /tunnel/{sid} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
        client.stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        client
    };
    let unknown = Sid::new([9; 16]);
    for (sid, request, expected) in [
        (unknown, request(), 404),
        (unknown, open(), 413),
        (known.sid, Request { key: Key::new([2; 16]), ..request() }, 404),
    ] {
        assert_eq!(start(sid, &request).receive().0, expected);
    }
    // The client with the key may send the rest.
    let mut client = start(known.sid, &request());
    client.stream.write_all(&vec![0; 900_000]).unwrap();
    let (status, body) = client.receive();
    assert_eq!((status, Answer::decode(&body).unwrap().0.up), (200, 1_000_000 - 36));
    assert_eq!(server.accept().read(&mut [0; 1]).unwrap(), 1);
}

/// Web servers open a connection for each request, and all connections come from their address.
#[test]
fn many_tunnels_of_one_web_server_hold_their_polls() {
    const TUNNELS: u8 = 40;
    let server = Server::start(PostTransport::Http);
    let mut held = Vec::new();
    for number in 0..TUNNELS {
        let sid = Sid::new([number; 16]);
        let mut opener = Client { sid, ..server.client() };
        assert!(opener.ask(&open(), b"").0.is_opened);
        let mut poller = Client { sid, ..server.client() };
        poller.send(&poll(0), b"");
        held.push((server.accept(), poller));
    }
    // More connections without a request than the limit permits.
    let idle: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| server.client()).collect();
    for (mut target, mut poller) in held {
        target.write_all(b"x").unwrap();
        assert_eq!(Answer::decode(&poller.receive().1).unwrap().1, b"x");
    }
    drop(idle);
}

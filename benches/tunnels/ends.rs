//! Both ends of a hub's pairs, played by the benchmark: clients, and an origin per session.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::flow::{Flow, discard};

/// Pairs of a session, fewer than the hub's limit.
const PAIRS_PER_SESSION: usize = 1000;

/// Time limit for each read.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The key with which the ends mask their frames. A hub does the same work for every key but zero.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

/// The payload of a frame of bulk data.
const FRAME: usize = 64 * 1024;

/// A WebSocket of a client and one of the origin, which the hub has joined.
pub(super) struct Pair {
    client: TcpStream,
    origin: TcpStream,
}

/// The sessions of a hub.
pub(super) struct Sessions {
    hub: u16,
    /// The control connection of each session.
    controls: Vec<TcpStream>,
    pairs: usize,
}

impl Sessions {
    /// Creates sessions at the hub with this port.
    pub(super) fn new(hub: u16) -> Self {
        Self { hub, controls: Vec::new(), pairs: 0 }
    }

    /// Opens a pair, and before the first pair of a session, registers its origin.
    pub(super) fn open(&mut self) -> io::Result<Pair> {
        let session = self.pairs / PAIRS_PER_SESSION;
        if session == self.controls.len() {
            let mut control =
                self.ask(&format!("/v1/s{session}/origin"), "Sec-WebSocket-Protocol: connect.origin.v1\r\n")?;
            expect_101(&mut control)?;
            text(&mut control)?;
            self.controls.push(control);
        }
        self.pairs += 1;
        let mut client = self.ask(&format!("/v1/s{session}/dest"), "")?;
        let offer = text(&mut self.controls[session])?;
        let id = offer.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let id = id.ok_or_else(|| io::Error::other(format!("no offer: {offer}")))?;
        let mut origin = self.ask(&format!("/v1/s{session}/accept/{id}"), "")?;
        expect_101(&mut origin)?;
        expect_101(&mut client)?;
        Ok(Pair { client, origin })
    }

    fn ask(&self, path: &str, fields: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.hub))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }
}

impl Pair {
    /// Sends this many bytes from the client to the origin and back, and returns how long that
    /// took.
    pub(super) fn round_trip(&self, size: usize) -> io::Result<Duration> {
        let (frame, mut received) = (frame(size), vec![0; 2 + size]);
        let started = Instant::now();
        for (mut from, mut to) in [(&self.client, &self.origin), (&self.origin, &self.client)] {
            from.write_all(&frame)?;
            to.read_exact(&mut received)?;
        }
        let elapsed = started.elapsed();
        let is_intact = received[0] == 0x82 && usize::from(received[1]) == size;
        if is_intact { Ok(elapsed) } else { Err(io::Error::other("not the frame that was sent")) }
    }

    /// Moves this many bytes of payload to the origin, or with `down` to the client.
    pub(super) fn bulk(&self, bytes: u64, down: bool) -> io::Result<Flow> {
        let (mut from, to) = if down { (&self.origin, &self.client) } else { (&self.client, &self.origin) };
        let frame = frame(FRAME);
        thread::scope(|scope| {
            let sending = scope
                .spawn(move || (0..bytes.div_ceil(FRAME as u64)).try_for_each(|_| from.write_all(&frame)));
            // The headers of frames, 10 bytes each, count as payload.
            let flow = discard(to, bytes);
            sending.join().expect("the sender does not panic")?;
            Ok(flow)
        })
    }
}

/// Returns a masked binary frame.
fn frame(size: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match u8::try_from(size) {
        Ok(size) if size < 126 => frame.push(0x80 | size),
        _ => {
            frame.push(0x80 | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.resize(frame.len() + size, b'.');
    frame
}

/// Reads the head of a response byte by byte, so that no frame is read.
fn expect_101(stream: &mut TcpStream) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    if head.starts_with(b"HTTP/1.1 101 ") {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned()))
}

/// Reads a text message of at most 64 KiB.
fn text(control: &mut TcpStream) -> io::Result<String> {
    let mut header = [0; 2];
    control.read_exact(&mut header)?;
    let length = match header[1] {
        126 => {
            let mut length = [0; 2];
            control.read_exact(&mut length)?;
            usize::from(u16::from_be_bytes(length))
        }
        length => usize::from(length),
    };
    let mut text = vec![0; length];
    control.read_exact(&mut text)?;
    if header[0] != 0x81 {
        return Err(io::Error::other(format!("no text message: first byte {:#x}", header[0])));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

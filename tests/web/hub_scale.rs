//! Many connections at a hub: their memory, and what is left when they have ended.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::context::{Case, Context, Topic};
use crate::daemon::Daemon;
use crate::kit::{Authority, TIMEOUT, bytes};

/// The pairs of a session, below the hub's limit of 1,024.
const PER_SESSION: usize = 900;

/// The first pairs, which also pay for what the hub allocates once.
const FIRST: usize = 20;

/// The length of a frame's payload that needs the 16-bit length.
const LONG: usize = 32 * 1024;

pub(crate) fn cases(full: bool) -> Vec<Case> {
    let mut topic = Topic::new("hub scale");
    topic
        .ours("200 idle pairs over TLS take at most 24 KiB each", |context| expect_pairs(context, 200, true));
    topic.ours("5,000 damaged requests leave nothing behind", |context| damaged_requests(context, 5_000));
    if full {
        topic.ours("9,000 pairs take at most 4 KiB each", |context| expect_pairs(context, 9_000, false));
        topic.ours("2,000 pairs over TLS take at most 24 KiB each", |context| {
            expect_pairs(context, 2_000, true);
        });
        topic.ours("200,000 damaged requests leave nothing behind", |context| {
            damaged_requests(context, 200_000);
        });
    }
    topic.into_cases()
}

/// A connection to the hub.
enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Connection {
    /// Sends a request for a WebSocket, without waiting for the answer.
    fn ask(hub: &Hub, path: &str) -> Self {
        let mut connection = hub.connect();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: connect.origin.v1\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.flush().unwrap();
        connection
    }

    /// Reads the answer that opens the WebSocket.
    fn expect_opened(&mut self) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    }

    /// Sends a frame. Its mask is zero, so the payload is unchanged.
    fn send(&mut self, payload: &[u8]) {
        let length = u16::try_from(payload.len()).unwrap();
        let header = match u8::try_from(length) {
            Ok(short @ ..126) => vec![0x82, 0x80 | short],
            _ => [&[0x82, 0xfe], &length.to_be_bytes()[..]].concat(),
        };
        self.write_all(&[&header, &[0; 4][..], payload].concat()).unwrap();
        self.flush().unwrap();
    }

    /// Reads the payload of a frame.
    fn receive(&mut self) -> Vec<u8> {
        let mut header = [0; 2];
        self.read_exact(&mut header).unwrap();
        let mut length = usize::from(header[1]);
        if length == 126 {
            self.read_exact(&mut header).unwrap();
            length = usize::from(u16::from_be_bytes(header));
        }
        let mut payload = vec![0; length];
        self.read_exact(&mut payload).unwrap();
        payload
    }

    /// Reads `count` bytes of payload, in frames of any length.
    fn receive_all(&mut self, count: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < count {
            received.extend(self.receive());
        }
        received
    }
}

/// A hub of its own for one case.
struct Hub {
    daemon: Daemon,
    tls: Option<Arc<ClientConfig>>,
}

impl Hub {
    fn start(context: &Context, with_tls: bool) -> Self {
        let authority = Authority::new("CA");
        let identity = authority.localhost();
        let (certificate, key) = (identity.certificate_file(), identity.key_file());
        let daemon = Daemon::start("hub", 1, &context.folder.join("hub"), |ports| {
            let scheme = if with_tls { "wss" } else { "ws" };
            let mut command = Command::new(&context.peers.connect);
            command.arg("--relay").arg(format!("{scheme}://127.0.0.1:{}", ports[0])).arg("--open");
            // No Pings, which peers that only wait would not answer.
            command.args(["--keepalive", "600"]);
            if with_tls {
                command.arg("--serve-cert").arg(&*certificate).arg("--serve-key").arg(&*key);
            }
            command
        });
        let tls = with_tls.then(|| {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder =
                ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
        });
        Self { daemon: daemon.unwrap(), tls }
    }

    fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.daemon.ports[0])).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn connect(&self) -> Connection {
        let stream = self.stream();
        match &self.tls {
            None => Connection::Plain(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").unwrap();
                let client = ClientConnection::new(Arc::clone(config), name).unwrap();
                Connection::Tls(Box::new(StreamOwned::new(client, stream)))
            }
        }
    }

    /// Returns a page.
    fn page(&self, path: &str) -> String {
        let mut connection = self.connect();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn pairs(&self) -> u64 {
        let statistics: serde_json::Value = serde_json::from_str(&self.page("/v1/stats")).unwrap();
        statistics["pairs"].as_u64().unwrap()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.daemon.pid())).unwrap()
    }

    /// Returns the resident memory in KiB.
    fn memory(&self) -> usize {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.daemon.pid())).unwrap().count()
    }

    /// Waits until the hub has closed all descriptors but `count`.
    fn wait_for_descriptors(&self, count: usize) {
        let start = Instant::now();
        while self.descriptors() > count {
            assert!(start.elapsed() < TIMEOUT, "{} descriptors, expected {count}", self.descriptors());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Makes a pair, and returns the side of the client and that of the origin.
fn pair(hub: &Hub, session: usize, control: &mut Connection) -> (Connection, Connection) {
    let mut client = Connection::ask(hub, &format!("/v1/s{session}/dest"));
    let offer: serde_json::Value = serde_json::from_slice(&control.receive()).unwrap();
    let id = offer["id"].as_str().unwrap();
    let mut data = Connection::ask(hub, &format!("/v1/s{session}/accept/{id}"));
    data.expect_opened();
    client.expect_opened();
    (client, data)
}

fn expect_pairs(context: &Context, count: usize, with_tls: bool) {
    connect::sys::raise_descriptor_limit();
    let hub = Hub::start(context, with_tls);
    let mut controls: Vec<_> = (0..count.div_ceil(PER_SESSION))
        .map(|session| {
            let mut control = Connection::ask(&hub, &format!("/v1/s{session}/origin"));
            control.expect_opened();
            assert_eq!(control.receive(), br#"{"t":"ready"}"#);
            control
        })
        .collect();
    let descriptors = hub.descriptors();
    let sessions = controls.len();
    let mut make = |number: usize| pair(&hub, number % sessions, &mut controls[number % sessions]);
    let mut pairs: Vec<_> = (0..FIRST).map(&mut make).collect();
    let before = hub.memory();
    pairs.extend((FIRST..count).map(&mut make));
    let used = hub.memory().saturating_sub(before);
    let limit = if with_tls { 24 } else { 4 };
    assert!(used <= limit * (count - FIRST), "{used} KiB for {} pairs", count - FIRST);
    assert_eq!(hub.pairs(), count as u64);
    // All of them work, and one in a hundred moves 1 MiB each way.
    for (number, (client, data)) in pairs.iter_mut().enumerate() {
        let text = number.to_string();
        client.send(text.as_bytes());
        assert_eq!(data.receive_all(text.len()), text.as_bytes());
        if number % 100 == 0 {
            let part = bytes(number as u64, LONG);
            for (from, to) in [(0, 1), (1, 0)] {
                let ends = [&mut *client, &mut *data];
                for _ in 0..32 {
                    ends[from].send(&part);
                    assert_eq!(ends[to].receive_all(LONG), part);
                }
            }
        }
    }
    drop(pairs);
    hub.wait_for_descriptors(descriptors);
    assert_eq!(hub.pairs(), 0);
    println!("     {count} pairs: {used} KiB");
}

/// Sends requests and frames of which some bits are changed, as zzuf does.
fn damaged_requests(context: &Context, count: usize) {
    let hub = Hub::start(context, false);
    let mut control = Connection::ask(&hub, "/v1/s0/origin");
    control.expect_opened();
    control.receive();
    let head = "GET /v1/s1/origin HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Protocol: connect.origin.v1\r\n\r\n";
    let frames =
        [b"\x81\x8e\0\0\0\0{\"t\":\"refuse\"}", &b"\x89\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8"[..]].concat();
    let valid = [head.as_bytes(), &frames].concat();
    let batch = |first: usize, count: usize| {
        for number in first..first + count {
            let mut damaged = valid.clone();
            // 0.4 % of the bits, after a start that is valid in every second request.
            let start = if number % 2 == 0 { head.len() } else { 0 };
            for (index, noise) in bytes(number as u64, 2 * damaged.len()).chunks(2).enumerate().skip(start) {
                if noise[0] < 8 {
                    damaged[index] ^= 1 << (noise[1] % 8);
                }
            }
            let mut stream = hub.stream();
            let _ = stream.write_all(&damaged);
            let _ = stream.shutdown(Shutdown::Write);
            // The hub ends each connection, at the latest when its peer does.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    };
    batch(0, 1_000);
    let (memory, descriptors) = (hub.memory(), hub.descriptors());
    batch(1_000, count - 1_000);
    assert_eq!(hub.page("/v1/health"), "ok\n");
    hub.wait_for_descriptors(descriptors);
    let used = hub.memory().saturating_sub(memory);
    assert!(used <= 2048, "{used} KiB more than before");
    // Nothing has disturbed the first session.
    let (mut client, mut data) = pair(&hub, 0, &mut control);
    client.send(b"still here");
    assert_eq!(data.receive(), b"still here");
}

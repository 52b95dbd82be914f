//! A fake DNS server that gives scripted answers over UDP and TCP on one port.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Interval at which a waiting thread checks whether the server was dropped.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A DNS query with one question.
pub(crate) struct Question {
    pub(crate) transport: Transport,
    /// The queried name, with the trailing dot.
    pub(crate) name: String,
    /// "A" or "AAAA".
    pub(crate) kind: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These addresses, filtered by the queried family.
    Addresses(Vec<IpAddr>),
    /// No addresses, and this response code (RFC 1035, section 4.1.1).
    Code(u8),
    /// An empty answer with the TC bit set.
    Truncated,
    /// The query's id, followed by bytes that are not DNS.
    Garbage,
    /// A reply with a wrong id, then a malformed one, then the correct one.
    Forged {
        first: IpAddr,
        then: IpAddr,
    },
    Silence,
}

/// A name server that runs until it is dropped. Its `Display` output is the value for `-R`.
pub(crate) struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    answer: Box<dyn Fn(&Question) -> Answer + Send + Sync>,
    asked: Mutex<Vec<(Transport, String)>>,
    clients: Mutex<Vec<(Transport, IpAddr)>>,
    stop: AtomicBool,
}

impl NameServer {
    /// Starts a server that answers each query with `answer`.
    pub(crate) fn start(ip: IpAddr, answer: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Self {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let tcp = TcpListener::bind((ip, 0)).unwrap();
                Some((UdpSocket::bind(tcp.local_addr().unwrap()).ok()?, tcp))
            })
            .expect("no port is free for both UDP and TCP");
        let address = tcp.local_addr().unwrap();
        udp.set_read_timeout(Some(POLL_INTERVAL)).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            asked: Mutex::default(),
            clients: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let (by_udp, by_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || by_udp.serve_udp(&udp)),
            thread::spawn(move || by_tcp.serve_tcp(&tcp)),
        ];
        Self { address, shared, threads }
    }

    /// Returns the port number.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns each query so far: its transport, and a text such as "host.example. A".
    pub(crate) fn asked(&self) -> Vec<(Transport, String)> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Returns the transport and the client's address of each UDP query and each TCP connection so
    /// far.
    pub(crate) fn clients(&self) -> Vec<(Transport, IpAddr)> {
        self.shared.clients.lock().unwrap().clone()
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let failed = self.threads.drain(..).map(JoinHandle::join).any(|result| result.is_err());
        assert!(!failed || thread::panicking(), "the name server panicked");
    }
}

impl Shared {
    fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 512];
        while self.is_running() {
            // Ignore all errors, not just timeouts: Windows reports ICMP errors about earlier
            // replies here.
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
            self.clients.lock().unwrap().push((Transport::Udp, client.ip()));
            for message in self.messages(Transport::Udp, &buffer[..length]) {
                let _ = socket.send_to(&message, client);
            }
        }
    }

    /// Accepts any number of connections, because each query may use its own.
    fn serve_tcp(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            while self.is_running() {
                match listener.accept() {
                    Ok((stream, client)) => {
                        self.clients.lock().unwrap().push((Transport::Tcp, client.ip()));
                        drop(scope.spawn(move || self.serve_stream(&stream)));
                    }
                    Err(_) => thread::sleep(POLL_INTERVAL),
                }
            }
        });
    }

    fn serve_stream(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(POLL_INTERVAL))?;
        let mut received = Vec::new();
        while self.is_running() {
            let mut buffer = [0; 512];
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            while let Some((length, rest)) = received.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                let Some((query, rest)) = rest.split_at_checked(length) else { break };
                for message in self.messages(Transport::Tcp, query) {
                    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &message].concat())?;
                }
                received = rest.to_vec();
            }
        }
        Ok(())
    }

    /// Returns the replies to a query, which must start with a 12-byte header and one question.
    fn messages(&self, transport: Transport, query: &[u8]) -> Vec<Vec<u8>> {
        let (id, mut rest) = ([query[0], query[1]], &query[12..]);
        let mut name = String::new();
        while rest[0] != 0 {
            let (label, after) = rest[1..].split_at(rest[0].into());
            name.push_str(std::str::from_utf8(label).unwrap());
            name.push('.');
            rest = after;
        }
        let kind = match rest[1..3] {
            [0, 1] => "A",
            [0, 28] => "AAAA",
            _ => panic!("unexpected query type {:?}", &rest[1..3]),
        };
        let question = &query[12..query.len() - rest.len() + 5];
        self.asked.lock().unwrap().push((transport, format!("{name} {kind}")));
        let reply = |id, flags, found: &[IpAddr]| message(id, flags, question, kind, found);
        match (self.answer)(&Question { transport, name, kind }) {
            Answer::Addresses(found) => vec![reply(id, 0, &found)],
            Answer::Code(code) => vec![reply(id, code.into(), &[])],
            Answer::Truncated => vec![reply(id, 0x0200, &[])],
            Answer::Garbage => vec![[&id[..], &[0xff; 40]].concat()],
            Answer::Forged { first, then } => {
                vec![reply([!id[0], id[1]], 0, &[first]), vec![7], reply(id, 0, &[then])]
            }
            Answer::Silence => Vec::new(),
        }
    }
}

/// Returns a response (RFC 1035, section 4.1) that repeats the question.
fn message(id: [u8; 2], flags: u16, question: &[u8], kind: &str, found: &[IpAddr]) -> Vec<u8> {
    let found: Vec<_> = found.iter().filter(|ip| ip.is_ipv4() == (kind == "A")).collect();
    // QR, RD and RA: a response, with recursion desired and available.
    let flags = (0x8180 | flags).to_be_bytes();
    let count = u8::try_from(found.len()).unwrap();
    let mut message = [&id[..], &flags, &[0, 1, 0, count, 0, 0, 0, 0], question].concat();
    for ip in found {
        // A pointer to the name at offset 12, class IN, TTL 60 seconds.
        let (kind, bytes) = match ip {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (28, ip.octets().to_vec()),
        };
        message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(bytes.len()).unwrap()]);
        message.extend(bytes);
    }
    message
}

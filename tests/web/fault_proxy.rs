//! An HTTP proxy that damages some of the requests and answers that pass through it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

/// The proxy damages this percentage of the requests.
const FAULT_PERCENT: u64 = 12;

/// The longest delay of a request or an answer.
const MAX_DELAY_MILLIS: u64 = 300;

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection closes, and the server does not see the request.
    DropRequest,
    /// The server receives half of the body, then EOF.
    TruncateRequest,
    /// The server receives the request twice.
    RepeatRequest,
    /// The server receives the request again some time later, between other requests.
    ReplayRequest,
    DelayRequest,
    /// The server answers, but the connection closes.
    DropAnswer,
    /// The client receives half of the answer.
    TruncateAnswer,
    DelayAnswer,
    /// The client receives an error status, and the server does not see the request.
    Refuse,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::DropRequest,
        Self::TruncateRequest,
        Self::RepeatRequest,
        Self::ReplayRequest,
        Self::DelayRequest,
        Self::DropAnswer,
        Self::TruncateAnswer,
        Self::DelayAnswer,
        Self::Refuse,
    ];
}

/// The statuses of proxies and web servers that cannot reach their backend, or not now.
const STATUSES: [&str; 6] = [
    "408 Request Timeout",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
];

/// A reverse proxy for one server. Its connections to clients are kept alive; each request has its
/// own connection to the server.
#[derive(Clone)]
pub(crate) struct FaultProxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    random: u64,
    requests: usize,
    faults: Vec<Fault>,
}

impl FaultProxy {
    /// Starts a proxy for the server at this port. The same `seed` gives the same faults.
    pub(crate) fn start(server: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let state = State { random, requests: 0, faults: Vec::new() };
        let proxy = Self { port, state: Arc::new(Mutex::new(state)) };
        let own = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let own = own.clone();
                // An error means that the client or the server has closed its connection.
                thread::spawn(move || {
                    own.serve(&client, server).map_err(|_| client.shutdown(Shutdown::Both))
                });
            }
        });
        proxy
    }

    /// Returns the numbers of requests and of faults so far, and the kinds of faults that have not
    /// occurred.
    pub(crate) fn summary(&self) -> (usize, usize, Vec<Fault>) {
        let state = self.state();
        let absent = Fault::ALL.into_iter().filter(|fault| !state.faults.contains(fault)).collect();
        (state.requests, state.faults.len(), absent)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: &TcpStream, server: u16) -> io::Result<()> {
        let mut reader = BufReader::new(client);
        while let Some(request) = Message::read(&mut reader)? {
            let (fault, random) = self.state().next();
            if !exchange(client, server, &request, fault, random)? {
                return client.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }
}

impl State {
    /// Returns the fault of the next request, and a random number.
    fn next(&mut self) -> (Option<Fault>, u64) {
        self.requests += 1;
        let (chance, kind, random) = (self.random(), self.random(), self.random());
        if chance % 100 >= FAULT_PERCENT {
            return (None, random);
        }
        let fault = pick(&Fault::ALL, kind);
        self.faults.push(fault);
        (Some(fault), random)
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}

/// Passes one request to the server and its answer to the client. Returns `false` if the connection
/// to the client must close.
fn exchange(
    mut client: &TcpStream,
    server: u16,
    request: &Message,
    fault: Option<Fault>,
    random: u64,
) -> io::Result<bool> {
    let delay = Duration::from_millis(random % MAX_DELAY_MILLIS);
    match fault {
        Some(Fault::DropRequest) => return Ok(false),
        Some(Fault::TruncateRequest) => return request.send_half_to(server).map(|()| false),
        Some(Fault::RepeatRequest) => drop(request.send_to(server)?),
        Some(Fault::ReplayRequest) => request.clone().send_later(server, delay),
        Some(Fault::DelayRequest) => sleep(delay),
        Some(Fault::Refuse) => return client.write_all(refusal(random).as_bytes()).map(|()| true),
        _ => {}
    }
    let answer = request.send_to(server)?;
    let sent = match fault {
        Some(Fault::DropAnswer) => &[],
        Some(Fault::TruncateAnswer) => &answer[..answer.len() / 2],
        _ => &*answer,
    };
    if fault == Some(Fault::DelayAnswer) {
        sleep(delay);
    }
    client.write_all(sent)?;
    Ok(sent.len() == answer.len())
}

/// Returns an answer of a proxy that cannot reach its backend.
fn refusal(random: u64) -> String {
    let (status, page) = (pick(&STATUSES, random), "<html>no</html>");
    let length = page.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}")
}

/// Returns the item that a random number selects.
fn pick<T: Copy>(items: &[T], random: u64) -> T {
    items[usize::try_from(random % items.len() as u64).unwrap()]
}

/// A request with its body.
#[derive(Clone)]
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// Reads a request. Returns `None` at EOF.
    fn read(client: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if client.read_line(&mut head)? == 0 {
                return Ok(None);
            }
        }
        let length = field(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        client.read_exact(&mut body)?;
        // The server closes the connection after its answer.
        let head = head.trim_end().to_owned() + "\r\nConnection: close\r\n\r\n";
        Ok(Some(Self { head: without(&head, "connection: keep-alive"), body }))
    }

    /// Sends the request on a new connection, and returns the answer as a client that keeps its
    /// connection alive expects it.
    fn send_to(&self, server: u16) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(("127.0.0.1", server))?;
        server.write_all(&[self.head.as_bytes(), &self.body].concat())?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let end =
            answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let head = without(&String::from_utf8_lossy(&answer[..end + 4]), "connection: close");
        Ok([head.as_bytes(), &answer[end + 4..]].concat())
    }

    /// Sends the request with half of its body, then EOF.
    fn send_half_to(&self, server: u16) -> io::Result<()> {
        let mut server = TcpStream::connect(("127.0.0.1", server))?;
        server.write_all(&[self.head.as_bytes(), &self.body[..self.body.len() / 2]].concat())?;
        server.shutdown(Shutdown::Write)?;
        server.read_to_end(&mut Vec::new()).map(drop)
    }

    /// Sends the request after a delay, in the background.
    fn send_later(self, server: u16, delay: Duration) {
        thread::spawn(move || {
            sleep(delay);
            self.send_to(server)
        });
    }
}

/// Returns the value of a header field; its name is in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.into_iter().find(|(field, _)| field.to_lowercase() == name).map(|(_, value)| value.trim())
}

/// Removes a line, which is given in lower case.
fn without(head: &str, line: &str) -> String {
    head.split_inclusive("\r\n").filter(|one| one.trim().to_lowercase() != line).collect()
}

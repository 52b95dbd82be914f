//! A fake peer: a server on loopback that runs a script on each connection.

use std::fmt;
use std::io::{self, Cursor, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::script::{Action, Script, StepResult};
use super::show::show;
use super::{Digest, Gate, proxy};

/// Timeout for each read and write in a script.
const STEP_TIMEOUT: Duration = super::TIMEOUT;

/// Time limit of [`Server::finish`] for scripts that have steps left.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The data received on a connection, and what the steps have parsed from it.
#[derive(Clone, Default)]
pub(crate) struct Record {
    /// All bytes read, except by `sink` and `relay`.
    pub(crate) received: Vec<u8>,
    /// Digest of the bytes that `sink` steps read.
    pub(crate) digest: Option<Digest>,
    /// User name from the SOCKS4 request or the SOCKS5 login.
    pub(crate) user: Option<String>,
    /// Password from the SOCKS5 login.
    pub(crate) password: Option<String>,
    /// Requested target as `host:port`, with an IPv6 address in brackets.
    pub(crate) target: Option<String>,
    /// The latest request head that an HTTP proxy received.
    pub(crate) head: Option<String>,
}

/// A server on its own port. Its `Display` output is `host:port`.
///
/// Call [`finish`](Server::finish) at the end of a test: it waits for the scripts and fails the
/// test if one of them failed. Dropping the server does the same.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    finished: bool,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    changed: Condvar,
    /// The number of connections that must arrive.
    wanted: usize,
    /// `true` if a step that fails ends its script without failing the test.
    lenient: bool,
    /// Opened when the server stops.
    stop: Gate,
}

struct Connection {
    record: Arc<Mutex<Record>>,
    /// The current step; `None` after the last one.
    step: Option<String>,
    /// `true` while the script waits in a `hold` step for the server to stop.
    holds: bool,
    failure: Option<String>,
    /// Weak, because a strong reference here would keep the socket open.
    stream: Weak<TcpStream>,
}

type NextScript = Box<dyn FnMut() -> Option<Script> + Send>;

impl Server {
    /// Starts a server that runs one script for each connection, in order of arrival.
    ///
    /// The test fails if there are too few or too many connections. The connections may be open at
    /// the same time.
    pub(crate) fn each(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::each_on(Ipv4Addr::LOCALHOST.into(), scripts)
    }

    /// Like [`each`](Server::each), but on `[::1]`.
    pub(crate) fn each_v6(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::each_on(Ipv6Addr::LOCALHOST.into(), scripts)
    }

    fn each_on(ip: IpAddr, scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        let shared = Shared { wanted: scripts.len(), ..Shared::default() };
        let mut scripts = scripts.into_iter();
        Self::new(ip, shared, Box::new(move || scripts.next()))
    }

    /// Starts a server that runs the same script on any number of connections.
    pub(crate) fn repeat(make: impl Fn() -> Script + Send + 'static) -> Self {
        Self::new(Ipv4Addr::LOCALHOST.into(), Shared::default(), Box::new(move || Some(make())))
    }

    /// Like [`repeat`](Server::repeat), but for clients that may disconnect at any point: a step
    /// that fails ends its script without failing the test.
    pub(crate) fn lenient(script: &Script) -> Self {
        let script = script.clone();
        let shared = Shared { lenient: true, ..Shared::default() };
        Self::new(Ipv4Addr::LOCALHOST.into(), shared, Box::new(move || Some(script.clone())))
    }

    fn new(ip: IpAddr, shared: Shared, next: NextScript) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(shared);
        let server = Self { address, shared: Arc::clone(&shared), finished: false };
        thread::spawn(move || shared.accept(&listener, next));
        server
    }

    /// Returns the port number.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the host and the port as two command-line arguments.
    pub(crate) fn args(&self) -> String {
        format!("{} {}", self.address.ip(), self.address.port())
    }

    /// Returns the records of the connections so far, in order of arrival.
    pub(crate) fn records(&self) -> Vec<Record> {
        let connections = self.shared.connections();
        connections.iter().map(|connection| lock(&connection.record).clone()).collect()
    }

    /// Waits until all scripts have ended and returns the records. Fails the test if a script
    /// failed or did not end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Vec<Record> {
        self.end();
        self.records()
    }

    /// Like [`finish`](Server::finish), for a server with exactly one connection.
    #[track_caller]
    pub(crate) fn finish_one(self) -> Record {
        let mut records = self.finish();
        assert_eq!(records.len(), 1, "number of connections");
        records.remove(0)
    }

    #[track_caller]
    fn end(&mut self) {
        self.finished = true;
        let deadline = Instant::now() + FINISH_TIMEOUT;
        let mut connections = self.shared.connections();
        while !self.shared.is_idle(&connections) && Instant::now() < deadline {
            connections = self.shared.pause(connections);
        }
        drop(connections);
        self.stop();
        // A script may have more steps after a `hold` step.
        let deadline = Instant::now() + FINISH_TIMEOUT;
        let mut connections = self.shared.connections();
        while connections.iter().any(Connection::is_busy) && Instant::now() < deadline {
            connections = self.shared.pause(connections);
        }
        let failures = self.shared.failures(&connections);
        drop(connections);
        assert!(failures.is_empty(), "the peer {self}:{failures}");
    }

    fn stop(&self) {
        self.shared.stop.open();
        // Wake the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let connections = self.shared.connections();
            let failures = self.shared.failures(&connections);
            let streams: Vec<_> = connections.iter().filter_map(|c| c.stream.upgrade()).collect();
            drop(connections);
            if !failures.is_empty() && !self.finished {
                eprintln!("the peer {self}:{failures}");
            }
            self.stop();
            for stream in streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
        } else if !self.finished {
            self.end();
        }
    }
}

impl Connection {
    fn is_busy(&self) -> bool {
        self.step.is_some() && self.failure.is_none()
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        lock(&self.connections)
    }

    fn pause<'a>(&self, guard: MutexGuard<'a, Vec<Connection>>) -> MutexGuard<'a, Vec<Connection>> {
        let waited = self.changed.wait_timeout(guard, Duration::from_millis(50));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Returns `true` if there is nothing left to wait for: a script failed, or all connections
    /// have arrived and each script has ended or is in a `hold` step.
    fn is_idle(&self, connections: &[Connection]) -> bool {
        let done = connections.iter().all(|connection| connection.holds || !connection.is_busy());
        let failed = connections.iter().any(|connection| connection.failure.is_some());
        failed || (done && connections.len() >= self.wanted)
    }

    fn failures(&self, connections: &[Connection]) -> String {
        use std::fmt::Write;
        let mut report = String::new();
        for (number, connection) in (1..).zip(connections) {
            let problem = match (&connection.failure, &connection.step) {
                (Some(failure), Some(step)) => format!("{step}\n    {failure}"),
                (Some(failure), None) => failure.clone(),
                (None, Some(step)) => format!("{step}\n    did not finish"),
                (None, None) => continue,
            };
            let received = show(&lock(&connection.record).received);
            let _ = write!(report, "\n  connection {number}, {problem}\n    received: {received}");
        }
        let missing = self.wanted.saturating_sub(connections.len());
        if missing > 0 {
            let _ = write!(report, "\n  {missing} of {} connections did not arrive", self.wanted);
        }
        report
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, mut next: NextScript) {
        loop {
            let stream = super::accept(listener);
            if self.stop.wait_for(Duration::ZERO) {
                return;
            }
            let stream = Arc::new(stream);
            let record = Arc::default();
            let (script, failure) = match next() {
                Some(script) => (Some(script), None),
                None => (None, Some("one connection more than scripts".to_owned())),
            };
            let mut connections = self.connections();
            let index = connections.len();
            connections.push(Connection {
                record: Arc::clone(&record),
                step: script.as_ref().map(|_| "before the first step".to_owned()),
                holds: false,
                failure,
                stream: Arc::downgrade(&stream),
            });
            drop(connections);
            self.changed.notify_all();
            if let Some(script) = script {
                let shared = Arc::clone(self);
                let session = Session::new(stream, record, shared, index);
                thread::spawn(move || session.serve(&script));
            }
        }
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Connection)) {
        change(&mut self.connections()[index]);
        self.changed.notify_all();
    }
}

/// A connection as seen by the steps of its script. Reads and writes time out after `timeout`.
pub(crate) struct Session {
    stream: Option<Arc<TcpStream>>,
    timeout: Duration,
    /// Bytes read from the socket that no step has consumed yet.
    unread: Vec<u8>,
    record: Arc<Mutex<Record>>,
    shared: Arc<Shared>,
    index: usize,
    ended: bool,
    background: Vec<thread::JoinHandle<io::Result<()>>>,
}

impl Session {
    fn new(stream: Arc<TcpStream>, record: Arc<Mutex<Record>>, shared: Arc<Shared>, index: usize) -> Self {
        let (unread, background) = (Vec::new(), Vec::new());
        let (stream, timeout, ended) = (Some(stream), STEP_TIMEOUT, false);
        Self { stream, timeout, unread, record, shared, index, ended, background }
    }

    /// Returns a session that belongs to no server.
    pub(super) fn detached(stream: TcpStream, timeout: Duration) -> Self {
        let (stream, record) = (Arc::new(stream), Arc::default());
        let shared = Arc::<Shared>::default();
        shared.connections().push(Connection {
            record: Arc::clone(&record),
            step: None,
            holds: false,
            failure: None,
            stream: Arc::downgrade(&stream),
        });
        Self { timeout, ..Self::new(stream, record, shared, 0) }
    }

    /// Runs a script, closes the connection and returns the bytes received.
    pub(super) fn run(mut self, script: &Script) -> Vec<u8> {
        let _ = self.perform(script);
        std::mem::take(&mut self.record().received)
    }

    fn serve(mut self, script: &Script) {
        match self.perform(script) {
            Err(problem) if !self.shared.lenient => {
                // Close the connection first, so that the program under test can exit.
                self.close();
                self.shared.update(self.index, |connection| connection.failure = Some(problem));
            }
            Ok(()) | Err(_) => {
                self.shared.update(self.index, |connection| connection.step = None);
                self.close_cleanly();
            }
        }
    }

    fn perform(&mut self, script: &Script) -> StepResult {
        let stream = self.stream();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(self.timeout)).unwrap();
        stream.set_write_timeout(Some(self.timeout)).unwrap();
        for (number, step) in (1..).zip(&script.steps) {
            let name = format!("step {number}: {}", step.name);
            self.shared.update(self.index, |connection| connection.step = Some(name));
            match &step.action {
                Action::Send(bytes) => self.send(bytes)?,
                Action::Run(run) => run(self)?,
            }
            if self.ended {
                break;
            }
        }
        for sender in std::mem::take(&mut self.background) {
            let name = "the end, waiting for background data to be sent".to_owned();
            self.shared.update(self.index, |connection| connection.step = Some(name));
            sender.join().unwrap().map_err(|error| format!("sending: {error}"))?;
        }
        Ok(())
    }

    /// Skips the remaining steps of the script.
    pub(crate) fn end_script(&mut self) {
        self.ended = true;
    }

    /// Runs `work` on the socket in the background while the next steps run.
    pub(crate) fn spawn(&mut self, work: impl FnOnce(Arc<TcpStream>) -> io::Result<()> + Send + 'static) {
        let stream = Arc::clone(self.stream.as_ref().expect("no step uses the socket after `close`"));
        self.background.push(thread::spawn(move || work(stream)));
    }

    /// Shuts down the write side, then discards input until EOF or until the server stops.
    fn close_cleanly(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
        let mut buffer = vec![0; 64 * 1024];
        while !self.shared.stop.wait_for(Duration::ZERO) {
            match (&*stream).read(&mut buffer) {
                Ok(0) => return,
                Err(error) if !is_timeout(&error) => return,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Locks and returns this connection's record.
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }

    /// Returns the socket. Panics after [`close`](Session::close).
    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.as_ref().expect("no step uses the socket after `close`")
    }

    /// Takes the two sources of input for a step: first the buffered bytes, then the socket.
    pub(crate) fn unread_and_stream(&mut self) -> (Cursor<Vec<u8>>, &TcpStream) {
        (Cursor::new(std::mem::take(&mut self.unread)), self.stream())
    }

    /// Sends these bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> StepResult {
        self.stream().write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    /// Waits for data and reads at most `limit` bytes. Returns an empty vector at EOF.
    pub(crate) fn receive_up_to(&mut self, limit: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; limit];
        let length = if self.unread.is_empty() {
            self.stream().read(&mut bytes).map_err(|error| self.read_error(&error))?
        } else {
            let length = limit.min(self.unread.len());
            bytes[..length].copy_from_slice(&self.unread[..length]);
            self.unread.drain(..length);
            length
        };
        bytes.truncate(length);
        self.record().received.extend_from_slice(&bytes);
        Ok(bytes)
    }

    /// Like [`receive_up_to`](Session::receive_up_to), but treats a reset as EOF.
    pub(crate) fn receive_or_reset(&mut self, limit: usize) -> Result<Vec<u8>, String> {
        if self.unread.is_empty() {
            match self.stream().peek(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Vec::new()),
                Err(error) => return Err(self.read_error(&error)),
                Ok(_) => {}
            }
        }
        self.receive_up_to(limit)
    }

    /// Like [`receive_up_to`](Session::receive_up_to), but returns `None` if nothing arrives within
    /// `time`.
    pub(crate) fn receive_within(&mut self, limit: usize, time: Duration) -> Result<Option<Vec<u8>>, String> {
        let mut first = [0];
        self.stream().set_read_timeout(Some(time)).unwrap();
        let waited = if self.unread.is_empty() { self.stream().peek(&mut first) } else { Ok(1) };
        self.stream().set_read_timeout(Some(self.timeout)).unwrap();
        match waited {
            Err(error) if is_timeout(&error) => Ok(None),
            _ => self.receive_up_to(limit).map(Some),
        }
    }

    /// Reads exactly this many bytes.
    pub(crate) fn receive(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while all.len() < count {
            let more = self.receive_up_to(count - all.len())?;
            if more.is_empty() {
                return Err(format!("expected {count} bytes, got EOF after {}", show(&all)));
            }
            all.extend(more);
        }
        Ok(all)
    }

    /// Reads up to and including `end`.
    pub(crate) fn receive_until(&mut self, end: &[u8]) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while !all.ends_with(end) {
            let more = self.receive_up_to(1)?;
            if more.is_empty() {
                return Err(format!("got EOF after {}", show(&all)));
            }
            all.extend(more);
        }
        Ok(all)
    }

    /// Shuts down the write side.
    pub(crate) fn half_close(&mut self) -> StepResult {
        self.stream().shutdown(Shutdown::Write).map_err(|error| format!("half-close: {error}"))
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    /// Keeps the connection open until the server stops.
    pub(crate) fn hold(&mut self) {
        self.shared.update(self.index, |connection| connection.holds = true);
        while !self.shared.stop.wait_for(Duration::from_secs(60)) {}
        self.shared.update(self.index, |connection| connection.holds = false);
    }

    /// Relays between this connection and `target`, including half-closes, until both sides have
    /// sent EOF or one side has failed.
    pub(crate) fn relay(&mut self, target: &str) -> StepResult {
        let addresses = target.to_socket_addrs().map_err(|error| format!("{target}: {error}"))?;
        let address = addresses.into_iter().find(|address| address.ip().is_loopback());
        let address = address.ok_or_else(|| format!("{target} is not on loopback"))?;
        let mut far = TcpStream::connect(address).map_err(|error| format!("{target}: {error}"))?;
        let unread = std::mem::take(&mut self.unread);
        far.write_all(&unread).map_err(|error| format!("{target}: {error}"))?;
        proxy::relay(self.stream(), &far);
        Ok(())
    }

    fn read_error(&self, error: &io::Error) -> String {
        if is_timeout(error) {
            return format!("nothing arrived for {:?}", self.timeout);
        }
        format!("reading: {error}")
    }
}

/// Reads through [`Session::receive_up_to`], which records the bytes.
impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.receive_up_to(buffer.len()).map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

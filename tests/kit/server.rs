//! A fake peer: a server on loopback that follows a script on each connection.

use std::fmt;
use std::io::{self, Cursor, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::script::{Action, Done, Script};
use super::show::show;
use super::{Digest, Gate};

/// How long a step waits for the other side.
const STEP_LIMIT: Duration = super::TIMEOUT;

/// How long [`Server::finish`] waits for scripts that have not come to their end.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// What a connection brought.
#[derive(Clone, Default)]
pub(crate) struct Record {
    /// All that was read, save by `sink` and `relay`.
    pub(crate) received: Vec<u8>,
    /// What `sink` steps read.
    pub(crate) digest: Option<Digest>,
    /// User that was named to the proxy.
    pub(crate) user: Option<String>,
    /// Password that was given to the proxy.
    pub(crate) password: Option<String>,
    /// Target that the proxy was asked for, `host:port`; IPv6 in brackets.
    pub(crate) target: Option<String>,
    /// The last request head that an HTTP proxy got.
    pub(crate) head: Option<String>,
}

/// A server with a port of its own. As `{server}` it is `host:port`.
///
/// [`finish`](Server::finish) it at the end of a test: it waits for the scripts and fails the
/// test if one of them failed. Going out of scope does the same.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    finished: bool,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    changed: Condvar,
    /// Connections that have to come.
    wanted: usize,
    /// Opened when the server is to end.
    stop: Gate,
}

struct Connection {
    record: Arc<Mutex<Record>>,
    /// The step that it is at; none when its script is at its end.
    step: Option<String>,
    /// It only waits for the server's end.
    lingers: bool,
    failure: Option<String>,
    /// Weak: this must not keep the socket open.
    stream: Weak<TcpStream>,
}

type NextScript = Box<dyn FnMut() -> Option<Script> + Send>;

impl Server {
    /// A script for each connection, in the order in which they come. All of them must come, and
    /// one more is a failure. They may be open at the same time.
    pub(crate) fn each(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::each_on(Ipv4Addr::LOCALHOST.into(), scripts)
    }

    /// The same on `[::1]`.
    pub(crate) fn each_v6(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::each_on(Ipv6Addr::LOCALHOST.into(), scripts)
    }

    fn each_on(ip: std::net::IpAddr, scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        let wanted = scripts.len();
        let mut scripts = scripts.into_iter();
        Self::new(ip, wanted, Box::new(move || scripts.next()))
    }

    /// The same script for any number of connections.
    pub(crate) fn repeat(make: impl Fn() -> Script + Send + 'static) -> Self {
        Self::new(Ipv4Addr::LOCALHOST.into(), 0, Box::new(move || Some(make())))
    }

    fn new(ip: std::net::IpAddr, wanted: usize, next: NextScript) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { wanted, ..Shared::default() });
        let server = Self { address, shared: Arc::clone(&shared), finished: false };
        thread::spawn(move || shared.accept(&listener, next));
        server
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `host port`, two words for a command line.
    pub(crate) fn args(&self) -> String {
        format!("{} {}", self.address.ip(), self.address.port())
    }

    /// What the connections have brought so far, in the order in which they came.
    pub(crate) fn records(&self) -> Vec<Record> {
        let connections = self.shared.connections();
        connections.iter().map(|connection| lock(&connection.record).clone()).collect()
    }

    /// Waits until all scripts are at their end, and fails the test if one has failed. What each
    /// connection brought.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Vec<Record> {
        self.end();
        self.records()
    }

    /// For a server with one connection: what that brought.
    #[track_caller]
    pub(crate) fn finish_one(self) -> Record {
        let mut records = self.finish();
        assert_eq!(records.len(), 1, "connections that came");
        records.remove(0)
    }

    #[track_caller]
    fn end(&mut self) {
        self.finished = true;
        let deadline = Instant::now() + FINISH_LIMIT;
        let mut connections = self.shared.connections();
        while !self.shared.at_rest(&connections) && Instant::now() < deadline {
            connections = self.shared.pause(connections);
        }
        drop(connections);
        self.stop();
        // Those that held their connection have steps left, perhaps.
        let deadline = Instant::now() + FINISH_LIMIT;
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
        // Wakes the thread that accepts.
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

    /// Nothing is left to wait for: all have come, and have ended or linger, or one has failed.
    fn at_rest(&self, connections: &[Connection]) -> bool {
        let done = connections.iter().all(|connection| connection.lingers || !connection.is_busy());
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
                (None, Some(step)) => format!("{step}\n    did not come to its end"),
                (None, None) => continue,
            };
            let received = show(&lock(&connection.record).received);
            let _ = write!(report, "\n  connection {number}, {problem}\n    received: {received}");
        }
        let missing = self.wanted.saturating_sub(connections.len());
        if missing > 0 {
            let _ = write!(report, "\n  {missing} of {} connections did not come", self.wanted);
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
                None => (None, Some("one connection more than there are scripts".to_owned())),
            };
            let mut connections = self.connections();
            let index = connections.len();
            connections.push(Connection {
                record: Arc::clone(&record),
                step: script.as_ref().map(|_| "before its first step".to_owned()),
                lingers: false,
                failure,
                stream: Arc::downgrade(&stream),
            });
            drop(connections);
            self.changed.notify_all();
            if let Some(script) = script {
                let shared = Arc::clone(self);
                let session = Session::new(stream, record, shared, index);
                thread::spawn(move || session.perform(script));
            }
        }
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Connection)) {
        change(&mut self.connections()[index]);
        self.changed.notify_all();
    }
}

/// A connection as the steps of its script see it. Reading fails after 60 s of silence.
pub(crate) struct Session {
    stream: Option<Arc<TcpStream>>,
    /// Read from the socket, but not yet by a step.
    unread: Vec<u8>,
    record: Arc<Mutex<Record>>,
    shared: Arc<Shared>,
    index: usize,
    ended: bool,
    background: Vec<thread::JoinHandle<io::Result<()>>>,
}

impl Session {
    fn new(stream: Arc<TcpStream>, record: Arc<Mutex<Record>>, shared: Arc<Shared>, index: usize) -> Self {
        let (stream, unread, background) = (Some(stream), Vec::new(), Vec::new());
        Self { stream, unread, record, shared, index, ended: false, background }
    }

    fn perform(mut self, script: Script) {
        let result = self.perform_steps(script);
        match result {
            Ok(()) => {
                self.shared.update(self.index, |connection| connection.step = None);
                self.leave();
            }
            Err(problem) => {
                // Closed first: the program can then come to its end as well.
                self.close();
                self.shared.update(self.index, |connection| connection.failure = Some(problem));
            }
        }
    }

    fn perform_steps(&mut self, script: Script) -> Done {
        let stream = self.stream();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(STEP_LIMIT)).unwrap();
        stream.set_write_timeout(Some(STEP_LIMIT)).unwrap();
        for (number, step) in (1..).zip(script.steps) {
            let name = format!("step {number}: {}", step.name);
            self.shared.update(self.index, |connection| connection.step = Some(name));
            match step.action {
                Action::Send(bytes) => self.send(&bytes)?,
                Action::Run(run) => run(self)?,
            }
            if self.ended {
                break;
            }
        }
        for sender in std::mem::take(&mut self.background) {
            let name = "the end, when all must have been sent".to_owned();
            self.shared.update(self.index, |connection| connection.step = Some(name));
            sender.join().unwrap().map_err(|error| format!("sending: {error}"))?;
        }
        Ok(())
    }

    /// Makes this step the last one of the script.
    pub(crate) fn end_script(&mut self) {
        self.ended = true;
    }

    /// Does something with the socket while the script goes on.
    pub(crate) fn spawn(&mut self, work: impl FnOnce(Arc<TcpStream>) -> io::Result<()> + Send + 'static) {
        let stream = Arc::clone(self.stream.as_ref().expect("the script goes on after a close"));
        self.background.push(thread::spawn(move || work(stream)));
    }

    /// The polite end: see [`Script`].
    fn leave(&mut self) {
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

    /// The record of this connection, to be read or filled in.
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        lock(&self.record)
    }

    /// The socket; a step after `close` must not ask for it.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.as_ref().expect("the script goes on after a close")
    }

    /// What is still to be read: first this, then from the socket.
    pub(crate) fn unread_and_stream(&mut self) -> (Cursor<Vec<u8>>, &TcpStream) {
        (Cursor::new(std::mem::take(&mut self.unread)), self.stream())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Done {
        self.stream().write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    /// Reads what there is, at most `limit` bytes; nothing at the end of the stream.
    pub(crate) fn receive_up_to(&mut self, limit: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; limit];
        let length = if self.unread.is_empty() {
            self.stream().read(&mut bytes).map_err(|error| reading(&error))?
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

    /// The same, and a reset counts as the end of the stream.
    pub(crate) fn receive_or_reset(&mut self, limit: usize) -> Result<Vec<u8>, String> {
        if self.unread.is_empty() {
            let reset = self.stream().peek(&mut [0]).map_err(|error| error.kind());
            if reset == Err(io::ErrorKind::ConnectionReset) {
                return Ok(Vec::new());
            }
        }
        self.receive_up_to(limit)
    }

    /// The same as `receive_up_to` with a time limit of its own; none when it passed with nothing read.
    pub(crate) fn receive_within(&mut self, limit: usize, time: Duration) -> Result<Option<Vec<u8>>, String> {
        let mut first = [0];
        self.stream().set_read_timeout(Some(time)).unwrap();
        let waited = if self.unread.is_empty() { self.stream().peek(&mut first) } else { Ok(1) };
        self.stream().set_read_timeout(Some(STEP_LIMIT)).unwrap();
        match waited {
            Err(error) if is_timeout(&error) => Ok(None),
            _ => self.receive_up_to(limit).map(Some),
        }
    }

    /// Reads exactly so many bytes.
    pub(crate) fn receive(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while all.len() < count {
            let more = self.receive_up_to(count - all.len())?;
            if more.is_empty() {
                return Err(format!("expected {count} bytes, the stream ended after {}", show(&all)));
            }
            all.extend(more);
        }
        Ok(all)
    }

    /// Reads up to and with `end`, and no further.
    pub(crate) fn receive_until(&mut self, end: &[u8]) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while !all.ends_with(end) {
            let more = self.receive_up_to(1)?;
            if more.is_empty() {
                return Err(format!("the stream ended after {}", show(&all)));
            }
            all.extend(more);
        }
        Ok(all)
    }

    pub(crate) fn half_close(&mut self) -> Done {
        self.stream().shutdown(Shutdown::Write).map_err(|error| format!("half-close: {error}"))
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    /// Waits for the server's end.
    pub(crate) fn hold(&mut self) {
        self.shared.update(self.index, |connection| connection.lingers = true);
        while !self.shared.stop.wait_for(Duration::from_secs(60)) {}
        self.shared.update(self.index, |connection| connection.lingers = false);
    }

    /// Relays both ways until both have ended, half-closes too.
    pub(crate) fn relay(&mut self, target: &str) -> Done {
        let addresses = target.to_socket_addrs().map_err(|error| format!("{target}: {error}"))?;
        let address = addresses.into_iter().find(|address| address.ip().is_loopback());
        let address = address.ok_or_else(|| format!("{target} is not on loopback"))?;
        let far = TcpStream::connect(address).map_err(|error| format!("{target}: {error}"))?;
        let (early, near) = self.unread_and_stream();
        thread::scope(|scope| {
            scope.spawn(|| relay_one_way(&mut early.chain(near), near, &far));
            relay_one_way(&mut &far, &far, near);
        });
        Ok(())
    }
}

fn relay_one_way(source: &mut impl Read, from: &TcpStream, mut to: &TcpStream) {
    if super::copy(source, &mut to).is_ok() {
        let _ = to.shutdown(Shutdown::Write);
    } else {
        // One side broke: it would be a lie to make it a clean end.
        for side in [from, to] {
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn reading(error: &io::Error) -> String {
    if is_timeout(error) {
        return format!("nothing came for {STEP_LIMIT:?}");
    }
    format!("reading: {error}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

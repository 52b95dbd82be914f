//! Helpers for runs that listen (`-p`, `-P`, `--listen`), and for their clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[cfg(unix)]
use rustix::process::Signal;

use crate::kit::*;

/// The lines on stderr so far, and a notification for each new one.
type Lines = Arc<(Mutex<Vec<String>>, Condvar)>;

/// A run with `-d` that listens.
pub(crate) struct Listening {
    pub(crate) run: Running,
    lines: Lines,
    collector: Option<JoinHandle<()>>,
}

/// The outcome of a run that listened.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    /// The signal that killed the program.
    #[cfg(unix)]
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    /// Lines on stderr, except debug lines.
    pub(crate) messages: Vec<String>,
    /// CPU time used by the program.
    pub(crate) cpu: Duration,
}

/// Starts the program with `-d` and these args.
pub(crate) fn listening(args: impl AsRef<str>) -> Listening {
    Listening::start(connect(format!("-d {}", args.as_ref())))
}

/// Prepares a run of the program under a resource limit, given as `ulimit` options.
#[cfg(unix)]
pub(crate) fn with_ulimit(limit: &str, args: &str) -> Program {
    let shell = Program::new("/bin/sh").arg("-c").arg(format!("ulimit {limit} && exec \"$0\" \"$@\""));
    shell.arg(program_path()).args(args)
}

/// Returns the message that `--idle-timeout` prints. `time` is the limit in words.
pub(crate) fn idle_message(peer: &str, time: &str) -> String {
    format!("session with {peer} idle for {time}: closed by --idle-timeout")
}

impl Listening {
    /// Starts a program, whose args must contain `-d`.
    pub(crate) fn start(program: Program) -> Self {
        let (reader, writer) = pipe();
        let run = program.stderr(writer).start();
        let lines = Lines::default();
        let shared = Arc::clone(&lines);
        let collector = std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                shared.0.lock().unwrap().push(line.unwrap());
                shared.1.notify_all();
            }
        });
        Self { run, lines, collector: Some(collector) }
    }

    /// Waits until the lines on stderr satisfy `enough`, and returns them.
    #[track_caller]
    fn lines(&self, what: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let (lines, changed) = &*self.lines;
        let lines = lines.lock().unwrap();
        let (lines, waited) = changed.wait_timeout_while(lines, TIMEOUT, |lines| !enough(lines)).unwrap();
        assert!(!waited.timed_out(), "no {what} in {lines:#?}");
        lines.clone()
    }

    /// Waits for a line on stderr that contains `part`, and returns the first such line.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, part: &str) -> String {
        let lines = self.lines(part, |lines| lines.iter().any(|line| line.contains(part)));
        lines.into_iter().find(|line| line.contains(part)).unwrap()
    }

    /// Waits until at least `count` lines on stderr contain `part`.
    #[track_caller]
    pub(crate) fn wait_for_lines(&self, part: &str, count: usize) {
        let found = |lines: &[String]| lines.iter().filter(|line| line.contains(part)).count();
        drop(self.lines(part, |lines| found(lines) >= count));
    }

    /// Counts the lines on stderr so far that contain `part`.
    pub(crate) fn count_lines(&self, part: &str) -> usize {
        self.lines.0.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// Returns the lines on stderr so far, except debug lines.
    pub(crate) fn messages(&self) -> Vec<String> {
        messages(&self.lines.0.lock().unwrap())
    }

    /// Waits for `count` TCP listeners, and returns their addresses.
    #[track_caller]
    pub(crate) fn addresses(&self, count: usize) -> Vec<SocketAddr> {
        let parse = |line: &String| {
            let (_, bound) = line.split_once("waiting new connection at port ")?;
            let (port, address) = bound.split_once(' ')?;
            let address: SocketAddr = address.strip_prefix('(')?.strip_suffix(')')?.parse().ok()?;
            assert_eq!(port, address.port().to_string(), "{line}");
            Some(address)
        };
        let addresses = |lines: &[String]| lines.iter().filter_map(parse).collect::<Vec<_>>();
        addresses(&self.lines("listener", |lines| addresses(lines).len() >= count))
    }

    /// Waits for the first TCP listener, and returns its address. `None` if the run ends without
    /// one.
    #[cfg(unix)]
    pub(crate) fn address_or_exit(&self) -> Option<SocketAddr> {
        let running = self.run.running_check();
        let listens = |lines: &[String]| lines.iter().any(|line| line.contains("waiting new connection"));
        eventually("a listener, or the end", || listens(&self.lines.0.lock().unwrap()) || !running());
        running().then(|| self.address())
    }

    /// Waits for the first TCP listener, and returns its address.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses(1)[0]
    }

    /// Connects a new client to the first TCP listener.
    #[track_caller]
    pub(crate) fn client(&self) -> TcpStream {
        connect_to(self.address())
    }

    /// Ends a run that would listen forever, and returns its messages. On Unix, a signal ends the
    /// program, which must exit successfully; on Windows, the program is killed.
    #[track_caller]
    pub(crate) fn close(self) -> Vec<String> {
        #[cfg(unix)]
        let end = self.stop(Signal::TERM);
        #[cfg(unix)]
        assert_eq!((end.code, end.stdout.as_str()), (Some(0), ""), "{end:?}");
        #[cfg(not(unix))]
        self.run.kill();
        #[cfg(not(unix))]
        let end = self.end();
        end.messages
    }

    /// Sends a signal, and waits for the program to exit.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn stop(self, signal: Signal) -> End {
        self.run.signal(signal);
        self.end()
    }

    /// Waits for the program to exit, leaving its stdin as it is.
    #[track_caller]
    pub(crate) fn end(mut self) -> End {
        let outcome = self.run.wait();
        self.collector.take().unwrap().join().unwrap();
        End {
            code: outcome.code,
            #[cfg(unix)]
            signal: outcome.signal,
            stdout: outcome.stdout_text(),
            messages: self.messages(),
            cpu: outcome.cpu,
        }
    }

    /// Returns the number of entries in `/proc/PID/directory`.
    #[cfg(target_os = "linux")]
    fn count(&self, directory: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{directory}", self.run.pid())).unwrap().count()
    }

    /// Counts the program's open descriptors and threads.
    #[cfg(target_os = "linux")]
    pub(crate) fn count_descriptors_and_threads(&self) -> (usize, usize) {
        (self.count("fd"), self.count("task"))
    }
}

fn messages(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !line.starts_with("DEBUG: ")).cloned().collect()
}

impl End {
    /// Expects exit code 0, no messages, and nothing on stdout.
    #[track_caller]
    pub(crate) fn expect_success(&self) {
        assert_eq!((self.code, self.messages.as_slice(), self.stdout.as_str()), (Some(0), &[][..], ""));
    }

    /// Expects that this signal killed the program, and no messages.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn expect_killed_by(&self, signal: Signal) {
        assert_eq!((self.signal, self.messages.as_slice()), (Some(signal.as_raw()), &[][..]), "{self:?}");
    }

    /// Expects this exit code, and one message that contains each of `parts`.
    #[track_caller]
    pub(crate) fn expect_failure(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let [message] = self.messages.as_slice() else { panic!("not one message: {self:?}") };
        assert!(message.starts_with("connect: "), "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

/// Connects a client to a UNIX-domain socket, and retries because the path exists before the socket
/// accepts connections.
#[cfg(unix)]
#[track_caller]
pub(crate) fn connect_to_socket(path: &std::path::Path) -> std::os::unix::net::UnixStream {
    let mut client = None;
    eventually("a listener", || {
        client = std::os::unix::net::UnixStream::connect(path).ok();
        client.is_some()
    });
    let client = client.unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client
}

/// Connects a client to this address.
#[track_caller]
pub(crate) fn connect_to(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.set_write_timeout(Some(TIMEOUT)).unwrap();
    client
}

/// Sends these bytes, and expects the same bytes back.
#[track_caller]
pub(crate) fn expect_echo(mut client: impl Read + Write, bytes: impl AsRef<[u8]>) {
    client.write_all(bytes.as_ref()).unwrap();
    assert_eq!(show(&read(&mut client, bytes.as_ref().len())), show(bytes.as_ref()));
}

/// Reads exactly `count` bytes.
#[track_caller]
pub(crate) fn read(mut client: impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads up to EOF. A reset is a failure.
#[track_caller]
pub(crate) fn read_to_end(mut client: impl Read) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

/// Expects EOF or a reset before any further data.
#[track_caller]
pub(crate) fn expect_disconnect(mut client: impl Read) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("data arrived"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

/// Expects a reset before any further data. EOF is a failure.
#[track_caller]
pub(crate) fn expect_reset(mut client: impl Read) {
    let end = loop {
        match client.read(&mut [0]).map_err(|error| error.kind()) {
            Err(std::io::ErrorKind::Interrupted) => {}
            end => break end,
        }
    };
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
}

/// Closes a connection with a reset.
pub(crate) fn reset(client: TcpStream) {
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a tunnel over TLS with the program at both ends, and exchanges a few bytes with the target
/// through it. `scheme` is that of the listener and of the hop, and `query` is for the hop only.
#[cfg(feature = "tls")]
#[track_caller]
pub(crate) fn exchange_over_tls(scheme: &str, path: &str, query: &str) {
    let authority = Authority::new("CA");
    let identity = authority.localhost();
    let (certificate, key, ca) = (identity.certificate_file(), identity.key_file(), authority.file());
    let target = script().expect("ping").expect_eof().send("pong").serve();
    let run = listening(format!(
        "--listen {scheme}://127.0.0.1:0{path} --open --serve-cert {} --serve-key {} {}",
        certificate.display(),
        key.display(),
        target.args()
    ));
    let port = run.address().port();
    let url = format!("{scheme}://localhost:{port}{path}{query}#tls-ca={}", ca.display());
    let client = connect(format!("-x {url} host.example 22"));
    client.input("ping").run().expect_success().expect_stdout("pong");
    target.finish();
    run.close();
}

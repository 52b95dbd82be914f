//! What the suites of `-p`, `-P` and `--listen` have in common: a run that listens, and its clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[cfg(unix)]
use rustix::process::Signal;

use crate::kit::*;

/// How long anything may take before a test fails.
pub(crate) const LIMIT: Duration = TIMEOUT;

/// What has come on stderr, and a bell for more.
type Lines = Arc<(Mutex<Vec<String>>, Condvar)>;

/// A run with `-d` that listens.
pub(crate) struct Listening {
    pub(crate) run: Running,
    lines: Lines,
    collector: Option<JoinHandle<()>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Its lines on stderr but those of `-d`.
    pub(crate) messages: Vec<String>,
    /// Processor time.
    pub(crate) cpu: Duration,
}

/// Starts the program with `-d` and these words.
pub(crate) fn listening(words: impl AsRef<str>) -> Listening {
    Listening::start(connect(format!("-d {}", words.as_ref())))
}

/// The program under test with a limit, in the words of `ulimit`.
#[cfg(unix)]
pub(crate) fn limited(limit: &str, words: &str) -> Program {
    let shell = Program::new("/bin/sh").arg("-c").arg(format!("ulimit {limit} && exec \"$0\" \"$@\""));
    shell.arg(program_path()).args(words)
}

impl Listening {
    /// Starts a program that gets `-d`.
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

    /// Its lines on stderr, once `enough` of them have come.
    #[track_caller]
    fn lines(&self, what: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let (lines, bell) = &*self.lines;
        let lines = lines.lock().unwrap();
        let (lines, waited) = bell.wait_timeout_while(lines, LIMIT, |lines| !enough(lines)).unwrap();
        assert!(!waited.timed_out(), "waited for {what}, and there is {lines:#?}");
        lines.clone()
    }

    /// Waits until a line on stderr has this in it, and returns the first that has.
    #[track_caller]
    pub(crate) fn told(&self, part: &str) -> String {
        let lines = self.lines(part, |lines| lines.iter().any(|line| line.contains(part)));
        lines.into_iter().find(|line| line.contains(part)).unwrap()
    }

    /// Waits until so many lines on stderr have this in them.
    #[track_caller]
    pub(crate) fn told_times(&self, part: &str, times: usize) {
        let count = |lines: &[String]| lines.iter().filter(|line| line.contains(part)).count();
        drop(self.lines(part, |lines| count(lines) >= times));
    }

    /// Its lines on stderr so far but those of `-d`.
    pub(crate) fn messages(&self) -> Vec<String> {
        messages(&self.lines.0.lock().unwrap())
    }

    /// Where its TCP listeners are, once there are so many.
    #[track_caller]
    pub(crate) fn places(&self, count: usize) -> Vec<SocketAddr> {
        let of_line = |line: &String| {
            let (_, place) = line.split_once("waiting new connection at port ")?;
            let (port, address) = place.split_once(' ')?;
            let address: SocketAddr = address.strip_prefix('(')?.strip_suffix(')')?.parse().ok()?;
            assert_eq!(port, address.port().to_string(), "{line}");
            Some(address)
        };
        let places = |lines: &[String]| lines.iter().filter_map(of_line).collect::<Vec<_>>();
        places(&self.lines("a listener", |lines| places(lines).len() >= count))
    }

    /// Where its first TCP listener is, or nothing if the run has ended without one.
    pub(crate) fn place_or_end(&self) -> Option<SocketAddr> {
        let running = self.run.running_check();
        let listens = |lines: &[String]| lines.iter().any(|line| line.contains("waiting new connection"));
        eventually("a listener, or the end", || listens(&self.lines.0.lock().unwrap()) || !running());
        running().then(|| self.place())
    }

    /// Where its only TCP listener is.
    #[track_caller]
    pub(crate) fn place(&self) -> SocketAddr {
        self.places(1)[0]
    }

    /// A new client of its only TCP listener.
    #[track_caller]
    pub(crate) fn client(&self) -> TcpStream {
        client_of(self.place())
    }

    /// Ends one that would go on for ever, and returns its lines on stderr but those of `-d`. A signal does it, which
    /// is a success; where there are no signals, force.
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

    /// Sends a signal and waits for the end, which must come soon.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn stop(self, signal: Signal) -> End {
        self.run.signal(signal);
        let start = Instant::now();
        let end = self.end();
        assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
        end
    }

    /// Waits for the end, with stdin left as it is.
    #[track_caller]
    pub(crate) fn end(mut self) -> End {
        let outcome = self.run.wait();
        self.collector.take().unwrap().join().unwrap();
        End { code: outcome.code, stdout: outcome.stdout_text(), messages: self.messages(), cpu: outcome.cpu }
    }

    /// How many entries its directory in /proc has.
    #[cfg(target_os = "linux")]
    fn count(&self, what: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{what}", self.run.pid())).unwrap().count()
    }

    /// How many descriptors and threads it has.
    #[cfg(target_os = "linux")]
    pub(crate) fn descriptors_and_threads(&self) -> (usize, usize) {
        (self.count("fd"), self.count("task"))
    }
}

fn messages(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !line.starts_with("DEBUG: ")).cloned().collect()
}

impl End {
    /// Exit code 0, not a word but those of `-d`.
    #[track_caller]
    pub(crate) fn expect_success(&self) {
        assert_eq!((self.code, self.messages.as_slice(), self.stdout.as_str()), (Some(0), &[][..], ""));
    }

    /// This exit code and one line that has these parts.
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

/// A client of the listener there.
#[track_caller]
pub(crate) fn client_of(place: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(place).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.set_write_timeout(Some(LIMIT)).unwrap();
    client
}

/// Sends this and waits until as much has come back, the same.
#[track_caller]
pub(crate) fn echoed(mut client: impl Read + Write, bytes: impl AsRef<[u8]>) {
    client.write_all(bytes.as_ref()).unwrap();
    assert_eq!(show(&read(&mut client, bytes.as_ref().len())), show(bytes.as_ref()));
}

/// Reads so many bytes.
#[track_caller]
pub(crate) fn read(mut client: impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads up to the end, which must not be a reset.
#[track_caller]
pub(crate) fn read_to_end(mut client: impl Read) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

/// Waits for the end of a connection on which nothing more comes, be it a reset.
#[track_caller]
pub(crate) fn expect_disconnect(mut client: impl Read) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => panic!("something came"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

/// Waits for a reset, which must come before anything else and is no clean end.
#[track_caller]
pub(crate) fn expect_reset(mut client: impl Read) {
    let end = client.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
}

/// Leaves with a reset.
pub(crate) fn reset(client: TcpStream) {
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// Waits until this holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

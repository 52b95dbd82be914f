//! Runs sessions over a bad link: one in each mode of the program, all at the same time.

use std::fs::File;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::exchange::{Channel, Ending, HalfClose, Job, Outcome, Pace, exchange};
use crate::kit::set_nonblocking;
use crate::kit::stream::Stream;
use crate::link::{Behavior, DEAD, GOOD};
use crate::machines::{FAR_ADDRESS, HTTP_PROXY, Network, SOCKS_PROXY};
use crate::session::{serve_one, wait};

const UP: Stream = Stream { seed: 3, len: 1_500_000 };
const DOWN: Stream = Stream { seed: 4, len: 1_500_000 };
const NOTHING: Stream = Stream { seed: 5, len: 0 };

/// A session that makes no progress for this long has hung.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that a session runs over a slow link before the test changes the link's behavior.
const UNDER_WAY: Duration = Duration::from_millis(1400);

/// The use of the program, and its route to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Stdio,
    /// Like `Stdio`, but the relay copies through user space instead of using splice(2).
    Copy,
    Port,
    Socks,
    Http,
    Listen,
}

const ALL: &[Mode] = &[Mode::Stdio, Mode::Copy, Mode::Port, Mode::Socks, Mode::Http, Mode::Listen];
/// The modes that use no proxy. Tests of resets use only these, because a proxy may not pass on the
/// target's reset.
const DIRECT: &[Mode] = &[Mode::Stdio, Mode::Copy, Mode::Port, Mode::Listen];

impl Mode {
    fn args(self, port: u16) -> String {
        match self {
            Self::Stdio | Self::Copy => format!("{FAR_ADDRESS} {port}"),
            Self::Port => format!("-p {port} {FAR_ADDRESS} {port}"),
            Self::Listen => format!("--listen {port} {FAR_ADDRESS} {port}"),
            Self::Socks => format!("-S {SOCKS_PROXY} {FAR_ADDRESS} {port}"),
            Self::Http => format!("-H {HTTP_PROXY} {FAR_ADDRESS} {port}"),
        }
    }
}

/// The data that a session transfers.
#[derive(Clone, Copy)]
struct Transfer {
    up: Stream,
    /// The stream that the near end expects to receive.
    down: Stream,
    /// The stream that the target sends.
    target_sends: Stream,
    /// The target resets the connection after this many bytes, counting both directions.
    target_resets: Option<u64>,
    /// Additional options for the program.
    options: &'static str,
}

const BOTH_WAYS: Transfer =
    Transfer { up: UP, down: DOWN, target_sends: DOWN, target_resets: None, options: "" };
const IDLE_TIMEOUT: Transfer = Transfer { options: "--idle-timeout 3", ..BOTH_WAYS };

/// The outcome of a session.
struct Report {
    mode: Mode,
    near: Outcome,
    /// Receives the target's outcome. On a dead link, the target may never finish.
    target: Receiver<Outcome>,
    /// `None` if the program died from a signal, or hung and was killed.
    code: Option<i32>,
    stderr: String,
}

struct Suite {
    network: Network,
    program: PathBuf,
    /// The port that the next session uses, both for the target and for the program's listener.
    /// Always below the ephemeral ports.
    next_port: AtomicU16,
}

/// Runs all cases. Returns the number of sessions and a list of problems.
pub(crate) fn run(program: &Path) -> (usize, Vec<String>) {
    let suite =
        Suite { network: Network::new(), program: program.to_owned(), next_port: AtomicU16::new(5000) };
    let mut cases =
        Cases { suite: Arc::new(suite), sessions: 0, problems: Vec::new(), started: Instant::now() };
    cases.all_data_arrives();
    cases.the_link_fails();
    cases.the_target_resets();
    cases.only_tcp_timers_notice();
    (cases.sessions, cases.problems)
}

struct Cases {
    suite: Arc<Suite>,
    sessions: usize,
    problems: Vec<String>,
    started: Instant,
}

impl Cases {
    fn all_data_arrives(&mut self) {
        for (name, behavior) in [
            ("good", GOOD),
            ("lossy", Behavior { loss: 2, delay: 5, jitter: 5, ..GOOD }),
            ("reordered", Behavior { reorder: 10, duplicate: 3, delay: 5, ..GOOD }),
            ("corrupted", Behavior { corrupt: 1, delay: 2, ..GOOD }),
        ] {
            self.link(behavior);
            let sessions = self.start(ALL, BOTH_WAYS);
            self.expect_success(name, sessions);
        }
        let sessions = self.start_slowly(ALL, BOTH_WAYS);
        self.link(DEAD);
        sleep(Duration::from_secs(2));
        self.link(Behavior { delay: 5, ..GOOD });
        self.expect_success("interrupted", sessions);
    }

    fn the_link_fails(&mut self) {
        let sessions = self.start_slowly(ALL, IDLE_TIMEOUT);
        self.link(DEAD);
        self.expect_failure("dead", sessions, 7, "--idle-timeout");
        // If the link drops large packets without an ICMP error, the handshake works, but the data
        // does not arrive.
        self.link(Behavior { max_packet: 1000, ..GOOD });
        let sessions = self.start(ALL, IDLE_TIMEOUT);
        self.expect_failure("black-hole", sessions, 7, "--idle-timeout");
    }

    fn the_target_resets(&mut self) {
        let sessions = self.start_slowly(DIRECT, Transfer { target_resets: Some(1_000_000), ..BOTH_WAYS });
        self.expect_failure("reset", sessions, 8, BROKEN);
    }

    /// Without an idle timeout, only TCP's own timers detect a dead link. This test shortens them.
    fn only_tcp_timers_notice(&mut self) {
        self.suite.network.near.set_ipv4_parameter("tcp_retries2", 3);
        let upload = Transfer { down: NOTHING, target_sends: NOTHING, ..BOTH_WAYS };
        let sessions = self.start_slowly(ALL, upload);
        self.link(DEAD);
        self.expect_failure("dead-while-sending", sessions, 8, BROKEN);
        // With nothing to send, only TCP keep-alive detects that the peer has vanished.
        self.link(GOOD);
        let options = "--tcp-keepalive 1";
        let waiting = Transfer { options, up: NOTHING, target_sends: NOTHING, ..BOTH_WAYS };
        let sessions = self.start(ALL, waiting);
        sleep(Duration::from_secs(1));
        self.link(DEAD);
        self.expect_failure("vanished", sessions, 8, BROKEN);
    }

    fn link(&self, behavior: Behavior) {
        self.suite.network.link.set(behavior);
    }

    /// Starts a session in each of these modes.
    fn start(&self, modes: &[Mode], transfer: Transfer) -> Vec<JoinHandle<io::Result<Report>>> {
        let start = |&mode| {
            let suite = Arc::clone(&self.suite);
            thread::spawn(move || suite.session(mode, transfer))
        };
        modes.iter().map(start).collect()
    }

    /// Starts sessions on a slow link, and returns while they are under way.
    fn start_slowly(&self, modes: &[Mode], transfer: Transfer) -> Vec<JoinHandle<io::Result<Report>>> {
        self.link(Behavior { delay: 100, ..GOOD });
        let sessions = self.start(modes, transfer);
        sleep(UNDER_WAY);
        sessions
    }

    fn expect_success(&mut self, case: &str, sessions: Vec<JoinHandle<io::Result<Report>>>) {
        self.expect(case, sessions, |report| {
            // The target may finish a moment after the program exits.
            let target = report.target.recv_timeout(Duration::from_secs(5)).ok();
            let whole = |stream: Stream| Outcome { received: stream.len, ending: Ending::Clean };
            let arrived = report.near == whole(DOWN) && target == Some(whole(UP));
            (arrived && report.code == Some(0) && report.stderr.is_empty()).then_some(()).ok_or(target)
        });
    }

    fn expect_failure(
        &mut self,
        case: &str,
        sessions: Vec<JoinHandle<io::Result<Report>>>,
        code: i32,
        text: &str,
    ) {
        self.expect(case, sessions, |report| {
            let target = report.target.try_recv().ok();
            let is_broken = matches!(report.near.ending, Ending::Failed(_));
            // The client of a listener cannot see the exit code, so it must see a reset.
            let is_reported = match report.mode {
                Mode::Listen => is_broken,
                Mode::Port => is_broken && report.code == Some(code),
                _ => report.code == Some(code),
            };
            let is_message = |line: &&str| line.starts_with("connect: ") && line.contains(text);
            let is_wrong = |outcome: &Outcome| outcome.ending == Ending::WrongData;
            let wrong = is_wrong(&report.near) || target.as_ref().is_some_and(is_wrong);
            let holds = is_reported && !wrong && report.stderr.lines().filter(is_message).count() == 1;
            holds.then_some(()).ok_or(target)
        });
    }

    /// Waits for the sessions and calls `check` for each. If the check fails, it returns the
    /// target's outcome, which becomes part of the problem's description.
    fn expect(
        &mut self,
        case: &str,
        sessions: Vec<JoinHandle<io::Result<Report>>>,
        check: impl Fn(&Report) -> Result<(), Option<Outcome>>,
    ) {
        for session in sessions {
            self.sessions += 1;
            match session.join().expect("a session does not panic") {
                Err(error) => self.problems.push(format!("{case}: {error}")),
                Ok(report) => {
                    if let Err(target) = check(&report) {
                        let Report { mode, near, code, stderr, .. } = report;
                        self.problems.push(format!(
                            "{case}, {mode:?}: exit code {code:?}, near {near:?}, target {target:?}, stderr {stderr:?}"
                        ));
                    }
                }
            }
        }
        println!("{case}: after {} s", self.started.elapsed().as_secs());
    }
}

/// Part of the error message for a broken connection.
const BROKEN: &str = "lost the connection";

impl Suite {
    /// Runs one session from `near` to a target on `far`.
    fn session(&self, mode: Mode, transfer: Transfer) -> io::Result<Report> {
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        let target = self.target(port, transfer)?;
        let mut child = self.start_program(mode, port, transfer.options)?;
        let mut stderr = child.stderr.take().ok_or_else(|| io::Error::other("stderr is no pipe"))?;
        let lines = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let job = Job {
            send: transfer.up,
            receive: transfer.down,
            pace: Pace::default(),
            abort_after: None,
            half_close: HalfClose::AfterEverything,
            idle_timeout: STALL_TIMEOUT,
        };
        let near = match mode {
            Mode::Port | Mode::Listen => exchange(&mut Channel::Socket(self.client(port)?), &job),
            _ => exchange(&mut pipes(&mut child)?, &job),
        };
        if mode == Mode::Listen {
            // The listener runs until a signal stops it. Give it time to report how the session
            // ended.
            sleep(Duration::from_millis(300));
            kill_process(Pid::from_child(&child), Signal::TERM)?;
        }
        let code = wait(&mut child, STALL_TIMEOUT)?.and_then(|status| status.code());
        let stderr = lines.join().map_err(|_| io::Error::other("the reader of stderr panicked"))??;
        Ok(Report { mode, near, target, code, stderr })
    }

    /// Starts a target that serves one connection.
    fn target(&self, port: u16, transfer: Transfer) -> io::Result<Receiver<Outcome>> {
        let listener = self.network.far.enter(|| TcpListener::bind((FAR_ADDRESS, port)))?;
        let (sender, outcome) = mpsc::channel();
        let job = Job {
            send: transfer.target_sends,
            receive: transfer.up,
            pace: Pace::default(),
            abort_after: transfer.target_resets,
            half_close: HalfClose::AfterEof,
            idle_timeout: STALL_TIMEOUT,
        };
        // This thread is never joined: on a dead link it may never notice that the session has
        // ended.
        thread::spawn(move || -> io::Result<()> {
            let outcome = serve_one(listener.accept()?.0, &job)?;
            let _ = sender.send(outcome);
            Ok(())
        });
        Ok(outcome)
    }

    fn start_program(&self, mode: Mode, port: u16, options: &str) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(options.split_whitespace()).args(mode.args(port).split_whitespace());
        command.env_clear().env("HOME", "/nonexistent");
        command.env("CONNECT_RELAY", if mode == Mode::Copy { "copy" } else { "splice" });
        command.stderr(Stdio::piped());
        if matches!(mode, Mode::Port | Mode::Listen) {
            command.stdin(Stdio::null()).stdout(Stdio::null());
        } else {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        self.network.near.enter(|| command.spawn())
    }

    /// Connects to the program's local port, and retries until the program listens.
    fn client(&self, port: u16) -> io::Result<TcpStream> {
        let start = Instant::now();
        loop {
            match self.network.near.enter(|| TcpStream::connect(("127.0.0.1", port))) {
                Err(_) if start.elapsed() < Duration::from_secs(10) => sleep(Duration::from_millis(20)),
                result => {
                    let stream = result?;
                    stream.set_nonblocking(true)?;
                    return Ok(stream);
                }
            }
        }
    }
}

/// Takes our ends of the program's stdin and stdout, and makes them non-blocking.
fn pipes(child: &mut Child) -> io::Result<Channel> {
    let missing = || io::Error::other("stdin or stdout is no pipe");
    let input = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
    let output = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
    set_nonblocking(&input, true);
    set_nonblocking(&output, true);
    Ok(Channel::Pipes(Some(File::from(input)), File::from(output)))
}

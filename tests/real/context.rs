//! Test cases, and the context in which each one runs.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::kit::{Outcome, Program, TIMEOUT, pipe, show};
use crate::peers::{Endpoint, Peers, has_ipv6};
use crate::servers::Server;

/// A named check, which fails by panicking.
pub(crate) struct Case {
    /// In the form `topic: sentence`.
    pub(crate) name: String,
    /// The C program does not support what this case tests, or not reliably.
    pub(crate) ours_only: bool,
    /// The reason why the case cannot run on this machine; `None` if it can.
    pub(crate) obstacle: Option<&'static str>,
    pub(crate) run: Box<dyn Fn(&Context) + Send + Sync>,
}

/// The cases of one topic.
pub(crate) struct Topic {
    name: &'static str,
    cases: Vec<Case>,
}

impl Topic {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, cases: Vec::new() }
    }

    /// Adds a case for both programs.
    pub(crate) fn both(&mut self, name: impl AsRef<str>, run: impl Fn(&Context) + Send + Sync + 'static) {
        self.add(name.as_ref(), false, None, run);
    }

    /// Adds a case for this program only, not for the C program.
    pub(crate) fn ours(&mut self, name: impl AsRef<str>, run: impl Fn(&Context) + Send + Sync + 'static) {
        self.add(name.as_ref(), true, None, run);
    }

    /// Adds a case that needs the address `::1`, for this program only.
    pub(crate) fn ipv6(&mut self, name: impl AsRef<str>, run: impl Fn(&Context) + Send + Sync + 'static) {
        self.unless((!has_ipv6()).then_some("the loopback interface has no ::1"), name, run);
    }

    /// Adds a case that cannot run if there is an obstacle, for this program only.
    pub(crate) fn unless(
        &mut self,
        obstacle: Option<&'static str>,
        name: impl AsRef<str>,
        run: impl Fn(&Context) + Send + Sync + 'static,
    ) {
        self.add(name.as_ref(), true, obstacle, run);
    }

    fn add(
        &mut self,
        name: &str,
        ours_only: bool,
        obstacle: Option<&'static str>,
        run: impl Fn(&Context) + Send + Sync + 'static,
    ) {
        let name = format!("{}: {name}", self.name);
        self.cases.push(Case { name, ours_only, obstacle, run: Box::new(run) });
    }

    pub(crate) fn into_cases(self) -> Vec<Case> {
        self.cases
    }
}

/// The context of a running case.
pub(crate) struct Context<'a> {
    pub(crate) peers: &'a Peers,
    /// The number of the worker thread. Each worker has its own ports on the target.
    pub(crate) worker: usize,
    /// Set if the C program is under test. Its exit codes and messages are not compared.
    original: bool,
    /// A folder for this case.
    pub(crate) folder: PathBuf,
    /// The size of each server's log when the case started, or when it acquired its lock.
    marks: RefCell<Vec<(Server, u64)>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(peers: &'a Peers, worker: usize, original: bool, number: usize) -> Self {
        let folder = peers.work.join("case").join(number.to_string());
        fs::create_dir(&folder).unwrap();
        let marks = RefCell::new(log_sizes(peers));
        Self { peers, worker, original, folder, marks }
    }

    /// Returns sshd's port for this case.
    #[track_caller]
    pub(crate) fn port(&self) -> u16 {
        self.peers.sshd_port(self.worker)
    }

    /// Returns the address of a proxy as `127.0.0.1:PORT`.
    #[track_caller]
    pub(crate) fn address(&self, endpoint: Endpoint) -> String {
        self.peers.address(endpoint)
    }

    /// Writes a file into the case's folder.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    // Programs

    /// Prepares a run of the program under test with these arguments, split at spaces.
    pub(crate) fn connect(&self, args: impl AsRef<str>) -> Program {
        program(&self.peers.connect, args.as_ref().split_whitespace())
    }

    /// Returns the options that make ssh, scp and sftp reach the target through this
    /// `ProxyCommand`.
    #[track_caller]
    pub(crate) fn ssh_options(&self, proxy_command: &str) -> Vec<String> {
        let config = self.peers.ssh_config().display().to_string();
        let options = [
            &*config,
            "-o",
            &format!("Port={}", self.port()),
            "-o",
            &format!("ProxyCommand={proxy_command}"),
        ]
        .map(str::to_owned);
        [vec!["-F".to_owned()], options.to_vec()].concat()
    }

    /// Prepares a run of ssh that executes a command on the target.
    #[track_caller]
    pub(crate) fn ssh(&self, connect_args: &str, command: &str) -> Program {
        let proxy_command = format!("{} {connect_args} %h %p", self.peers.connect.display());
        program("ssh", self.ssh_options(&proxy_command)).arg("target").arg(command)
    }

    /// Runs the program and expects sshd's banner.
    #[track_caller]
    pub(crate) fn expect_banner(&self, program: Program) -> Outcome {
        let outcome = run_with_open_input(program);
        self.expect_code(&outcome, 0);
        let has_banner =
            outcome.stdout.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"SSH-2.0-"));
        assert!(has_banner, "{outcome:?}\n  expected: the banner of sshd");
        outcome
    }

    // Expectations

    /// Expects this exit code. From the C program, accepts any nonzero code if `code` is nonzero.
    #[track_caller]
    pub(crate) fn expect_code(&self, outcome: &Outcome, code: i32) {
        if self.original && code != 0 {
            assert!(outcome.code.is_some_and(|code| code != 0), "{outcome:?}\n  expected: a failure");
        } else {
            outcome.expect_code(code);
        }
    }

    /// Expects a proper failure: this exit code, nothing on standard output, and one line on
    /// standard error that starts with `connect: ` and contains each of `parts`, ignoring case. A
    /// part `a|b` matches either. The C program's messages are not compared.
    #[track_caller]
    pub(crate) fn expect_failure(&self, outcome: &Outcome, code: i32, parts: &[&str]) {
        self.expect_code(outcome, code);
        outcome.expect_stdout("");
        assert!(!outcome.stderr.is_empty(), "{outcome:?}\n  expected: a message");
        if self.original {
            return;
        }
        // Check only the form of the message here.
        outcome.expect_failure(code, &[]);
        let message = outcome.stderr_text().to_lowercase();
        for part in parts {
            let is_there = part.to_lowercase().split('|').any(|word| message.contains(word));
            assert!(is_there, "{outcome:?}\n  expected on stderr: {part:?}");
        }
    }

    /// Returns `true` if this program, rather than the C program, is under test.
    pub(crate) fn is_ours(&self) -> bool {
        !self.original
    }

    /// Expects a line in a server's log that contains these parts, in this order. Without such a
    /// line, the session did not go through the server.
    #[track_caller]
    pub(crate) fn expect_log(&self, server: Server, parts: &[&str]) {
        self.expect_log_lines(server, parts, 1);
    }

    /// Expects at least `count` lines with these parts in a server's log. Waits for them, because a
    /// server may log a session only after the session has ended, and a browser takes seconds to
    /// start on a busy machine.
    #[track_caller]
    pub(crate) fn expect_log_lines(&self, server: Server, parts: &[&str], count: usize) {
        let start = Instant::now();
        while self.count_log_lines(server, parts) < count {
            let waited = start.elapsed();
            assert!(
                waited < TIMEOUT,
                "expected {count} lines with {parts:?} in the log of {}",
                server.name()
            );
            sleep(Duration::from_millis(10));
        }
    }

    fn count_log_lines(&self, server: Server, parts: &[&str]) -> usize {
        let news = self.news(server);
        // A line without a newline is still being written.
        let lines = news.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.filter(|line| has_in_order(line, parts)).count()
    }

    /// Waits for the lock. Cases that share a lock run one at a time, and each ignores log lines
    /// from before it acquired the lock.
    pub(crate) fn wait_for_turn(&self, lock: &'static Mutex<()>) -> MutexGuard<'static, ()> {
        let turn = lock.lock().unwrap_or_else(PoisonError::into_inner);
        *self.marks.borrow_mut() = log_sizes(self.peers);
        turn
    }

    /// Returns the text that a server has logged since the case started or, if the case takes a
    /// lock, since it acquired that lock.
    pub(crate) fn news(&self, server: Server) -> String {
        let marks = self.marks.borrow();
        let mark = marks.iter().find(|(marked, _)| *marked == server).map_or(0, |(_, mark)| *mark);
        let mut news = Vec::new();
        if let Ok(mut log) = File::open(self.peers.log(server)) {
            log.seek(SeekFrom::Start(mark)).unwrap();
            log.read_to_end(&mut news).unwrap();
        }
        String::from_utf8_lossy(&news).into_owned()
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if std::env::var_os("REAL_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Prepares a run of any program.
pub(crate) fn program<A: AsRef<OsStr>>(
    path: impl Into<PathBuf>,
    args: impl IntoIterator<Item = A>,
) -> Program {
    args.into_iter().fold(Program::new(path), Program::arg)
}

/// Runs a program with one line on its standard input, and then keeps the input open, as a terminal
/// would. sshd replies to that line with an error and closes the connection.
#[track_caller]
pub(crate) fn run_with_open_input(program: Program) -> Outcome {
    let (reader, mut writer) = pipe();
    writer.write_all(b"bye\r\n").unwrap();
    let outcome = program.stdin(reader).start().wait();
    drop(writer);
    outcome
}

/// Expects that the output does not contain a secret.
#[track_caller]
pub(crate) fn expect_secret_kept(outcome: &Outcome, secret: &str) {
    outcome.expect_stderr_lacks(secret);
    assert!(!outcome.stdout_text().contains(secret), "{outcome:?}\n  expected: no password");
}

/// Redirects the program's standard input from a file.
pub(crate) fn fed(program: Program, path: &Path) -> Program {
    program.stdin(File::open(path).unwrap())
}

/// Expects that a file contains exactly these bytes.
#[track_caller]
pub(crate) fn expect_same(path: &Path, bytes: &[u8]) {
    let expected = fs::read(path).unwrap();
    assert!(expected == bytes, "{} differs: {}", path.display(), show(bytes));
}

fn log_sizes(peers: &Peers) -> Vec<(Server, u64)> {
    let size = |server| fs::metadata(peers.log(server)).map_or(0, |log| log.len());
    Server::ALL.into_iter().map(|server| (server, size(server))).collect()
}

fn has_in_order(line: &str, parts: &[&str]) -> bool {
    let mut rest = line;
    parts.iter().all(|part| match rest.find(part) {
        Some(start) => {
            rest = &rest[start + part.len()..];
            true
        }
        None => false,
    })
}

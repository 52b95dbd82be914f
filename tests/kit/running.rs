//! A running program, and its outcome.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::show::show;
use super::temp::TempPath;
#[cfg(unix)]
use super::unix;

/// The test's ends of the pipes to and from the program.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<PipeWriter>,
    pub(crate) stdout: Option<PipeReader>,
    pub(crate) stderr: Option<PipeReader>,
}

/// The exit of the program.
#[derive(Clone, Copy)]
struct Exit {
    status: ExitStatus,
    cpu: Duration,
    elapsed: Duration,
}

struct State {
    child: Child,
    exit: Option<Exit>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Number of threads that collect output and have not seen EOF yet.
    collecting: usize,
    timed_out: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    started: Instant,
    limit: Duration,
}

/// A running program. Dropping it kills the program and the processes that it started.
pub(crate) struct Running {
    shared: Arc<Shared>,
    stdin: Option<PipeWriter>,
    title: String,
    kept: Vec<TempPath>,
}

impl Running {
    pub(crate) fn new(child: Child, started: Instant, ends: Ends, title: String, limit: Duration) -> Self {
        let collecting = usize::from(ends.stdout.is_some()) + usize::from(ends.stderr.is_some());
        let (stdout, stderr) = (Vec::new(), Vec::new());
        let state = State { child, exit: None, stdout, stderr, collecting, timed_out: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), started, limit });
        if let Some(pipe) = ends.stdout {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.collect(pipe, |state| &mut state.stdout));
        }
        if let Some(pipe) = ends.stderr {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.collect(pipe, |state| &mut state.stderr));
        }
        let watched = Arc::clone(&shared);
        thread::spawn(move || watched.watch());
        Self { shared, stdin: ends.stdin, title, kept: Vec::new() }
    }

    /// Keeps a temporary path at least until the program has exited.
    pub(crate) fn keep(&mut self, path: TempPath) {
        self.kept.push(path);
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.shared.state().child.id()
    }

    /// Returns `true` if the program has not exited yet.
    pub(crate) fn is_running(&self) -> bool {
        self.shared.state().exit.is_none()
    }

    /// Returns a closure equivalent to [`is_running`](Running::is_running) that any thread can
    /// call.
    pub(crate) fn running_check(&self) -> impl Fn() -> bool + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.state().exit.is_none()
    }

    /// Writes to the program's stdin.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is closed, or not a pipe to the test");
        if let Err(error) = stdin.write_all(bytes.as_ref()) {
            self.fail(&format!("writing to stdin: {error}"));
        }
    }

    /// Writes to the program's stdin, unless the program has exited already.
    #[track_caller]
    pub(crate) fn send_if_running(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is closed, or not a pipe to the test");
        match stdin.write_all(bytes.as_ref()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.fail(&format!("writing to stdin: {error}"));
            }
            _ => {}
        }
    }

    /// Writes all of `source` to stdin in the background, then closes it.
    #[track_caller]
    pub(crate) fn feed(&mut self, mut source: impl Read + Send + 'static) {
        let mut stdin = self.stdin.take().expect("stdin is closed, or not a pipe to the test");
        thread::spawn(move || super::copy(&mut source, &mut stdin));
    }

    /// Closes stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for at least `len` bytes on stdout and returns everything received so far.
    #[track_caller]
    pub(crate) fn wait_stdout(&self, len: usize) -> Vec<u8> {
        let wanted = format!("waiting for {len} bytes on stdout");
        self.wait_until(&wanted, |state| state.stdout.len() >= len).stdout.clone()
    }

    /// Waits until these bytes have appeared on stdout.
    #[track_caller]
    pub(crate) fn wait_stdout_has(&self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let what = format!("waiting for {} on stdout", show(wanted));
        drop(self.wait_until(&what, |state| contains(&state.stdout, wanted)));
    }

    /// Waits until this text has appeared on stderr.
    #[track_caller]
    pub(crate) fn wait_stderr_has(&self, wanted: &str) {
        let what = format!("waiting for {wanted:?} on stderr");
        drop(self.wait_until(&what, |state| contains(&state.stderr, wanted.as_bytes())));
    }

    /// Returns everything received from stderr so far.
    pub(crate) fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.shared.state().stderr).into_owned()
    }

    /// Returns everything received from stdout so far.
    pub(crate) fn stdout_so_far(&self) -> Vec<u8> {
        self.shared.state().stdout.clone()
    }

    /// Returns the peak resident set size so far, in bytes, without the pages of the program's
    /// files: those of a debug build alone take more than the program's own memory.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        // Not ru_maxrss, which includes the parent's memory from before exec.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let kib = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            kib.expect("the program has exited").parse::<u64>().unwrap()
        };
        (kib("VmHWM:") - kib("RssFile:")) * 1024
    }

    /// Sends a signal, unless the program has exited.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let state = self.shared.state();
        if state.exit.is_none() {
            unix::signal(&state.child, signal);
        }
    }

    /// Kills the program, unless it has exited.
    #[cfg(not(unix))]
    pub(crate) fn kill(&self) {
        self.shared.state().kill();
    }

    /// Closes stdin, if the test still holds it, and waits until the program exits.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        self.close_stdin();
        self.wait()
    }

    /// Waits until the program exits, leaving stdin as it is.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Outcome {
        drop(self.wait_until_inner("waiting for the exit", |state| state.exit.is_some(), true));
        // A process that the program started may keep the pipes open longer, so limit this wait.
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut state = self.shared.state();
        while state.collecting > 0 && Instant::now() < deadline {
            state = self.shared.pause(state);
        }
        let exit = state.exit.unwrap();
        Outcome {
            code: exit.status.code(),
            #[cfg(unix)]
            signal: std::os::unix::process::ExitStatusExt::signal(&exit.status),
            stdout: std::mem::take(&mut state.stdout),
            stderr: std::mem::take(&mut state.stderr),
            cpu: exit.cpu,
            elapsed: exit.elapsed,
            title: self.title.clone(),
        }
    }

    #[track_caller]
    fn wait_until(&self, what: &str, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.wait_until_inner(what, done, false)
    }

    #[track_caller]
    fn wait_until_inner(
        &self,
        what: &str,
        done: impl Fn(&State) -> bool,
        exit_is_fine: bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.shared.state();
        loop {
            if state.timed_out {
                drop(state);
                self.fail(&format!("{what}: killed after {:?}", self.shared.limit));
            }
            if done(&state) {
                return state;
            }
            if state.exit.is_some() && state.collecting == 0 && !exit_is_fine {
                drop(state);
                self.fail(&format!("{what}: the program has exited"));
            }
            state = self.shared.pause(state);
        }
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{}\n  {what}\n{}", self.title, self.shared.state().printed());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.exit.is_none() {
            if thread::panicking() {
                let printed = state.printed();
                eprintln!("{}\n  still running, now killed\n{printed}", self.title);
            }
            state.kill();
            // The program's temporary directories may be removed only after it has exited.
            while state.exit.is_none() {
                state = self.shared.pause(state);
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Ignore poisoning, or a second panic would hide the failed assertion.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits briefly for the state to change.
    fn pause<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, Duration::from_millis(50));
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn collect(&self, mut pipe: PipeReader, into: fn(&mut State) -> &mut Vec<u8>) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            into(&mut self.state()).extend_from_slice(&buffer[..length]);
            self.changed.notify_all();
        }
        self.state().collecting -= 1;
        self.changed.notify_all();
    }

    /// Reaps the child and enforces the limit. Both happen under the lock, so that no signal can
    /// hit a process id that the kernel has reused.
    fn watch(&self) {
        loop {
            let mut state = self.state();
            if let Some((status, cpu)) = reap(&mut state.child) {
                let elapsed = self.started.elapsed();
                state.exit = Some(Exit { status, cpu: cpu.unwrap_or(elapsed), elapsed });
                drop(state);
                self.changed.notify_all();
                return;
            }
            if !state.timed_out && self.started.elapsed() > self.limit {
                state.timed_out = true;
                state.kill();
                self.changed.notify_all();
            }
            drop(state);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl State {
    fn kill(&mut self) {
        #[cfg(unix)]
        unix::kill_group(&self.child);
        #[cfg(not(unix))]
        let _ = self.child.kill();
    }

    fn printed(&self) -> String {
        let status = self.exit.map_or("running".to_owned(), |exit| {
            format!("exited after {:?} with {}", exit.elapsed, exit.status)
        });
        let (stdout, stderr) = (show(&self.stdout), show(&self.stderr));
        format!("  {status}\n  stdout: {stdout}\n  stderr: {stderr}")
    }
}

#[cfg(unix)]
fn reap(child: &mut Child) -> Option<(ExitStatus, Option<Duration>)> {
    unix::reap(child).map(|(status, cpu)| (status, Some(cpu)))
}

#[cfg(not(unix))]
fn reap(child: &mut Child) -> Option<(ExitStatus, Option<Duration>)> {
    child.try_wait().unwrap().map(|status| (status, None))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The outcome of a run. A failing `expect_…` method reports all of it.
pub(crate) struct Outcome {
    /// Exit code; `None` if a signal killed the program.
    pub(crate) code: Option<i32>,
    /// The signal that killed the program.
    #[cfg(unix)]
    pub(crate) signal: Option<i32>,
    /// Everything written to stdout, if stdout was a pipe to the test.
    pub(crate) stdout: Vec<u8>,
    /// Everything written to stderr, if stderr was a pipe to the test.
    pub(crate) stderr: Vec<u8>,
    /// CPU time used, including startup. On Windows, the kit does not measure CPU time and uses
    /// `elapsed`, which is an upper bound for a single thread.
    pub(crate) cpu: Duration,
    /// Time from start to exit.
    pub(crate) elapsed: Duration,
    title: String,
}

impl Outcome {
    /// Expects exit code 0 and nothing on stderr.
    #[track_caller]
    pub(crate) fn expect_success(&self) -> &Self {
        self.expect_code(0).expect_stderr("")
    }

    /// Expects this exit code.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        self.check(self.code == Some(code), &format!("exit code {code}"))
    }

    /// Expects exactly these bytes on stdout.
    #[track_caller]
    pub(crate) fn expect_stdout(&self, stdout: impl AsRef<[u8]>) -> &Self {
        let stdout = stdout.as_ref();
        self.check(self.stdout == stdout, &format!("on stdout {}", show(stdout)))
    }

    /// Expects exactly this text on stderr.
    #[track_caller]
    pub(crate) fn expect_stderr(&self, stderr: &str) -> &Self {
        let shown = show(stderr.as_bytes());
        self.check(self.stderr == stderr.as_bytes(), &format!("on stderr {shown}"))
    }

    /// Expects this text somewhere on stderr, ignoring case.
    #[track_caller]
    pub(crate) fn expect_stderr_has(&self, part: &str) -> &Self {
        let found = self.stderr_text().to_lowercase().contains(&part.to_lowercase());
        self.check(found, &format!("on stderr {part:?}"))
    }

    /// Expects that this text, such as a secret, appears nowhere on stderr.
    #[track_caller]
    pub(crate) fn expect_stderr_lacks(&self, part: &str) -> &Self {
        self.check(!self.stderr_text().contains(part), &format!("nowhere on stderr {part:?}"))
    }

    /// Expects a failure as users see it: this exit code, and on stderr one line that starts with
    /// `connect: ` and contains each of `parts`, ignoring case.
    #[track_caller]
    pub(crate) fn expect_failure(&self, code: i32, parts: &[&str]) -> &Self {
        self.expect_code(code);
        let text = self.stderr_text();
        let one_line = text.ends_with('\n') && text.lines().count() == 1;
        self.check(one_line && text.starts_with("connect: "), "one line `connect: …` on stderr");
        for part in parts {
            self.expect_stderr_has(part);
        }
        self
    }

    /// Expects the program to have used less CPU time than this, including startup.
    #[track_caller]
    pub(crate) fn expect_cpu_below(&self, limit: Duration) -> &Self {
        self.check(self.cpu < limit, &format!("less than {limit:?} of CPU time"))
    }

    /// Expects the run to have taken less time than this.
    #[track_caller]
    pub(crate) fn expect_within(&self, limit: Duration) -> &Self {
        self.check(self.elapsed < limit, &format!("exit within {limit:?}"))
    }

    /// Returns stdout as text.
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns stderr as text.
    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    fn check(&self, holds: bool, expected: &str) -> &Self {
        assert!(holds, "{self:?}\n  expected: {expected}");
        self
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("killed by a signal".to_owned(), |code| format!("exit {code}"));
        write!(f, "{}\n  {code} after {:?}, CPU time {:?}", self.title, self.elapsed, self.cpu)?;
        write!(f, "\n  stdout: {}\n  stderr: {}", show(&self.stdout), show(&self.stderr))
    }
}

//! Runs cases in parallel and checks each run.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::case::{Case, Verdict};
use super::conversation::{PASSWORD, credentials};
use super::peer::{self, FLOOD, Seen};
use crate::kit::{MIB, Outcome, Program, Running, TIMEOUT, TempPath, connect, show};

/// The observations during one run.
pub(crate) struct Observed {
    /// The peer's address.
    proxy: String,
    pub(crate) outcome: Outcome,
    /// The program was still running at the timeout.
    pub(crate) hung: bool,
    pub(crate) seen: Seen,
}

/// An askpass program that prints the password.
pub(crate) struct Askpass(TempPath);

impl Askpass {
    pub(crate) fn new() -> Self {
        let directory = TempPath::directory("askpass");
        let draft = directory.join("draft");
        fs::write(&draft, format!("#!/bin/sh\necho {PASSWORD}\n")).unwrap();
        // Let cp write the file. If this process wrote it, a concurrently forked child could
        // inherit the descriptor, and executing a file that is open for writing fails with ETXTBSY.
        let copied = std::process::Command::new("cp").arg(&draft).arg(directory.join("askpass")).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(directory.join("askpass"), Permissions::from_mode(0o700)).unwrap();
        Self(directory)
    }
}

/// Runs `program` in this case, and kills it after `timeout`.
pub(crate) fn run(case: &Case, program: Program, askpass: &Askpass, timeout: Duration) -> Observed {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let args = format!("-w {} {}", case.limit, case.conversation.args).replace("{proxy}", &proxy);
    let program = match case.conversation.variable {
        Some(variable) => program.env(variable, PASSWORD),
        None => program.env("SSH_ASKPASS", askpass.0.join("askpass")).env("DISPLAY", ":0"),
    };
    // Standard input stays open, as it does under ssh.
    let mut running = program.args(args).limit(timeout + TIMEOUT).start();
    bound_memory(&running);
    let start = Instant::now();
    let is_running = running.running_check();
    let seen = peer::serve(&listener, case, &|| is_running() && start.elapsed() < timeout);
    let hung = is_running();
    if hung {
        running.signal(Signal::KILL);
    }
    Observed { proxy, outcome: running.wait(), hung, seen }
}

/// Limits the program's private memory, thread stacks included. The program aborts if an allocation
/// exceeds the limit.
#[cfg(target_os = "linux")]
pub(crate) fn bound_memory(running: &Running) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Some(16 * MIB);
    let pid = Pid::from_raw(running.pid().cast_signed());
    // This fails if the program has already exited.
    let _ = prlimit(pid, Resource::Data, Rlimit { current: limit, maximum: limit });
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn bound_memory(_: &Running) {}

/// Describes what is wrong with a run; `None` if the run is correct.
pub(crate) fn problem(case: &Case, observed: &Observed) -> Option<String> {
    let Observed { proxy, outcome, hung, seen } = observed;
    let (code, expected_output) = match &case.verdict {
        Verdict::Session(bytes) => (0, bytes.as_slice()),
        Verdict::Fails(code) => (*code, &[][..]),
    };
    let mut problems = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            problems.push(what.to_owned());
        }
    };
    check(!hung, "that it exits");
    check(outcome.code == Some(code), &format!("exit code {code}"));
    check(outcome.stdout == expected_output, &format!("on stdout {}", show(expected_output)));
    check(is_safe_for_terminal(&outcome.stderr), "stderr that is safe for a terminal");
    check(!contains_password(&outcome.stderr), "no password on stderr");
    check(outcome.cpu < CPU, &format!("less than {CPU:?} of CPU time"));
    check(seen.connections <= 2, "at most 2 connections");
    check(seen.flooded < FLOOD, "that it stops reading an endless answer");
    let line = outcome.stderr_text();
    if code == 0 {
        check(line.is_empty(), "nothing on stderr");
    } else {
        let one_line = line.ends_with('\n') && line.lines().count() == 1;
        check(one_line && line.starts_with("connect: "), "one line `connect: …` on stderr");
        check(line.contains(&format!(" proxy {proxy} ")), "the proxy on stderr");
    }
    if code == 7 {
        check(outcome.elapsed + GRAIN >= Duration::from_secs(case.limit), "that it waits until the limit");
    }
    let soon = if code == 7 { Duration::from_secs(case.limit) + GRACE } else { GRACE };
    check(outcome.elapsed < soon, &format!("that it exits within {soon:?}"));
    if problems.is_empty() {
        return None;
    }
    Some(format!("{outcome:?}\n  {seen:?}\n  expected: {}", problems.join("\n  expected: ")))
}

/// CPU time limit: several times what a normal run uses, but exceeded by a one-second busy loop
/// even on a loaded machine.
const CPU: Duration = Duration::from_millis(300);
/// Tolerance for measured times, because the program starts before the test reads the clock.
const GRAIN: Duration = Duration::from_millis(200);
/// Tolerance for a loaded machine.
const GRACE: Duration = Duration::from_secs(8);

/// Returns `true` if `stderr` contains only printable text and line feeds.
pub(crate) fn is_safe_for_terminal(stderr: &[u8]) -> bool {
    let is_unsafe = |c: char| {
        c != '\n' && (c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'))
    };
    std::str::from_utf8(stderr).is_ok_and(|text| !text.contains(is_unsafe))
}

/// Returns `true` if `stderr` contains the first ten characters of the password or of the base64
/// credentials.
fn contains_password(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    [PASSWORD, &credentials()].iter().any(|secret| text.contains(&secret[..10]))
}

/// Calls `work` for each case, on this many threads, and returns the results in any order.
pub(crate) fn in_parallel<C: Sync, R: Send>(
    cases: &[C],
    threads: usize,
    work: impl Fn(&C) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(case);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// Runs the program under test in these cases. Fails if a run does not match its expected verdict.
#[track_caller]
pub(crate) fn expect_verdicts(cases: Vec<Case>, threads: usize) {
    expect(cases, threads, "", problem);
}

/// Runs the program with `-d` in these cases. Fails if the debug lines contain control sequences or
/// the password.
#[track_caller]
pub(crate) fn expect_harmless_debug_lines(cases: Vec<Case>, threads: usize) {
    expect(cases, threads, "-d", |_, observed| {
        let stderr = &observed.outcome.stderr;
        let harmless = is_safe_for_terminal(stderr) && !contains_password(stderr);
        let shows = observed.outcome.stderr_text().contains("DEBUG: <<<");
        (!harmless || !shows).then(|| format!("{:?}", observed.outcome))
    });
}

#[track_caller]
fn expect(cases: Vec<Case>, threads: usize, args: &str, problem: fn(&Case, &Observed) -> Option<String>) {
    let askpass = Askpass::new();
    expect_no_problems(cases, Case::name, threads, |case| {
        problem(case, &run(case, connect(args), &askpass, TIMEOUT))
    });
}

/// Runs cases in parallel, and panics with a list of the problems, if any. `FAULT` selects cases by
/// name.
#[track_caller]
pub(crate) fn expect_no_problems<C: Sync>(
    mut cases: Vec<C>,
    name: fn(&C) -> String,
    threads: usize,
    problem: impl Fn(&C) -> Option<String> + Sync,
) {
    let chosen = std::env::var("FAULT").unwrap_or_default();
    cases.retain(|case| name(case).contains(&chosen));
    assert!(!cases.is_empty(), "no case of this test has {chosen:?} in its name");
    println!("{} cases", cases.len());
    let named = |case: &C| {
        // Catch panics, so that the report also names the cases that panicked.
        let found = catch_unwind(AssertUnwindSafe(|| problem(case)));
        let found = found.unwrap_or_else(|_| Some("  panicked, see above".into()));
        found.map(|problem| (name(case), problem))
    };
    let problems: Vec<_> = in_parallel(&cases, threads, named).into_iter().flatten().collect();
    let Some((first, _)) = problems.first() else { return };
    let shown: Vec<_> = problems.iter().take(8).map(|(name, problem)| format!("{name}\n{problem}")).collect();
    panic!(
        "{} of {} cases went wrong; one alone: FAULT='{first}' cargo test --test integration {}\n{}",
        problems.len(),
        cases.len(),
        thread::current().name().unwrap_or_default(),
        shown.join("\n")
    );
}

//! Runs of cases, many at a time, and what is checked of each.

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

/// What was seen of a run.
pub(crate) struct Observed {
    /// Where the peer was.
    proxy: String,
    pub(crate) outcome: Outcome,
    /// It had not ended when our patience did.
    pub(crate) hung: bool,
    pub(crate) seen: Seen,
}

/// An askpass program that knows the password.
pub(crate) struct Askpass(TempPath);

impl Askpass {
    pub(crate) fn new() -> Self {
        let directory = TempPath::directory("askpass");
        let draft = directory.join("draft");
        fs::write(&draft, format!("#!/bin/sh\necho {PASSWORD}\n")).unwrap();
        // Written by another process: what is open for writing, be it in a child that is just starting, cannot be run.
        let copied = std::process::Command::new("cp").arg(&draft).arg(directory.join("askpass")).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(directory.join("askpass"), Permissions::from_mode(0o700)).unwrap();
        Self(directory)
    }
}

/// Runs `program` in this case, and stops it when `patience` is over.
pub(crate) fn run(case: &Case, program: Program, askpass: &Askpass, patience: Duration) -> Observed {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let words = format!("-w {} {}", case.limit, case.conversation.words).replace("{proxy}", &proxy);
    let program = match case.conversation.variable {
        Some(variable) => program.env(variable, PASSWORD),
        None => program.env("SSH_ASKPASS", askpass.0.join("askpass")).env("DISPLAY", ":0"),
    };
    // Standard input stays open, as that of ssh does.
    let mut running = program.args(words).limit(patience + TIMEOUT).start();
    bound_memory(&running);
    let start = Instant::now();
    let is_running = running.running_check();
    let seen = peer::serve(&listener, case, &|| is_running() && start.elapsed() < patience);
    let hung = is_running();
    if hung {
        running.signal(Signal::KILL);
    }
    Observed { proxy, outcome: running.wait(), hung, seen }
}

/// From now on the program may have so much memory of its own, thread stacks included; it does not survive asking for
/// more.
#[cfg(target_os = "linux")]
pub(crate) fn bound_memory(running: &Running) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Some(16 * MIB);
    let pid = Pid::from_raw(running.pid().cast_signed());
    // It may have ended already.
    let _ = prlimit(pid, Resource::Data, Rlimit { current: limit, maximum: limit });
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn bound_memory(_: &Running) {}

/// What is wrong with a run, if anything is.
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
    check(!hung, "it has an end");
    check(outcome.code == Some(code), &format!("exit code {code}"));
    check(outcome.stdout == expected_output, &format!("on stdout {}", show(expected_output)));
    check(is_fit_for_a_terminal(&outcome.stderr), "nothing on stderr that a terminal obeys");
    check(!tells_password(&outcome.stderr), "no password on stderr");
    check(outcome.cpu < CPU, &format!("less than {CPU:?} of processor time"));
    check(seen.connections <= 2, "at most 2 connections");
    check(seen.flooded < FLOOD, "an end of taking what never ends");
    let line = outcome.stderr_text();
    if code == 0 {
        check(line.is_empty(), "nothing on stderr");
    } else {
        let one_line = line.ends_with('\n') && line.lines().count() == 1;
        check(one_line && line.starts_with("connect: "), "one line `connect: …` on stderr");
        check(line.contains(&format!(" proxy {proxy} ")), "the proxy on stderr");
    }
    if code == 7 {
        check(outcome.elapsed + GRAIN >= Duration::from_secs(case.limit), "no end before the limit");
    }
    let soon = if code == 7 { Duration::from_secs(case.limit) + GRACE } else { GRACE };
    check(outcome.elapsed < soon, &format!("an end within {soon:?}"));
    if problems.is_empty() {
        return None;
    }
    Some(format!("{outcome:?}\n  {seen:?}\n  expected: {}", problems.join("\n  expected: ")))
}

/// Several times what a run needs, and less than one that spins for a second takes on a busy machine.
const CPU: Duration = Duration::from_millis(300);
/// The test looks at the clock when the program has been started.
const GRAIN: Duration = Duration::from_millis(200);
/// For a machine that does something else as well.
const GRACE: Duration = Duration::from_secs(8);

/// Only printable text, and line feeds.
pub(crate) fn is_fit_for_a_terminal(stderr: &[u8]) -> bool {
    let obeyed = |c: char| {
        c != '\n' && (c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'))
    };
    std::str::from_utf8(stderr).is_ok_and(|text| !text.contains(obeyed))
}

/// The password, or the better part of it.
fn tells_password(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr);
    [PASSWORD, &credentials()].iter().any(|secret| text.contains(&secret[..10]))
}

/// Does something for each of many, `threads` at a time; what came of each.
pub(crate) fn many<C: Sync, R: Send>(cases: &[C], threads: usize, work: impl Fn(&C) -> R + Sync) -> Vec<R> {
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

/// Runs these cases with the program under test, which is given these words too; fails with those that went wrong.
#[track_caller]
pub(crate) fn expect_right(cases: Vec<Case>, threads: usize) {
    expect(cases, threads, "", problem);
}

/// What `-d` shows of a peer is as harmless as a message.
#[track_caller]
pub(crate) fn expect_harmless_debug_lines(cases: Vec<Case>, threads: usize) {
    expect(cases, threads, "-d", |_, observed| {
        let stderr = &observed.outcome.stderr;
        let harmless = is_fit_for_a_terminal(stderr) && !tells_password(stderr);
        let shows = observed.outcome.stderr_text().contains("DEBUG: <<<");
        (!harmless || !shows).then(|| format!("{:?}", observed.outcome))
    });
}

#[track_caller]
fn expect(cases: Vec<Case>, threads: usize, words: &str, problem: fn(&Case, &Observed) -> Option<String>) {
    let askpass = Askpass::new();
    expect_none(cases, Case::name, threads, |case| {
        problem(case, &run(case, connect(words), &askpass, TIMEOUT))
    });
}

/// Looks for problems in many cases at a time; fails with those that there are. `FAULT` chooses cases by their names.
#[track_caller]
pub(crate) fn expect_none<C: Sync>(
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
        // One that fails in another way is named as well.
        let found = catch_unwind(AssertUnwindSafe(|| problem(case)));
        let found = found.unwrap_or_else(|_| Some("  panicked, see above".into()));
        found.map(|problem| (name(case), problem))
    };
    let problems: Vec<_> = many(&cases, threads, named).into_iter().flatten().collect();
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

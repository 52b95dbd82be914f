//! Runs cases in parallel, reports the results, and stops all servers at the end or after a signal.

use std::any::Any;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::context::{Case, Context};
use crate::kit;
use crate::peers::{self, Peers, WORKERS};
use crate::servers::Server;

/// The number of lines of each server's log in the report of a failed case.
const LOG_LINES: usize = 6;

/// Written to the signal pipe at the end of the run, to end the thread that reads it. signal-hook
/// writes a different byte for a signal.
const FINISHED: u8 = b'F';

/// The exit code after any signal: 128 plus the number of SIGINT.
const INTERRUPTED: i32 = 130;

thread_local! {
    /// The worker's last panic, with its source location.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The numbers of cases that passed, failed, or did not apply.
#[derive(Default)]
struct Tally {
    passed: AtomicUsize,
    failed: AtomicUsize,
    skipped: AtomicUsize,
}

impl Tally {
    /// Returns `true` if no case failed and at least one passed or was listed as n/a.
    fn is_success(&self) -> bool {
        let [passed, failed, skipped] = [&self.passed, &self.failed, &self.skipped].map(count);
        failed == 0 && passed + skipped > 0
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", count(&self.passed), count(&self.failed))
    }
}

fn count(number: &AtomicUsize) -> usize {
    number.load(Ordering::Relaxed)
}

/// Runs the cases whose names contain `filter`. `begin` may first start processes that run beside
/// them.
pub(crate) fn run<const TOPICS: usize>(
    topics: [Vec<Case>; TOPICS],
    filter: &str,
    original: bool,
    begin: impl FnOnce(&[Case], &Peers),
) -> ExitCode {
    let missing = peers::missing_programs();
    if !missing.is_empty() {
        return give_up(&missing);
    }
    let mut cases: Vec<_> = topics.into_iter().flatten().collect();
    cases.retain(|case| case.name.contains(filter));
    if cases.is_empty() {
        return give_up(&[format!("no case has '{filter}' in its name")]);
    }
    let peers = match Peers::new(&PathBuf::from(kit::program_path())) {
        Ok(peers) => peers,
        Err(error) => return give_up(&[error]),
    };
    std::thread::scope(|scope| {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::low_level::pipe::register(signal, writer.try_clone().unwrap()).unwrap();
        }
        let peers = &peers;
        scope.spawn(move || {
            let mut byte = [0];
            if reader.read(&mut byte).is_ok_and(|length| length > 0) && byte[0] != FINISHED {
                peers.abort();
                std::process::exit(INTERRUPTED);
            }
        });
        begin(&cases, peers);
        let tally = run_all(&cases, peers, original);
        (&writer).write_all(&[FINISHED]).unwrap();
        peers.stop();
        println!("{tally}");
        ExitCode::from(u8::from(!tally.is_success()))
    })
}

/// Reports the reasons why no case can run.
fn give_up(reasons: &[String]) -> ExitCode {
    for reason in reasons {
        println!("FAIL {reason}");
    }
    println!("0 passed, {} failed", reasons.len());
    ExitCode::FAILURE
}

/// Runs all cases and prints a line for each.
fn run_all(cases: &[Case], peers: &Peers, original: bool) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Tally::default());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = format!("{}\n  at {place}", message_of(panic.payload()));
        PANIC.with_borrow_mut(|last| *last = Some(message));
    }));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (next, tally) = (&next, &tally);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number).filter(|_| !peers.is_stopping()) else { return };
                    run_one(case, &Context::new(peers, worker, original, number), tally);
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    tally
}

fn run_one(case: &Case, context: &Context<'_>, tally: &Tally) {
    let name = &case.name;
    let obstacle =
        if case.ours_only && !context.is_ours() { Some("for this program only") } else { case.obstacle };
    if let Some(obstacle) = obstacle {
        tally.skipped.fetch_add(1, Ordering::Relaxed);
        println!("n/a  {name} ({obstacle})");
        return;
    }
    let start = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(|| (case.run)(context))).is_ok();
    let time = match std::env::var_os("REAL_TIMES") {
        Some(_) => format!(" ({:.1} s)", start.elapsed().as_secs_f32()),
        None => String::new(),
    };
    if passed {
        tally.passed.fetch_add(1, Ordering::Relaxed);
        println!("ok   {name}{time}");
    } else if !context.peers.is_stopping() {
        tally.failed.fetch_add(1, Ordering::Relaxed);
        let message = PANIC.with_borrow_mut(Option::take).unwrap_or_default();
        let logs: String = context.peers.started().map(|server| log_of(context, server)).collect();
        println!("FAIL {name}{time}\n{}", indented(&format!("{message}\n{logs}")));
    }
}

/// Returns the last lines of a server's log under a heading, or an empty string if the log did not
/// grow during the case. The lines may belong to other cases that ran at the same time.
fn log_of(context: &Context<'_>, server: Server) -> String {
    let news = context.news(server);
    if news.is_empty() {
        return news;
    }
    format!("log of {}:\n{}\n", server.name(), last_lines(&news, LOG_LINES))
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

/// Returns the last `count` lines of a text, each truncated to 300 characters.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<String> = text.lines().map(|line| line.chars().take(300).collect()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Indents each line and prefixes it with a bar.
pub(crate) fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("     | {line}")).collect::<Vec<_>>().join("\n")
}

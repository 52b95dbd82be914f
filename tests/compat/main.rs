//! Runs a table of cases with the C program and with this one, and compares the results. See `case`
//! for what a case is, and `cases` for the table.
//!
//!     cargo test --locked --test compat                  all cases and the fault matrix
//!     cargo test --locked --test compat -- telnet        only cases with "telnet" in their names
//!     cargo test --locked --test compat -- --show telnet only these cases, with their reports
//!     cargo test --locked --test compat -- faults        only the fault matrix
//!
//! This needs Debian's connect-proxy package and permission to mount. Every run has its own `/etc`,
//! because the C program finds `~/.connectrc` through the user database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

mod case;
mod cases;
mod compare;
#[allow(dead_code, unused_imports, reason = "its tests run in the integration tests")]
#[path = "../integration/faults/mod.rs"]
mod faults;
#[path = "../kit/mod.rs"]
mod kit;
mod matrix;
mod peers;
mod run;
mod sandbox;

use case::Case;

/// The C program.
const THEIRS: &str = "/usr/bin/connect-proxy";

/// This program.
const OURS: &str = env!("CARGO_BIN_EXE_connect");

/// The argument that selects only the fault matrix.
const MATRIX: &str = "faults";

/// The number of cases that run at the same time. A case spends most of its time waiting.
const THREADS: usize = 4;

/// The page that explains the differences to users.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compat.md");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let show = args.iter().any(|arg| arg == "--show");
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    if !Path::new(THEIRS).exists() {
        eprintln!("compat: {THEIRS} not found; install the Debian package connect-proxy");
        return ExitCode::FAILURE;
    }
    if let Err(problem) = sandbox::check() {
        eprintln!("compat: {problem}");
        return ExitCode::FAILURE;
    }
    // Print nothing here: each panic is caught and reported with its case.
    std::panic::set_hook(Box::new(|_| {}));

    let all = cases::all();
    let mut failures = check_names(&all);
    let chosen: Vec<_> =
        all.iter().filter(|case| filter.is_none_or(|part| case.name.contains(part))).collect();
    let (failed, shown) = run_all(&chosen, show);
    let document = std::fs::read_to_string(DOCUMENT).expect("docs/compat.md is readable");
    let runs_matrix = filter.is_none_or(|part| part == MATRIX);
    if runs_matrix {
        failures.extend(matrix::check(Path::new(THEIRS), Path::new(OURS), &document, show));
    }
    if filter.is_none() {
        failures.extend(check_document(&document, &all, &shown));
    }
    for failure in &failures {
        println!("{failure}\n");
    }
    println!("{} passed, {} failed", chosen.len() - failed, failed + failures.len());
    ExitCode::from(u8::from(failed + failures.len() > 0 || chosen.is_empty() && !runs_matrix))
}

/// Runs the cases. Returns how many failed, and the differences that occurred.
fn run_all(cases: &[&Case], show: bool) -> (usize, BTreeSet<&'static str>) {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let shown = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = catch_unwind(AssertUnwindSafe(|| judge(case, show, &shown)));
                    let report = verdict.unwrap_or_else(|panic| Some(message(panic.as_ref())));
                    if let Some(report) = report {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("{}\n{report}\n", case.name);
                    }
                }
            });
        }
    });
    (failed.into_inner(), shown.into_inner().unwrap())
}

/// Runs one case with both programs. Returns a report if it fails.
fn judge(case: &Case, show: bool, shown: &Mutex<BTreeSet<&'static str>>) -> Option<String> {
    let mut theirs = run::run(case, Path::new(THEIRS), case.theirs_hangs);
    // Another process may have taken the free port of the case (EADDRINUSE).
    if theirs.stderr.contains("bind() failed, errno=98") {
        theirs = run::run(case, Path::new(THEIRS), case.theirs_hangs);
    }
    let ours = run::run(case, Path::new(OURS), None);
    let verdict = compare::compare(case, &theirs, &ours);
    shown.lock().unwrap().extend(verdict.shown);
    let what = if verdict.problems.is_empty() { "  shown".to_owned() } else { verdict.problems.join("\n") };
    let both = format!(
        "{what}\n  run: {}\n theirs\n{}\n ours\n{}",
        case.args,
        compare::indented(&theirs),
        compare::indented(&ours)
    );
    if verdict.problems.is_empty() {
        if show {
            println!("{}\n{both}\n", case.name);
        }
        return None;
    }
    Some(both)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

/// Checks that case names are unique.
fn check_names(cases: &[Case]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = cases.iter().filter(|case| !seen.insert(case.name));
    twice.map(|case| format!("two cases are named '{}'", case.name)).collect()
}

/// Checks that the document and the table name the same differences, and that each difference has
/// occurred.
fn check_document(text: &str, cases: &[Case], shown: &BTreeSet<&'static str>) -> Vec<String> {
    let ids: Vec<&str> = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let listed: BTreeSet<&str> = ids.iter().copied().collect();
    let used: BTreeSet<&str> = cases.iter().flat_map(Case::ids).collect();
    let mut problems = Vec::new();
    if listed.len() != ids.len() {
        problems.push("docs/compat.md has a duplicate id".to_owned());
    }
    for id in used.difference(&listed) {
        problems.push(format!("a case names the difference '{id}', which docs/compat.md lacks"));
    }
    for id in listed.iter().filter(|id| !shown.contains(*id)) {
        problems.push(format!("docs/compat.md lists the difference '{id}', but no case shows it"));
    }
    problems
}

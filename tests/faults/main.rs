//! What can befall a relay on its machine: all bytes arrive, or an error is told. Never less and a success, no hang, no
//! crash, no spinning. The system calls of the relay fail, each in turn, in each way, the first time or a later one; and
//! the C program and this one are compared.
//!
//!     tests/faults/run
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[allow(dead_code, reason = "shared with the soak, which breaks off itself")]
#[path = "../soak/exchange.rs"]
mod exchange;
mod injection;
mod session;
#[allow(dead_code, reason = "shared with the soak, which throws dice")]
#[path = "../soak/stream.rs"]
mod stream;
mod table;

use injection::Injection;

/// How many cases run at the same time.
const THREADS: usize = 4;

/// `faults PROGRAM` injects errors, and `faults PROGRAM THEIRS` compares the two with the table of docs/compat.md.
fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(PathBuf::from);
    let program = words.next().unwrap_or_else(|| env!("CARGO_BIN_EXE_connect").into());
    let (what, cases, problems) = if let Some(theirs) = words.next() {
        ("troubles", table::TROUBLES.len(), table::compare(&theirs, &program))
    } else {
        let cases = injection::all();
        ("injected errors", cases.len(), run_all(&cases, &program))
    };
    for problem in &problems {
        println!("FAILED: {problem}");
    }
    println!("{what}: {cases} cases, {} failed", problems.len());
    ExitCode::from(u8::from(!problems.is_empty()))
}

fn run_all(cases: &[Injection], program: &Path) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = case.run(program) {
                        problems.lock().unwrap().push(format!("{case}: {problem}"));
                    }
                }
            });
        }
    });
    problems.into_inner().unwrap()
}

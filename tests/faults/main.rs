//! Tests the relay under system-call and network faults. Either all data must arrive, or the
//! program must report an error. It must not exit successfully after losing data, and it must not
//! hang, crash or spin.
//!
//!     faults injections PROGRAM         makes the relay's system calls fail, in several ways
//!     faults table PROGRAM C_PROGRAM    compares both programs with the table in docs/compat.md
//!     faults network PROGRAM            runs sessions over a bad link
//!
//! `tests/faults/run` runs all three. The last one needs root and namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../kit/mod.rs"]
mod kit;

mod injection;
mod link;
mod machines;
mod network;
mod session;
mod table;

use injection::Injection;

/// Number of injections that run at the same time.
const THREADS: usize = 4;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (suite, cases, problems) = match args.as_slice() {
        [name, program] if name == Path::new("injections") => {
            let cases = injection::all();
            ("injections", cases.len(), run_all(&cases, program))
        }
        [name, program, c_program] if name == Path::new("table") => {
            ("table", table::FAULTS.len(), table::compare(c_program, program))
        }
        [name, program] if name == Path::new("network") => {
            let (sessions, problems) = network::run(program);
            ("network", sessions, problems)
        }
        _ => {
            eprintln!("usage: faults injections PROGRAM | table PROGRAM C_PROGRAM | network PROGRAM");
            return ExitCode::from(2);
        }
    };
    for problem in &problems {
        println!("FAILED: {problem}");
    }
    println!("faults {suite}: {} passed, {} failed", cases.saturating_sub(problems.len()), problems.len());
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

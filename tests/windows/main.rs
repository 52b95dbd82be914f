//! Tests that need Windows features: pipes and handles, the console, users and profiles.
//!
//! `tests/windows/run` builds the program, starts wine and runs these tests. They run outside wine;
//! the wrapper script in `CONNECT_UNDER_TEST` starts the program inside it (see `setup.sh`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../kit/mod.rs"]
mod kit;
#[allow(dead_code, reason = "shared with the integration tests, which use all of it")]
#[path = "../integration/listening.rs"]
mod listening;

mod bulk;
mod console;
mod exit_codes;
mod idle;
mod listeners;
mod pipes;
mod proxies;
mod sessions;
mod settings;

use std::path::{Path, PathBuf};

/// Returns the directory with the Windows programs and a wrapper script for each.
fn programs() -> PathBuf {
    Path::new(&kit::program_path()).parent().expect("tests/windows/run sets CONNECT_UNDER_TEST").to_owned()
}

/// Returns the program, started by `launch.exe` in one of the modes that `launch.c` documents.
fn launched(mode: &str, args: impl AsRef<str>) -> kit::Program {
    let launch = kit::Program::new(programs().join("launch"));
    launch.arg(mode).arg(programs().join("connect.exe")).args(args)
}

/// Returns a path as programs in wine see it: drive Z is the root directory.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display())
}

//! Errors that strace injects into system calls.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::kit::TempPath;
use crate::session::{self, Behavior, Near, Verdict};

/// The program counts as spinning if it makes the traced system call more than this many times.
const SPINNING: usize = 3000;

/// The errors to inject. EPIPE and ECONNRESET are left out: they mean that the other end is gone,
/// whereas in these sessions it is still waiting.
const ERRORS: [&str; 6] = ["EINTR", "EAGAIN", "ENOMEM", "ENOBUFS", "EIO", "ENOSPC"];

/// The calls that fail, in the syntax of strace's `when`: `3` is the third call only, `1+2` is
/// every second call, starting with the first.
const WHEN: [&str; 6] = ["1", "2", "3", "5", "8", "1+2"];
/// Like [`WHEN`], but never fails the first call, which the dynamic loader makes before the program
/// starts.
const WHEN_AFTER_LOADER: [&str; 6] = ["2", "3", "4", "6", "9", "2+2"];

/// The system calls that a session always makes, by near end and relay mode.
const CALLS: [(Near, &str, &[&str]); 4] = [
    (Near::Pipes, "splice", &["ppoll", "splice"]),
    (Near::Pipes, "copy", &["ppoll", "read", "write", "sendto", "recvfrom"]),
    (Near::Port, "splice", &["ppoll", "splice", "accept4", "pipe2"]),
    (Near::Port, "copy", &["ppoll", "sendto", "recvfrom"]),
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Injection {
    near: Near,
    relay_mode: &'static str,
    call: &'static str,
    error: &'static str,
    when: &'static str,
}

pub(crate) fn all() -> Vec<Injection> {
    let mut all = Vec::new();
    for (near, relay_mode, calls) in CALLS {
        for call in calls {
            for error in ERRORS {
                let when = if *call == "read" { WHEN_AFTER_LOADER } else { WHEN };
                all.extend(when.map(|when| Injection { near, relay_mode, call, error, when }));
            }
        }
    }
    all
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { near, relay_mode, call, error, when } = self;
        write!(f, "{near:?}, {relay_mode}: {call} fails with {error}, call {when}")
    }
}

impl Injection {
    pub(crate) fn run(&self, program: &Path) -> Result<(), String> {
        let log = TempPath::new("strace");
        let verdict = session::run(self.near, Behavior::default(), |args| {
            let mut command = Command::new("strace");
            let inject = format!("inject={}:error={}:when={}", self.call, self.error, self.when);
            command.args(["-f", "-qq", "-o"]).arg(&*log).args(["-e", &format!("trace={}", self.call)]);
            command.args(["-e", &inject]).arg(program).args(args);
            command.env_clear().env("HOME", "/nonexistent").env("CONNECT_RELAY", self.relay_mode);
            command.env("PATH", "/usr/bin:/bin");
            command
        });
        let trace = fs::read_to_string(&*log).unwrap_or_default();
        let calls = trace.lines().count();
        match verdict.map_err(|error| error.to_string())? {
            verdict @ (Verdict::Ok | Verdict::Error) if calls <= SPINNING => {
                self.expect(&verdict, trace.contains("(INJECTED)"))
            }
            Verdict::Ok | Verdict::Error => Err(format!("the program spins: {calls} calls")),
            other => Err(format!("{other:?}")),
        }
    }

    /// Checks that the call was made at all, and that the session survives transient errors.
    fn expect(&self, verdict: &Verdict, injected: bool) -> Result<(), String> {
        if !injected && self.when == "1" {
            return Err("the call was not made".into());
        }
        // From poll and pipe, EAGAIN would mean that a resource is exhausted, not that a descriptor
        // is not ready.
        let is_not_ready = self.error == "EAGAIN" && !["ppoll", "pipe2"].contains(&self.call);
        let is_transient = self.error == "EINTR" || is_not_ready;
        if is_transient && *verdict != Verdict::Ok {
            return Err(format!("{verdict:?} after a transient error"));
        }
        Ok(())
    }
}

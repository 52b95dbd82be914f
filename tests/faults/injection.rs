//! Errors that strace puts in the place of system calls.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::session::{self, Manners, Near, Verdict};

/// More calls of one kind than any of these sessions needs.
const SPINNING: usize = 3000;

/// None of those that say that the other end has gone: here it has not, and would wait for more.
const ERRORS: [&str; 6] = ["EINTR", "EAGAIN", "ENOMEM", "ENOBUFS", "EIO", "ENOSPC"];

/// Which of the calls: this one, or each second one.
const TIMES: [&str; 6] = ["1", "2", "3", "5", "8", "1+2"];
/// The same for the call whose first is the loader's.
const LATER: [&str; 6] = ["2", "3", "4", "6", "9", "2+2"];

/// What a session does not do without, by how it relays and what it relays to.
const CALLS: [(Near, &str, &[&str]); 4] = [
    (Near::Pipes, "splice", &["ppoll", "splice"]),
    (Near::Pipes, "copy", &["ppoll", "read", "write", "sendto", "recvfrom"]),
    (Near::Port, "splice", &["ppoll", "splice", "accept4", "pipe2"]),
    (Near::Port, "copy", &["ppoll", "sendto", "recvfrom"]),
];

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injection {
    near: Near,
    relay: &'static str,
    call: &'static str,
    error: &'static str,
    times: &'static str,
}

pub(crate) fn all() -> Vec<Injection> {
    let mut all = Vec::new();
    for (near, relay, calls) in CALLS {
        for call in calls {
            for error in ERRORS {
                let times = if *call == "read" { LATER } else { TIMES };
                all.extend(times.map(|times| Injection { near, relay, call, error, times }));
            }
        }
    }
    all
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { near, relay, call, error, times } = self;
        write!(f, "{near:?} by {relay}: {call} says {error}, call {times}")
    }
}

impl Injection {
    pub(crate) fn run(&self, program: &Path) -> Result<(), String> {
        let log = log();
        let verdict = session::run(self.near, Manners::default(), |words| {
            let mut command = Command::new("strace");
            let inject = format!("inject={}:error={}:when={}", self.call, self.error, self.times);
            command.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={}", self.call)]);
            command.args(["-e", &inject]).arg(program).args(words);
            command.env_clear().env("HOME", "/nonexistent").env("CONNECT_RELAY", self.relay);
            command.env("PATH", "/usr/bin:/bin");
            command
        });
        let calls = fs::read_to_string(&log).map_or(0, |text| text.lines().count());
        let injected = fs::read_to_string(&log).is_ok_and(|text| text.contains("(INJECTED)"));
        let _ = fs::remove_file(&log);
        match verdict.map_err(|error| error.to_string())? {
            verdict @ (Verdict::Ok | Verdict::Told) if calls <= SPINNING => self.expect(&verdict, injected),
            Verdict::Ok | Verdict::Told => Err(format!("it spins: {calls} calls")),
            other => Err(format!("{other:?}")),
        }
    }

    /// What only says "not now" must not end anything, and what was not injected is no case.
    fn expect(&self, verdict: &Verdict, injected: bool) -> Result<(), String> {
        if !injected && self.times == "1" {
            return Err("the call was not made".into());
        }
        // There EAGAIN means that the system is out of something.
        let says_not_now = self.error == "EAGAIN" && !["ppoll", "pipe2"].contains(&self.call);
        let passes = self.error == "EINTR" || says_not_now;
        if passes && *verdict != Verdict::Ok { Err(format!("{verdict:?} of what passes")) } else { Ok(()) }
    }
}

/// A file of its own for each.
fn log() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("connect-faults.{}.{number}", std::process::id()))
}

//! Soak test: many concurrent sessions for a long time, with random interruptions.
//!
//! Each session runs through a shared listener or through a process of its own, and reaches the
//! target directly or through a proxy. All data is compared byte by byte, a session that loses data
//! must not look complete, and the listeners must not leak resources.
//!
//!     tests/soak/run [SECONDS [SEED]]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use listener::{Listener, Usage};
use peers::{Peers, Results};
use scenario::{Session, Via};

mod clients;
#[path = "../kit/mod.rs"]
mod kit;
mod listener;
mod peers;
mod scenario;

const USAGE: &str = "\
usage: soak [PROGRAM [SECONDS [SEED]]]

Runs 200 concurrent sessions through PROGRAM for SECONDS (default 120). SEED
determines what happens in each session; the default is the time.";

/// The number of sessions that run at the same time.
const SESSIONS: u64 = 200;
/// The memory that a listener may use at the end in addition to that after the warm-up.
const MEMORY_SLACK_KIB: u64 = 4096;

struct Options {
    program: PathBuf,
    seconds: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("soak: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match soak(options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            println!("FAILED: {failures} failures");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Parses the command line; `None` if it asks for help.
fn parse() -> Result<Option<Options>, String> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| matches!(arg.as_str(), "-h" | "--help")) {
        return Ok(None);
    }
    if args.len() > 3 {
        return Err(format!("unexpected argument '{}'", args[3]));
    }
    let number = |index: usize, default: u64| {
        let invalid = |arg: &String| format!("invalid number '{arg}'");
        args.get(index).map_or(Ok(default), |arg| arg.parse().map_err(|_| invalid(arg)))
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Some(Options {
        program: args.first().map_or(env!("CARGO_BIN_EXE_connect"), String::as_str).into(),
        seconds: number(1, 120)?,
        seed: number(2, now)?,
    }))
}

/// Runs the test and returns the number of failures.
fn soak(Options { program, seconds, seed }: Options) -> io::Result<u64> {
    println!("soak: {SESSIONS} concurrent sessions for {seconds} seconds, seed {seed}");
    let results = Arc::new(Results::default());
    let peers = Peers::start(&results, seed)?;
    let direct = vec![peers.target.to_string()];
    let proxied = vec!["-S".into(), peers.proxy.to_string(), peers.target.to_string()];
    let listeners = [
        Listener::start(&program, "direct", "splice", &direct)?,
        Listener::start(&program, "direct", "copy", &direct)?,
        Listener::start(&program, "proxied", "splice", &proxied)?,
        Listener::start(&program, "proxied", "copy", &proxied)?,
    ];
    let (next, counts) = (AtomicU64::new(0), Mutex::default());
    let soak = Soak { program, peers, results, seed, next, counts, listeners };

    let warm_up = (seconds / 10).clamp(5, 30);
    let started = Instant::now();
    soak.run_for(Duration::from_secs(warm_up));
    let before = soak.idle_usage(None)?;
    soak.run_for(Duration::from_secs(seconds).saturating_sub(started.elapsed()));
    let after = soak.idle_usage(Some(&before))?;
    soak.compare_usage(&before, &after);
    soak.check_idle_cpu()?;
    soak.finish(started.elapsed())
}

struct Soak {
    program: PathBuf,
    peers: Peers,
    results: Arc<Results>,
    seed: u64,
    /// The number of the next session.
    next: AtomicU64,
    /// The number of sessions per route and verdict, with keys such as `Listener: Complete`.
    counts: Mutex<BTreeMap<String, u64>>,
    listeners: [Listener; 4],
}

impl Soak {
    /// Keeps starting sessions for this long, then waits until the last one has ended.
    fn run_for(&self, time: Duration) {
        let end = Instant::now() + time;
        thread::scope(|scope| {
            for _ in 0..SESSIONS {
                scope.spawn(|| {
                    while Instant::now() < end {
                        self.run_session(self.next.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
        });
    }

    fn run_session(&self, id: u64) {
        let session = Session::random(self.seed, id);
        let copies = usize::from(id.is_multiple_of(2));
        let listener = match session.via {
            Via::Listener => Some(&self.listeners[copies]),
            Via::ListenerAndProxy => Some(&self.listeners[2 + copies]),
            Via::Stdio | Via::StdioAndProxy => None,
        };
        let verdict = match listener {
            Some(listener) => clients::through_listener(&session, listener.address, &self.results),
            None => clients::through_program(&session, &self.program, self.peers, &self.results),
        };
        match verdict {
            Ok(verdict) => {
                let name = format!("{:?}: {verdict:?}", session.via);
                *self.counts.lock().unwrap().entry(name).or_default() += 1;
            }
            Err(what) => self.results.fail(&format!("session {id}: {what}; {session:?}")),
        }
    }

    /// Waits until the listeners are idle, and use no more than before.
    fn idle_usage(&self, before: Option<&[Usage]>) -> io::Result<Vec<Usage>> {
        let limit = |index| before.map(|before| &before[index]);
        self.listeners.iter().enumerate().map(|(index, listener)| listener.idle_usage(limit(index))).collect()
    }

    fn compare_usage(&self, before: &[Usage], after: &[Usage]) {
        for ((listener, before), after) in self.listeners.iter().zip(before).zip(after) {
            println!("listener {}\n  after warm-up: {before:?}\n  at the end:    {after:?}", listener.name);
            let memory_grew = after.memory_kib > before.memory_kib + MEMORY_SLACK_KIB;
            if after.exceeds(before) || memory_grew {
                self.results.fail(&format!("listener {}: leaks resources", listener.name));
            }
        }
    }

    /// Checks that idle listeners use almost no CPU time.
    fn check_idle_cpu(&self) -> io::Result<()> {
        let ticks = || self.listeners.iter().map(Listener::ticks).collect::<io::Result<Vec<_>>>();
        let before = ticks()?;
        thread::sleep(Duration::from_secs(2));
        for ((listener, before), after) in self.listeners.iter().zip(before).zip(ticks()?) {
            if after > before + 2 {
                let used = after - before;
                self.results.fail(&format!("listener {}: {used} ticks of CPU while idle", listener.name));
            }
        }
        Ok(())
    }

    /// Stops the listeners, prints the results and returns the number of failures.
    fn finish(self, elapsed: Duration) -> io::Result<u64> {
        let mut messages = 0;
        for listener in self.listeners {
            let (name, lines) = (listener.name.clone(), Arc::clone(&listener.messages));
            let code = listener.stop()?;
            if code != Some(0) {
                self.results.fail(&format!("listener {name}: exit {code:?}"));
            }
            let lines = lines.lock().unwrap();
            messages += lines.0;
            for line in &lines.1 {
                self.results.fail(&format!("listener {name}: unexpected message: {line}"));
            }
        }
        let counts = self.counts.into_inner().unwrap();
        let total =
            |part: &str| counts.iter().filter(|(name, _)| name.contains(part)).map(|(_, count)| count).sum();
        let (refused, all): (u64, u64) = (total("Refused"), total(""));
        let refusals = self.results.refused.load(Ordering::SeqCst);
        if refused > refusals {
            self.results
                .fail(&format!("{refused} clients were refused, but the proxy refused only {refusals}"));
        }
        for (name, count) in &counts {
            println!("{count:8} {name}");
        }
        let failures = self.results.failures.load(Ordering::SeqCst);
        println!(
            "{all} sessions ({} complete, {} interrupted, {refused} refused), {} bytes compared in {:.0} s; \
             {messages} messages; {failures} failures",
            total("Complete"),
            total("Interrupted"),
            self.results.bytes.load(Ordering::Relaxed),
            elapsed.as_secs_f64(),
        );
        Ok(failures)
    }
}

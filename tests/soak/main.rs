//! Many sessions at a time for a long time, in which all kinds of things happen by chance: through listeners, and as
//! programs of their own; directly, and through a proxy. What must arrive whole is compared byte by byte, whoever is
//! cut off must be told, and in the end the listeners have what they had at the start.
//!
//!     tests/soak/run [SECONDS [SEED]]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use far::{Book, Far};
use listener::{Listener, Vitals};
use plan::{Session, Way};

#[allow(dead_code, reason = "shared with tests/faults")]
mod exchange;
mod far;
mod listener;
mod near;
mod plan;
mod stream;

/// How many sessions there are at a time.
const SESSIONS: u64 = 200;
/// How much more memory a listener may have in the end than after the warm-up.
const SLACK_KIB: u64 = 4096;
/// How many ends of idle pipes a listener may keep.
const KEPT_PIPES: usize = 32;

fn main() -> ExitCode {
    match soak() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            println!("FAILED: {wrong} things are wrong");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many things are wrong.
fn soak() -> io::Result<u64> {
    let mut words = std::env::args().skip(1);
    let program = PathBuf::from(words.next().unwrap_or_else(|| env!("CARGO_BIN_EXE_connect").into()));
    let seconds: u64 = words.next().map_or(Some(120), |word| word.parse().ok()).expect("a number of seconds");
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = words.next().map_or(Some(clock.as_secs()), |word| word.parse().ok()).expect("a seed");
    println!("soak: {SESSIONS} sessions at a time for {seconds} seconds, seed {seed}");

    let book = Arc::new(Book::default());
    let far = Far::open(&book, seed)?;
    let direct = vec![far.target.to_string()];
    let proxied = vec!["-S".into(), far.proxy.to_string(), far.target.to_string()];
    let listeners = [
        Listener::start(&program, "directly", "splice", &direct)?,
        Listener::start(&program, "directly", "copy", &direct)?,
        Listener::start(&program, "through the proxy", "splice", &proxied)?,
        Listener::start(&program, "through the proxy", "copy", &proxied)?,
    ];
    let world =
        World { program, far, book, seed, next: AtomicU64::new(0), counts: Mutex::default(), listeners };

    let warm_up = (seconds / 10).clamp(5, 30);
    let started = Instant::now();
    world.run_for(Duration::from_secs(warm_up));
    let before = world.at_rest()?;
    world.run_for(Duration::from_secs(seconds).saturating_sub(started.elapsed()));
    let after = world.at_rest()?;
    world.compare(&before, &after);
    world.look_for_spinning()?;
    world.report(started.elapsed())
}

struct World {
    program: PathBuf,
    far: Far,
    book: Arc<Book>,
    seed: u64,
    next: AtomicU64,
    /// How many sessions of each way came out in which manner.
    counts: Mutex<BTreeMap<String, u64>>,
    listeners: [Listener; 4],
}

impl World {
    /// Has so many sessions at a time, until the time is over and the last has ended.
    fn run_for(&self, time: Duration) {
        let end = Instant::now() + time;
        thread::scope(|scope| {
            for _ in 0..SESSIONS {
                scope.spawn(|| {
                    while Instant::now() < end {
                        self.one(self.next.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
        });
    }

    fn one(&self, id: u64) {
        let session = Session::thrown(self.seed, id);
        let relay = usize::from(id.is_multiple_of(2));
        let outcome = match session.way {
            Way::Listener => near::at_listener(&session, self.listeners[relay].place, &self.book),
            Way::ListenerThroughProxy => {
                near::at_listener(&session, self.listeners[2 + relay].place, &self.book)
            }
            Way::Stdio | Way::StdioThroughProxy => {
                near::with_program(&session, &self.program, self.far, &self.book)
            }
        };
        match outcome {
            Ok(verdict) => {
                let name = format!("{:?}: {verdict:?}", session.way);
                *self.counts.lock().unwrap().entry(name).or_default() += 1;
            }
            Err(what) => self.book.wrong(&format!("session {id}: {what}; {session:?}")),
        }
    }

    fn at_rest(&self) -> io::Result<Vec<Vitals>> {
        self.listeners.iter().map(Listener::at_rest).collect()
    }

    fn compare(&self, before: &[Vitals], after: &[Vitals]) {
        for ((listener, before), after) in self.listeners.iter().zip(before).zip(after) {
            println!(
                "listener {}\n  after the warm-up: {before:?}\n  in the end:        {after:?}",
                listener.name
            );
            let same = (after.threads, after.sockets, after.other_descriptors)
                == (1, before.sockets, before.other_descriptors);
            if !same || after.pipes > KEPT_PIPES || after.kib > before.kib + SLACK_KIB {
                self.book.wrong(&format!("listener {}: it has more than before", listener.name));
            }
        }
    }

    /// Nothing is left to do.
    fn look_for_spinning(&self) -> io::Result<()> {
        let ticks = || self.listeners.iter().map(Listener::ticks).collect::<io::Result<Vec<_>>>();
        let before = ticks()?;
        thread::sleep(Duration::from_secs(2));
        for ((listener, before), after) in self.listeners.iter().zip(before).zip(ticks()?) {
            if after > before + 2 {
                self.book.wrong(&format!("listener {}: {} ticks while idle", listener.name, after - before));
            }
        }
        Ok(())
    }

    /// Ends the listeners, and prints what was seen; how much of it is wrong.
    fn report(self, elapsed: Duration) -> io::Result<u64> {
        let mut told = 0;
        for listener in self.listeners {
            let (name, lines) = (listener.name.clone(), Arc::clone(&listener.told));
            let code = listener.stop()?;
            if code != Some(0) {
                self.book.wrong(&format!("listener {name}: exit {code:?}"));
            }
            let lines = lines.lock().unwrap();
            told += lines.0;
            for line in &lines.1 {
                self.book.wrong(&format!("listener {name} said: {line}"));
            }
        }
        let counts = self.counts.into_inner().unwrap();
        let of =
            |part: &str| counts.iter().filter(|(name, _)| name.contains(part)).map(|(_, count)| count).sum();
        let (refused, all): (u64, u64) = (of("Refused"), of(""));
        if refused > self.book.refused.load(Ordering::SeqCst) {
            self.book.wrong(&format!("{refused} sessions say that the proxy refused, which is too many"));
        }
        for (name, count) in &counts {
            println!("{count:8} {name}");
        }
        let bytes = self.book.bytes.load(Ordering::Relaxed);
        let wrong = self.book.wrong.load(Ordering::SeqCst);
        println!(
            "{all} sessions ({} whole, {} broken, {refused} refused), {bytes} bytes compared in {:.0} s; {told} lines told; {} wrong",
            of("Whole"),
            of("Told"),
            elapsed.as_secs_f64(),
            wrong
        );
        Ok(wrong)
    }
}

//! A competitor at work: its process, its pipes, and what it used.

use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::competitors::Competitor;
use crate::stage::ready_within;

/// How long a relay may take to leave once both sides have ended. socat waits for half a second.
const GRACE: Duration = Duration::from_secs(2);

/// The one that runs, if one does.
static CURRENT: AtomicU32 = AtomicU32::new(0);

/// Lets a signal that ends us end what runs as well: a listener would stay.
pub(crate) fn end_with_us() -> io::Result<()> {
    let (mut signals, signalled) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    thread::spawn(move || {
        let _ = signals.read(&mut [0]);
        let current = i32::try_from(CURRENT.load(Ordering::Relaxed)).ok().and_then(Pid::from_raw);
        current.map(|group| kill_process_group(group, Signal::KILL));
        process::exit(130);
    });
    Ok(())
}

pub(crate) struct Relay {
    child: Child,
    /// None closes it.
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    errors: PipeReader,
    used_before: Duration,
    /// Gone when it is reaped.
    watchdog: Option<JoinHandle<()>>,
    hung: Arc<AtomicBool>,
}

/// A relay that has ended.
pub(crate) struct Ended {
    /// User and system time of it and of all that it started and waited for.
    pub(crate) cpu: Duration,
    /// It was killed at its limit.
    pub(crate) hung: bool,
    status: ExitStatus,
    errors: String,
}

impl Relay {
    /// Starts it with pipes on its standard descriptors. It is killed when the limit has passed.
    pub(crate) fn start(competitor: &Competitor, words: &[String], limit: Duration) -> io::Result<Self> {
        let (errors, stderr) = io::pipe()?;
        let mut command = Command::new(&competitor.program);
        // A process group, since some work by further processes.
        command
            .args(words)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
        command.envs(competitor.variable.iter().map(|(name, value)| (name, value)));
        let used_before = used_by_children();
        let mut child = command.spawn()?;
        CURRENT.store(child.id(), Ordering::Relaxed);
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let hung = Arc::new(AtomicBool::new(false));
        let watchdog = Some(thread::spawn({
            let (group, hung) = (Pid::from_child(&child), Arc::clone(&hung));
            // It is not reaped before this thread has ended, so that the number stays its own.
            let process = pidfd_open(group, PidfdFlags::empty())?;
            move || {
                if !ready_within(&process, limit) {
                    hung.store(true, Ordering::Relaxed);
                    let _ = kill_process_group(group, Signal::KILL);
                }
            }
        }));
        Ok(Self { child, stdin, stdout, errors, used_before, watchdog, hung })
    }

    /// Its input and its output.
    pub(crate) fn pipes(&mut self) -> (&mut ChildStdin, &mut ChildStdout) {
        let Self { stdin: Some(stdin), stdout: Some(stdout), .. } = self else {
            panic!("its pipes are there until it is finished")
        };
        (stdin, stdout)
    }

    /// Whether it has left already.
    pub(crate) fn has_ended(&self) -> bool {
        self.watchdog.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The most memory it had at once, in KiB. Not from its usage: that begins with what we had when it was forked.
    pub(crate) fn peak_kib(&self) -> Option<f64> {
        kib(&fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?, "VmHWM:")
    }

    /// The memory of it and its children in KiB, each page that is shared in parts.
    pub(crate) fn memory_kib(&self) -> f64 {
        let of = |pid| {
            fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|text| kib(&text, "Pss:"))
        };
        self.family().into_iter().filter_map(of).sum()
    }

    /// The time that all its threads and children have used so far; those that have ended do not count.
    pub(crate) fn used_so_far(&self) -> Duration {
        let threads = |pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let nanoseconds = self.family().into_iter().flat_map(threads).filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    fn family(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        std::iter::once(pid).chain(children.split_whitespace().filter_map(|word| word.parse().ok())).collect()
    }

    /// Ends its input and waits for it; what does not leave is killed.
    pub(crate) fn finish(mut self) -> io::Result<Ended> {
        drop(self.stdin.take());
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        if !ready_within(&process, GRACE) {
            self.kill();
        }
        self.reap()
    }

    /// Ends it: it is a listener, which does not leave on its own.
    pub(crate) fn stop(mut self) -> io::Result<Ended> {
        self.kill();
        self.reap()
    }

    fn kill(&self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    fn reap(&mut self) -> io::Result<Ended> {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.join().expect("the watchdog does not panic");
        }
        CURRENT.store(0, Ordering::Relaxed);
        let status = self.child.wait()?;
        let cpu = used_by_children().saturating_sub(self.used_before);
        let mut errors = vec![0; 4096];
        let length = if ready_within(self.errors.as_fd(), Duration::ZERO) {
            self.errors.read(&mut errors)?
        } else {
            0
        };
        let errors = String::from_utf8_lossy(&errors[..length]).into_owned();
        Ok(Ended { cpu, hung: self.hung.load(Ordering::Relaxed), status, errors })
    }
}

/// Where a run fails halfway, nothing of it stays.
impl Drop for Relay {
    fn drop(&mut self) {
        if self.watchdog.is_some() {
            self.kill();
            let _ = self.reap();
        }
    }
}

impl Ended {
    /// Why fewer bytes than expected came through.
    pub(crate) fn excuse(&self, bytes: u64, expected: u64) -> String {
        let what = match bytes {
            _ if self.hung => "hung",
            0 => "nothing came",
            _ => "lost bytes",
        };
        // Where it was killed, its status is only our own doing.
        let said = self.errors.lines().next().map(str::to_owned);
        let said = said.or_else(|| (!self.hung).then(|| self.status.to_string())).unwrap_or_default();
        format!("{what}, {bytes} of {expected} bytes; {said}").trim_end_matches("; ").to_owned()
    }
}

fn kib(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
}

/// What all children that were waited for have used.
fn used_by_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it has no way to fail");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            Duration::from_secs(seconds)
                + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or_default())
        })
        .sum()
}

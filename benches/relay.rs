//! A running competitor: its process, its pipes, and the resources it uses.

use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::competitors::Competitor;
use crate::flow::ready_within;
use crate::options::scratch_directory;

/// Time limit for a relay to exit after both of its ends have closed. socat waits half a second.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The PIDs of the running processes.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs signal handlers that kill the running processes when the benchmark is terminated,
/// because a listener would otherwise keep running.
pub(crate) fn kill_on_termination() -> io::Result<()> {
    let (mut signals, signalled) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    thread::spawn(move || {
        let _ = signals.read(&mut [0]);
        for group in running().iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        process::exit(130);
    });
    Ok(())
}

pub(crate) struct Relay {
    child: Child,
    /// Set to `None` to close the pipe.
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    errors: PipeReader,
    cpu_before: Duration,
    /// `None` once the process has been reaped.
    watchdog: Option<JoinHandle<()>>,
    timed_out: Arc<AtomicBool>,
}

/// The outcome of a relay's run.
pub(crate) struct Outcome {
    /// User and system time of the relay and of the children that it waited for.
    pub(crate) cpu: Duration,
    /// `true` if the watchdog killed the relay.
    pub(crate) timed_out: bool,
    status: ExitStatus,
    errors: String,
}

impl Relay {
    /// Starts a competitor with pipes as its standard streams. A watchdog kills the process after
    /// `limit`.
    pub(crate) fn start(competitor: &Competitor, args: &[String], limit: Duration) -> io::Result<Self> {
        Self::start_program(&competitor.program, competitor.variable.as_ref(), args, limit)
    }

    /// Starts any program, with an environment variable if one is given. Otherwise like
    /// [`start`](Self::start).
    pub(crate) fn start_program(
        program: &Path,
        variable: Option<&(String, String)>,
        args: &[String],
        limit: Duration,
    ) -> io::Result<Self> {
        let (errors, stderr) = io::pipe()?;
        let mut command = Command::new(program);
        // Use a process group: some programs start further processes, which must be killed too.
        command
            .args(args)
            .current_dir(scratch_directory())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
        command.envs(variable.map(|(name, value)| (name, value)));
        let cpu_before = cpu_of_children();
        let mut child = command.spawn()?;
        running().push(child.id());
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let timed_out = Arc::new(AtomicBool::new(false));
        let watchdog = Some(thread::spawn({
            let (group, timed_out) = (Pid::from_child(&child), Arc::clone(&timed_out));
            // The child is not reaped until this thread has ended, so its PID stays valid.
            let process = pidfd_open(group, PidfdFlags::empty())?;
            move || {
                if !ready_within(&process, limit) {
                    timed_out.store(true, Ordering::Relaxed);
                    let _ = kill_process_group(group, Signal::KILL);
                }
            }
        }));
        Ok(Self { child, stdin, stdout, errors, cpu_before, watchdog, timed_out })
    }

    /// Returns the pipes to the relay's stdin and from its stdout.
    pub(crate) fn pipes(&mut self) -> (&mut ChildStdin, &mut ChildStdout) {
        let Self { stdin: Some(stdin), stdout: Some(stdout), .. } = self else {
            panic!("the pipes exist until `finish`")
        };
        (stdin, stdout)
    }

    /// Returns `true` if the process has exited.
    pub(crate) fn has_exited(&self) -> bool {
        self.watchdog.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Returns the peak resident set size in KiB, or `None` if the process has exited. Reads
    /// procfs, because getrusage(2) would include our own memory from before exec.
    pub(crate) fn peak_kib(&self) -> Option<f64> {
        kib(&fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?, "VmHWM:")
    }

    /// Returns the memory of the process and its children in KiB, as PSS, which divides a shared
    /// page among the processes that map it.
    pub(crate) fn memory_kib(&self) -> f64 {
        self.smaps_kib("Pss:")
    }

    /// Like [`memory_kib`](Self::memory_kib), but without pages of files. Use this if other
    /// processes of the same program start or exit between two measurements.
    pub(crate) fn anonymous_memory_kib(&self) -> f64 {
        self.smaps_kib("Pss_Anon:")
    }

    fn smaps_kib(&self, field: &str) -> f64 {
        let value = |pid| {
            fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|text| kib(&text, field))
        };
        self.process_tree().into_iter().filter_map(value).sum()
    }

    /// Returns the number of threads of the process and its children.
    pub(crate) fn thread_count(&self) -> usize {
        self.process_tree().into_iter().map(|pid| threads(pid).count()).sum()
    }

    /// Returns the CPU time of all running threads of the process and its children.
    pub(crate) fn cpu_so_far(&self) -> Duration {
        let nanoseconds = self.process_tree().into_iter().flat_map(threads).filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Returns the process and its descendants.
    fn process_tree(&self) -> Vec<u32> {
        let mut tree = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = tree.get(next) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            tree.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
            next += 1;
        }
        tree
    }

    /// Closes the relay's stdin and waits for the process to exit. Kills it after a timeout.
    pub(crate) fn finish(mut self) -> io::Result<Outcome> {
        drop(self.stdin.take());
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        if !ready_within(&process, EXIT_TIMEOUT) {
            self.kill();
        }
        self.reap()
    }

    /// Kills the relay. Use this for listeners, which do not exit on their own.
    pub(crate) fn stop(mut self) -> io::Result<Outcome> {
        self.kill();
        self.reap()
    }

    fn kill(&self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    fn reap(&mut self) -> io::Result<Outcome> {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.join().expect("the watchdog does not panic");
        }
        running().retain(|pid| *pid != self.child.id());
        let status = self.child.wait()?;
        let cpu = cpu_of_children().saturating_sub(self.cpu_before);
        let mut errors = vec![0; 4096];
        let length = if ready_within(self.errors.as_fd(), Duration::ZERO) {
            self.errors.read(&mut errors)?
        } else {
            0
        };
        let errors = String::from_utf8_lossy(&errors[..length]).into_owned();
        Ok(Outcome { cpu, timed_out: self.timed_out.load(Ordering::Relaxed), status, errors })
    }
}

/// Kills the process if a run fails halfway.
impl Drop for Relay {
    fn drop(&mut self) {
        if self.watchdog.is_some() {
            self.kill();
            let _ = self.reap();
        }
    }
}

impl Outcome {
    /// Describes why fewer bytes than expected arrived.
    pub(crate) fn failure(&self, bytes: u64, expected: u64) -> String {
        let what = match bytes {
            _ if self.timed_out => "timed out",
            0 => "no data",
            _ => "data lost",
        };
        // After a timeout, the exit status only shows that we killed the process.
        let message = self.errors.lines().next().map(str::to_owned);
        let message = message.or_else(|| (!self.timed_out).then(|| self.status.to_string()));
        format!("{what}, {bytes} of {expected} bytes; {}", message.unwrap_or_default())
            .trim_end_matches("; ")
            .to_owned()
    }
}

/// Returns the directories of a process's threads.
fn threads(pid: u32) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten()
}

fn kib(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Returns the CPU time of all children that have been reaped.
fn cpu_of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage(RUSAGE_CHILDREN) cannot fail");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            Duration::from_secs(seconds)
                + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or_default())
        })
        .sum()
}

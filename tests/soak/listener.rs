//! A listener under test, and its resource usage.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Time limit for a listener to end its sessions, or to exit.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum number of pipe descriptors that a listener keeps while idle.
const MAX_IDLE_PIPES: usize = 32;

pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    child: Child,
    reader: JoinHandle<()>,
    /// The number of messages that the listener has printed, and the text of the unexpected ones.
    pub(crate) messages: Arc<Mutex<(u64, Vec<String>)>>,
}

/// The resource usage of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) threads: usize,
    pub(crate) sockets: usize,
    pub(crate) pipes: usize,
    pub(crate) other_descriptors: usize,
    pub(crate) memory_kib: u64,
}

impl Usage {
    /// Returns `true` if this usage shows that a session was not ended since `earlier`. Idle
    /// listeners keep some pipes for later sessions.
    pub(crate) fn exceeds(&self, earlier: &Self) -> bool {
        self.threads > earlier.threads
            || self.sockets > earlier.sockets
            || self.other_descriptors > earlier.other_descriptors
            || self.pipes > MAX_IDLE_PIPES
    }
}

impl Listener {
    /// Starts a listener. `args` name the target and, optionally, a proxy.
    pub(crate) fn start(program: &Path, name: &str, relay: &str, args: &[String]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["-d", "--listen", "127.0.0.1:0"])
            .args(args)
            .env_clear()
            .envs([("HOME", "/nonexistent"), ("CONNECT_RELAY", relay)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = lines.next().ok_or_else(|| io::Error::other("the listener exited"))??;
            let address = line
                .split_once("waiting new connection at port ")
                .and_then(|(_, rest)| rest.split_once('(')?.1.strip_suffix(')')?.parse().ok());
            if let Some(address) = address {
                break address;
            }
        };
        let messages = Arc::<Mutex<(u64, Vec<String>)>>::default();
        let shared = Arc::clone(&messages);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| !line.starts_with("DEBUG: ")) {
                let mut messages = shared.lock().unwrap();
                messages.0 += 1;
                if !line.starts_with("connect: ") || !line.contains("client 127.0.0.1:") {
                    messages.1.push(line);
                }
            }
        });
        Ok(Self { name: format!("{name}, {relay}"), address, child, reader, messages })
    }

    /// Waits until no thread of a session is left, and until the usage is not above `limit`, or
    /// until the timeout. Returns the usage. Open sessions need no threads of their own, so only
    /// the limit shows that they have ended.
    pub(crate) fn idle_usage(&self, limit: Option<&Usage>) -> io::Result<Usage> {
        let start = Instant::now();
        loop {
            let usage = self.usage()?;
            let is_idle = usage.threads <= idle_threads() && limit.is_none_or(|limit| !usage.exceeds(limit));
            if is_idle || start.elapsed() > IDLE_TIMEOUT {
                return Ok(usage);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn usage(&self) -> io::Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let (mut sockets, mut pipes, mut other_descriptors) = (0, 0, 0);
        for entry in fs::read_dir(format!("{process}/fd"))? {
            // The descriptor may be closed by now.
            let Ok(link) = fs::read_link(entry?.path()) else { continue };
            let link = link.to_string_lossy().into_owned();
            *(match link.split(':').next() {
                Some("socket") => &mut sockets,
                Some("pipe") => &mut pipes,
                _ => &mut other_descriptors,
            }) += 1;
        }
        let memory = fs::read_to_string(format!("{process}/smaps_rollup"))?;
        let memory_kib = memory
            .lines()
            .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok());
        let threads = fs::read_dir(format!("{process}/task"))?.count();
        Ok(Usage {
            threads,
            sockets,
            pipes,
            other_descriptors,
            memory_kib: memory_kib.ok_or(io::ErrorKind::InvalidData)?,
        })
    }

    /// Returns the CPU time so far, in hundredths of a second.
    pub(crate) fn ticks(&self) -> io::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        field(11).zip(field(12)).map(|(user, system)| user + system).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// Terminates the listener with SIGTERM and returns its exit code.
    pub(crate) fn stop(mut self) -> io::Result<Option<i32>> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or(io::ErrorKind::InvalidData)?, Signal::TERM)?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if start.elapsed() > IDLE_TIMEOUT {
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(20));
        };
        let _ = self.reader.join();
        Ok(status.code())
    }
}

/// Returns the number of threads of a listener without clients: the main thread, and one that
/// relays for each processor.
fn idle_threads() -> usize {
    1 + thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

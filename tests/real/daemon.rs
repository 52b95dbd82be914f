//! Server processes: ports, readiness, and shutdown.

use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// Time limit for a server to start listening on all its ports.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum number of attempts to start a server. Another program may take a port between our
/// check that the port is free and the server's bind.
const START_ATTEMPTS: usize = 5;

/// Time limit for a server to exit after SIGTERM, before it gets SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The range of ports for servers. It is below the kernel's default range for outgoing connections,
/// and every port has five digits, so that none is a prefix of another in a log line.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// A foreground server that leads its own process group. Dropping it stops the whole group.
pub(crate) struct Daemon {
    name: String,
    pid: Pid,
    /// `None` once the server has been stopped, because its process ID may then belong to another
    /// process.
    child: Mutex<Option<Child>>,
    pub(crate) ports: Vec<u16>,
}

impl Daemon {
    /// Starts a server with `count` ports and waits until it listens on all of them.
    ///
    /// `prepare` is passed the ports, writes the configuration and returns the command. The
    /// server's output goes to `output`. If the server does not start, the error includes the last
    /// lines of `output`.
    pub(crate) fn start(
        name: &str,
        count: usize,
        output: &Path,
        prepare: impl Fn(&[u16]) -> Command,
    ) -> Result<Self, String> {
        for _ in 0..START_ATTEMPTS {
            let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
            let daemon = Self::spawn(name, prepare(&ports), output, ports)?;
            if daemon.is_ready_in_time() {
                return Ok(daemon);
            }
        }
        let output = fs::read(output).unwrap_or_default();
        let tail = super::runner::last_lines(&String::from_utf8_lossy(&output), 12);
        Err(format!("{name} did not start in {START_ATTEMPTS} attempts; its last output:\n{tail}"))
    }

    /// Starts a server in its own process group, without waiting for it to listen.
    pub(crate) fn spawn(
        name: &str,
        mut command: Command,
        output: &Path,
        ports: Vec<u16>,
    ) -> Result<Self, String> {
        let log = File::options().append(true).create(true).open(output);
        let log = log.map_err(|error| format!("{}: {error}", output.display()))?;
        let errors = log.try_clone().map_err(|error| format!("{}: {error}", output.display()))?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(|error| format!("{name} did not start: {error}"))?;
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or("no process ID")?;
        Ok(Self { name: name.to_owned(), pid, child: Mutex::new(Some(child)), ports })
    }

    /// Waits until the server listens on all ports. Returns `false` if it exits or takes too long.
    fn is_ready_in_time(&self) -> bool {
        let start = Instant::now();
        while start.elapsed() < START_TIMEOUT && !self.has_exited() {
            if self.ports.iter().all(|port| self.listens_on(*port)) {
                return !self.has_exited();
            }
            sleep(POLL_INTERVAL);
        }
        false
    }

    /// Returns `true` if this server, rather than another program, listens on the port.
    fn listens_on(&self, port: u16) -> bool {
        let inodes = listening_sockets(port);
        // Root can list every process's descriptors. Other users cannot list those of a server that
        // has changed its user ID. In that case, accept any listener.
        let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", self.pid.as_raw_pid())) else {
            return !inodes.is_empty();
        };
        let links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        let sockets: Vec<PathBuf> = links.collect();
        inodes.iter().any(|inode| sockets.contains(&PathBuf::from(format!("socket:[{inode}]"))))
    }

    /// Returns `true` if the process is gone, or is a zombie that this type will reap.
    pub(crate) fn has_exited(&self) -> bool {
        let child = self.child();
        child.is_none() || self.is_zombie()
    }

    fn is_zombie(&self) -> bool {
        // NOWAIT leaves the zombie, so that the kernel does not reuse its process ID.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(rustix::process::waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// Returns the ID of the server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().cast_unsigned()
    }

    /// Sends a signal to the server and its children.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.child().is_some() {
            // ESRCH: the whole group is gone.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }

    /// Stops the server and its children: SIGTERM, then SIGKILL for those that are left.
    pub(crate) fn stop(&self) {
        let mut child = self.child();
        let Some(mut process) = child.take() else { return };
        let _ = rustix::process::kill_process_group(self.pid, Signal::TERM);
        let start = Instant::now();
        while !self.is_zombie() && start.elapsed() < STOP_TIMEOUT {
            sleep(POLL_INTERVAL);
        }
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        if let Err(error) = process.wait() {
            eprintln!("{}: {error}", self.name);
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Kills the process groups of all child processes when a signal ends the run. Makes several
/// passes, because other threads may still be starting children.
pub(crate) fn kill_children() {
    let own = std::process::id().to_string();
    for _ in 0..3 {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
        let children = names.filter(|name| parent_of(name).as_ref() == Some(&own));
        for child in children.filter_map(|name| Pid::from_raw(name.parse().ok()?)) {
            // ESRCH: the child does not lead a group yet.
            let _ = rustix::process::kill_process_group(child, Signal::KILL);
        }
        sleep(POLL_INTERVAL);
    }
}

/// Returns the process ID of a process's parent; `None` if there is no such process.
fn parent_of(process: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The format is `pid (name) state ppid …`, and the name may contain anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1).map(str::to_owned)
}

/// Returns a port that is free on loopback and that this process has not used before.
pub(crate) fn free_port() -> u16 {
    static OFFSET: AtomicU16 = AtomicU16::new(0);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let size = PORTS.end - PORTS.start;
    // Concurrent runs of the suite start at different ports.
    let first =
        u16::try_from((u64::from(std::process::id()) * 977 + time.as_secs()) % u64::from(size)).unwrap();
    // Only the first call sets the offset.
    let _ = OFFSET.compare_exchange(0, first.max(1), Ordering::Relaxed, Ordering::Relaxed);
    loop {
        let offset = OFFSET.fetch_add(1, Ordering::Relaxed) % size;
        let port = PORTS.start + offset;
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && (!super::peers::has_ipv6() || TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok());
        if is_free {
            return port;
        }
    }
}

/// Returns `true` if any program listens on this port.
pub(crate) fn has_listener(port: u16) -> bool {
    !listening_sockets(port).is_empty()
}

/// Returns the inodes of the sockets that listen on this port. A connection attempt would also
/// detect a listener, but would appear in the server's log.
fn listening_sockets(port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines());
    // The fields are sl, local address, remote address, state, …, inode (see the kernel's
    // proc_net_tcp.txt).
    let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listening =
        fields.filter(|fields| fields.len() > 9 && fields[3] == LISTEN && fields[1].ends_with(&port));
    listening.map(|fields| fields[9].to_owned()).collect()
}

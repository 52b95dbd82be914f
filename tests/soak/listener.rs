//! A listener under test, and what it has of the machine's.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// It may take so long until what it no longer needs is given back.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) place: SocketAddr,
    child: Child,
    messages: JoinHandle<()>,
    /// How many lines it has said, and those that it should not say.
    pub(crate) told: Arc<Mutex<(u64, Vec<String>)>>,
}

/// What a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) threads: usize,
    pub(crate) sockets: usize,
    pub(crate) pipes: usize,
    pub(crate) other_descriptors: usize,
    pub(crate) kib: u64,
}

impl Listener {
    /// Starts one; `words` say where it leads to.
    pub(crate) fn start(program: &Path, name: &str, relay: &str, words: &[String]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["-d", "--listen", "127.0.0.1:0"])
            .args(words)
            .env_clear()
            .envs([("HOME", "/nonexistent"), ("CONNECT_RELAY", relay)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        let place = loop {
            let line = lines.next().ok_or_else(|| io::Error::other("the listener ended"))??;
            let place = line
                .split_once("waiting new connection at port ")
                .and_then(|(_, rest)| rest.split_once('(')?.1.strip_suffix(')')?.parse().ok());
            if let Some(place) = place {
                break place;
            }
        };
        let told = Arc::<Mutex<(u64, Vec<String>)>>::default();
        let shared = Arc::clone(&told);
        let messages = thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| !line.starts_with("DEBUG: ")) {
                let mut told = shared.lock().unwrap();
                told.0 += 1;
                if !line.starts_with("connect: client 127.0.0.1:") {
                    told.1.push(line);
                }
            }
        });
        Ok(Self { name: format!("{name}, {relay}"), place, child, messages, told })
    }

    /// What it has once it has come to rest: one thread, and no more sockets than it takes to listen.
    pub(crate) fn at_rest(&self) -> io::Result<Vitals> {
        let start = Instant::now();
        loop {
            let vitals = self.vitals()?;
            if vitals.threads == 1 || start.elapsed() > PATIENCE {
                return Ok(vitals);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn vitals(&self) -> io::Result<Vitals> {
        let process = format!("/proc/{}", self.child.id());
        let (mut sockets, mut pipes, mut other_descriptors) = (0, 0, 0);
        for entry in fs::read_dir(format!("{process}/fd"))? {
            // It may be closed by now.
            let Ok(what) = fs::read_link(entry?.path()) else { continue };
            let what = what.to_string_lossy().into_owned();
            *(match what.split(':').next() {
                Some("socket") => &mut sockets,
                Some("pipe") => &mut pipes,
                _ => &mut other_descriptors,
            }) += 1;
        }
        let memory = fs::read_to_string(format!("{process}/smaps_rollup"))?;
        let kib = memory
            .lines()
            .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok());
        let threads = fs::read_dir(format!("{process}/task"))?.count();
        Ok(Vitals { threads, sockets, pipes, other_descriptors, kib: kib.ok_or(io::ErrorKind::InvalidData)? })
    }

    /// Processor time so far, in ticks of a hundredth of a second.
    pub(crate) fn ticks(&self) -> io::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        field(11).zip(field(12)).map(|(user, system)| user + system).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// Ends it by SIGTERM; its exit code.
    pub(crate) fn stop(mut self) -> io::Result<Option<i32>> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or(io::ErrorKind::InvalidData)?, Signal::TERM)?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if start.elapsed() > PATIENCE {
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(20));
        };
        let _ = self.messages.join();
        Ok(status.code())
    }
}

//! Where and when the figures come from.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) date: String,
    /// The command that repeats this.
    pub(crate) command: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut words = Vec::new();
        let mut given = std::env::args().skip(1);
        while let Some(word) = given.next() {
            match word.as_str() {
                // Cargo's own.
                "--bench" => {}
                // Where the files go changes no figure.
                "--write" => drop(given.next()),
                _ => words.push(word),
            }
        }
        let command = if words.is_empty() {
            "cargo bench".into()
        } else {
            format!("cargo bench -- {}", words.join(" "))
        };
        Self {
            cpu: model.map_or("unknown CPU", |(_, model)| model.trim()).to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("Linux {}", kernel.trim()),
            date: today(),
            command,
        }
    }

    pub(crate) fn line(&self) -> String {
        let cores = if self.cores == 1 { "one core".to_owned() } else { format!("{} cores", self.cores) };
        format!("{}, {cores}, {}", self.cpu, self.kernel)
    }
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(|_| "today".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Keeps all that is measured, and the far side as well, to the last core: others and interrupts like the first best.
pub(crate) fn keep_to_one_core() -> io::Result<()> {
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    if let Some(last) = (0..CpuSet::MAX_CPU).rev().find(|&core| all.is_set(core)) {
        one.set(last);
    }
    Ok(sched_setaffinity(None, &one)?)
}

/// A thousand sessions need some thousand descriptors, here and in what is started from here.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where this fails, the sessions say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

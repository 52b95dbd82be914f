//! Where and when the figures come from.

use std::fs;
use std::process::Command;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
        // Cargo adds a word of its own.
        let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
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
        format!("{}, {} cores, {}", self.cpu, self.cores, self.kernel)
    }
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(|_| "today".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A thousand sessions need some thousand descriptors, here and in what is started from here.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where this fails, the sessions say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

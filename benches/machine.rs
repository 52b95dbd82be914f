//! Describes a run of the benchmark: the machine, the date and the command.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    /// Name and version, such as `Linux 6.18`.
    pub(crate) kernel: String,
    pub(crate) date: String,
    /// The command that repeats this run.
    pub(crate) command: String,
}

impl Machine {
    pub(crate) fn detect() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: model.map_or("unknown CPU", |(_, model)| model.trim()).to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("Linux {}", major_minor(kernel.trim())),
            date: today(),
            command: command(),
        }
    }

    /// Describes the CPU, the number of cores and the kernel on one line.
    pub(crate) fn line(&self) -> String {
        let cores = if self.cores == 1 { "one core".to_owned() } else { format!("{} cores", self.cores) };
        format!("{}, {cores}, {}", self.cpu, self.kernel)
    }
}

/// Shortens a version like `6.18.5-generic` to `6.18`, because the patch level and the build do not
/// matter here.
fn major_minor(version: &str) -> &str {
    version.match_indices('.').nth(1).map_or(version, |(end, _)| &version[..end])
}

fn command() -> String {
    let mut args = Vec::new();
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        match arg.as_str() {
            // Cargo adds this option.
            "--bench" => {}
            // The output directory does not affect the measurements.
            "--write" => drop(given.next()),
            _ => args.push(arg),
        }
    }
    if args.is_empty() { "cargo bench".into() } else { format!("cargo bench -- {}", args.join(" ")) }
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(|_| "today".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Pins this process and its children to the last core, which other programs and interrupts tend to
/// use the least.
pub(crate) fn pin_to_one_core() -> io::Result<()> {
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    if let Some(last) = (0..CpuSet::MAX_CPU).rev().find(|&core| all.is_set(core)) {
        one.set(last);
    }
    Ok(sched_setaffinity(None, &one)?)
}

/// Returns the number of files that a process may open after [`raise_descriptor_limit`].
pub(crate) fn max_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).maximum;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Raises the limit on open files for this process and its children, because a thousand sessions
/// need several thousand descriptors.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Ignore a failure: if descriptors run out, the sessions measurement reports it.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

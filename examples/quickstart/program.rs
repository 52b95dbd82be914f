//! Builds the real program and runs it as ssh runs its `ProxyCommand`, over pipes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::peers::{SERVER, TIMEOUT};

/// The `connect` binary in the build profile's directory, which also contains `examples`.
pub(crate) struct Program {
    profile_dir: PathBuf,
    path: PathBuf,
}

impl Program {
    /// Returns the binary from the same build profile as this example.
    pub(crate) fn locate() -> io::Result<Self> {
        let example = std::env::current_exe()?;
        let profile_dir = example.ancestors().nth(2).ok_or(io::ErrorKind::NotFound)?.to_owned();
        let path = profile_dir.join(format!("connect{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { profile_dir, path })
    }

    /// Builds the binary, because `cargo run --example` does not, and it may be missing or stale.
    pub(crate) fn build(&self) -> io::Result<()> {
        let profile = self.profile_dir.file_name().and_then(|name| name.to_str());
        let profile = profile.filter(|name| *name != "debug").unwrap_or("dev");
        let cargo = std::env::var_os("CARGO").unwrap_or(env!("CARGO").into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--bin", "connect", "--profile", profile])
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .arg("--target-dir")
            .arg(self.profile_dir.parent().unwrap_or(Path::new(".")))
            .status()?;
        let failed = || io::Error::other("cargo failed to build the program");
        status.success().then_some(()).ok_or_else(failed)
    }

    /// Runs `call`. Sends `request` after the server's first line has arrived, then closes stdin.
    pub(crate) fn run(&self, call: &Call, request: &[u8]) -> io::Result<Outcome> {
        let started = Instant::now();
        let mut child = Command::new(&self.path)
            .args(call.args.split(' '))
            // Clear the environment, because the user's own proxy settings and passwords must not
            // interfere. Windows sockets need SystemRoot.
            .env_clear()
            .envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)))
            .env("HOME", &self.profile_dir)
            .envs(call.env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (banner_received, banner) = mpsc::channel::<()>();

        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = banner.recv();
                stdin.map(|mut pipe| pipe.write_all(request))
            });
            let stdout = scope.spawn(move || {
                let (mut pipe, mut bytes) = (BufReader::new(stdout?), Vec::new());
                pipe.read_until(b'\n', &mut bytes).ok()?;
                drop(banner_received);
                pipe.read_to_end(&mut bytes).ok()?;
                Some(bytes)
            });
            let stderr = scope.spawn(move || io::read_to_string(stderr?).ok());
            let code = wait(&mut child, started)?;
            Ok(Outcome {
                code,
                elapsed: started.elapsed(),
                stdout: stdout.join().ok().flatten().unwrap_or_default(),
                stderr: stderr.join().ok().flatten().unwrap_or_default(),
            })
        })
    }
}

impl fmt::Display for Program {
    /// Writes the path, relative to the current directory if possible.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here = std::env::current_dir().unwrap_or_default();
        self.path.strip_prefix(here).unwrap_or(&self.path).display().fmt(f)
    }
}

/// Waits for the program to exit, and kills it after [`TIMEOUT`]. Returns the exit code; `None` if
/// a signal killed the program.
fn wait(child: &mut Child, started: Instant) -> io::Result<Option<i32>> {
    while started.elapsed() < TIMEOUT {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

type Env = &'static [(&'static str, &'static str)];

/// A command line and its environment variables.
pub(crate) struct Call {
    env: Env,
    args: String,
}

impl Call {
    /// Creates a command line that reaches the server through this proxy.
    pub(crate) fn new(env: Env, option: &str, proxy: SocketAddr) -> Self {
        let args = format!("{option} {proxy} {}", SERVER.replace(':', " "));
        Self { env, args }
    }
}

impl fmt::Display for Call {
    /// Writes the call as a user would type it in a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.env {
            write!(f, "{name}={value} ")?;
        }
        let next_line = if self.env.is_empty() { "" } else { "\\\n" };
        write!(f, "{next_line}connect {}", self.args)
    }
}

/// The outcome of a run.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    elapsed: Duration,
}

impl Outcome {
    /// Returns `true` if the session ended normally, without any message except `-d` lines.
    pub(crate) fn is_clean(&self) -> bool {
        self.code == Some(0) && self.stderr.lines().all(|line| line.starts_with("DEBUG: "))
    }

    /// Describes the exit code and the elapsed time.
    pub(crate) fn ending(&self) -> String {
        let elapsed = self.elapsed.as_millis();
        match self.code {
            Some(code) => format!("exit {code} after {elapsed} ms"),
            None => format!("no exit code, killed after {elapsed} ms"),
        }
    }
}

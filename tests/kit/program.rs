//! The builder for a run of the program.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[cfg(unix)]
use std::os::fd::OwnedFd;

use super::running::{Ends, Outcome, Running};
use super::temp::TempPath;
#[cfg(unix)]
use super::unix;

/// Returns a run of the program under test with these whitespace-separated arguments:
/// `connect(format!("-S {proxy} example.org 22")).run()`.
///
/// Set `CONNECT_UNDER_TEST=/path/to/another` in the environment to test another program, for
/// example to see which of these tests the C program fails.
pub(crate) fn connect(args: impl AsRef<str>) -> Program {
    Program::new(program_path()).args(args)
}

/// Returns the path of the program under test.
pub(crate) fn program_path() -> String {
    std::env::var("CONNECT_UNDER_TEST").unwrap_or_else(|_| env!("CARGO_BIN_EXE_connect").into())
}

/// The other end of one of the program's standard streams.
pub(crate) enum Io {
    /// A pipe to or from the test (the default). See [`Running::send`] and [`Outcome::stdout`].
    Pipe,
    /// `/dev/null`.
    Null,
    /// Nothing: the descriptor is closed.
    #[cfg(unix)]
    Closed,
    /// A file, pipe, socket or terminal that the test provides.
    Given(Stdio),
}

macro_rules! given {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Io {
            fn from(end: $kind) -> Self {
                Self::Given(end.into())
            }
        }
    )*};
}
given!(File, PipeReader, PipeWriter);
#[cfg(unix)]
given!(OwnedFd);

#[cfg(unix)]
impl From<std::os::unix::net::UnixStream> for Io {
    fn from(end: std::os::unix::net::UnixStream) -> Self {
        OwnedFd::from(end).into()
    }
}

/// A builder for a run of a program.
///
/// The environment contains `PATH`, a `HOME` that is an empty directory, a `LANG` with UTF-8, and
/// the variables added with [`env`]. There is no controlling terminal unless [`terminal`] sets one.
///
/// [`env`]: Program::env
/// [`terminal`]: Program::terminal
pub(crate) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdio: [Io; 3],
    input: Option<Vec<u8>>,
    limit: Duration,
    name: Option<String>,
    #[cfg(unix)]
    setup: unix::Setup,
}

impl Program {
    /// Returns a run of any program. Use [`connect`] for the program under test.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            environment: Vec::new(),
            stdio: [Io::Pipe, Io::Pipe, Io::Pipe],
            input: None,
            limit: super::TIMEOUT,
            name: None,
            #[cfg(unix)]
            setup: unix::Setup::default(),
        }
    }

    /// Adds whitespace-separated arguments.
    pub(crate) fn args(mut self, args: impl AsRef<str>) -> Self {
        self.args.extend(args.as_ref().split_whitespace().map(OsString::from));
        self
    }

    /// Adds one argument verbatim. The argument may be empty or contain whitespace.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Runs the program through another one: these words precede its path.
    pub(crate) fn through<const N: usize>(mut self, words: [&str; N]) -> Self {
        let own = std::mem::replace(&mut self.path, words[0].into()).into_os_string();
        let before = words[1..].iter().map(OsString::from).chain([own]);
        self.args.splice(..0, before);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs the program through a link with this file name, such as `connect-25`.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sets stdin.
    pub(crate) fn stdin(mut self, io: impl Into<Io>) -> Self {
        self.stdio[0] = io.into();
        self
    }

    /// Sets stdout.
    pub(crate) fn stdout(mut self, io: impl Into<Io>) -> Self {
        self.stdio[1] = io.into();
        self
    }

    /// Sets stderr.
    pub(crate) fn stderr(mut self, io: impl Into<Io>) -> Self {
        self.stdio[2] = io.into();
        self
    }

    /// Sends these bytes to stdin in the background, then closes it.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Sets how long the program may run before it is killed and the test fails. The default is
    /// [`TIMEOUT`](super::TIMEOUT).
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Makes this pseudo-terminal the program's controlling terminal, `/dev/tty`.
    #[cfg(unix)]
    pub(crate) fn terminal(mut self, pty: &unix::Pty) -> Self {
        self.setup.terminal = Some(pty.slave());
        self
    }

    /// Starts the program with this signal ignored, as `nohup` and some daemons do.
    #[cfg(unix)]
    pub(crate) fn ignoring(mut self, signal: rustix::process::Signal) -> Self {
        self.setup.ignored.push(signal);
        self
    }

    /// Starts the program with this signal blocked, as a careless parent process does.
    #[cfg(unix)]
    pub(crate) fn blocking(mut self, signal: rustix::process::Signal) -> Self {
        self.setup.blocked.push(signal);
        self
    }

    /// Installs a seccomp filter that makes splice(2) fail in the program.
    #[cfg(target_os = "linux")]
    pub(crate) fn without_splice(self) -> Self {
        self.fault(unix::CallFault::SpliceUnsupported)
    }

    /// Makes some system calls fail in the program, with a seccomp filter.
    #[cfg(target_os = "linux")]
    pub(crate) fn fault(mut self, fault: unix::CallFault) -> Self {
        self.setup.fault = Some(fault);
        self
    }

    /// Runs the program like that of an ordinary user, even if the user is root: it may read only
    /// those processes that allow it.
    #[cfg(target_os = "linux")]
    pub(crate) fn unprivileged(mut self) -> Self {
        self.setup.unprivileged = true;
        self
    }

    /// Starts the program and waits until it exits. Stdin is the [`input`](Program::input), or
    /// empty.
    #[track_caller]
    pub(crate) fn run(mut self) -> Outcome {
        if let (Io::Pipe, None) = (&self.stdio[0], &self.input) {
            // EOF must be visible from the start, whichever process the system runs first.
            let (reader, _) = std::io::pipe().unwrap();
            self.stdio[0] = reader.into();
        }
        self.start().finish()
    }

    /// Starts the program.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let home = TempPath::directory("home");
        // The title appears in messages. Use the file name alone, because test output must not
        // depend on paths.
        let mut title = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for arg in &self.args {
            title.push(' ');
            title.push_str(&arg.to_string_lossy());
        }

        let link = self.name.as_deref().map(|name| link(&self.path, name));
        let mut command = Command::new(link.as_deref().unwrap_or(&self.path));
        command.args(&self.args).env_clear().env("HOME", &*home).env("LANG", "C.UTF-8");
        // Sockets on Windows need SystemRoot.
        for name in ["PATH", "SystemRoot"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.environment);

        let mut ends = Ends::default();
        let [stdin, stdout, stderr] = self.stdio;
        #[cfg(unix)]
        {
            let closed = [&stdin, &stdout, &stderr].map(|io| matches!(io, Io::Closed));
            unix::prepare(&mut command, unix::Setup { closed, ..self.setup });
        }
        command.stdin(child_end(stdin, || {
            let (reader, writer) = std::io::pipe().unwrap();
            ends.stdin = Some(writer);
            reader.into()
        }));
        command.stdout(child_end(stdout, || collected(&mut ends.stdout)));
        command.stderr(child_end(stderr, || collected(&mut ends.stderr)));

        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {title}: {error}"));
        // Close our copies of the child's pipe ends, or we would never see EOF.
        drop(command);
        let mut running = Running::new(child, started, ends, title, self.limit);
        running.keep(home);
        if let Some(link) = link {
            running.keep(link);
        }
        if let Some(bytes) = self.input {
            running.feed(std::io::Cursor::new(bytes));
        }
        running
    }
}

fn child_end(io: Io, pipe: impl FnOnce() -> Stdio) -> Stdio {
    match io {
        Io::Pipe => pipe(),
        Io::Null => Stdio::null(),
        // `unix::prepare` closes the descriptor between fork and exec.
        #[cfg(unix)]
        Io::Closed => Stdio::null(),
        Io::Given(end) => end,
    }
}

fn collected(end: &mut Option<PipeReader>) -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    *end = Some(reader);
    writer.into()
}

/// Creates a link to `path` (a copy on Windows) with this file name, in a new directory.
fn link(path: &Path, name: &str) -> TempPath {
    let link = TempPath::new(name);
    #[cfg(unix)]
    std::os::unix::fs::symlink(path, &*link).unwrap();
    #[cfg(not(unix))]
    std::fs::copy(path, &*link).map(drop).unwrap();
    link
}

//! A run of the program, described before it starts.

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

/// The program under test with these words, split at blanks:
/// `connect(format!("-S {proxy} example.org 22")).run()`.
///
/// `CONNECT_UNDER_TEST=/path/to/another` in the environment tests another program instead, for
/// example to see which of these tests the C program fails.
pub(crate) fn connect(words: impl AsRef<str>) -> Program {
    Program::new(program_path()).args(words)
}

/// The path of the program under test, for a shell that is to start it.
pub(crate) fn program_path() -> String {
    std::env::var("CONNECT_UNDER_TEST").unwrap_or_else(|_| env!("CARGO_BIN_EXE_connect").into())
}

/// Defines `connect` for a module that is in the tests twice: under a name with `copying` in it the program relays
/// through memory, else inside the kernel where it can.
macro_rules! define_connect_for_relay_mode {
    () => {
        fn connect(words: impl AsRef<str>) -> $crate::kit::Program {
            let how = if module_path!().contains("copying") { "copy" } else { "splice" };
            $crate::kit::connect(words).env("CONNECT_RELAY", how)
        }
    };
}
pub(crate) use define_connect_for_relay_mode;

/// What one of the three standard descriptors is.
pub(crate) enum Io {
    /// A pipe to or from the test (the default): see [`Running::send`], [`Outcome::stdout`].
    Pipe,
    /// `/dev/null`.
    Null,
    /// Not open at all.
    #[cfg(unix)]
    Closed,
    /// Something of the test's own: a file, the end of a pipe, a socket, a terminal.
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

/// Builder of a run. The environment holds `PATH` and an empty `HOME`, and what [`env`] adds;
/// there is no controlling terminal unless [`terminal`] gives one.
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
    terminal: Option<OwnedFd>,
    #[cfg(unix)]
    refuse_splice: bool,
}

impl Program {
    /// Any program; [`connect`] is the one under test.
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
            terminal: None,
            #[cfg(unix)]
            refuse_splice: false,
        }
    }

    /// More arguments, split at blanks.
    pub(crate) fn args(mut self, words: impl AsRef<str>) -> Self {
        self.args.extend(words.as_ref().split_whitespace().map(OsString::from));
        self
    }

    /// One more argument, as it is: for empty ones, and those with blanks.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it under another name, as a copy or link `connect-25` would.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// What stdin is.
    pub(crate) fn stdin(mut self, io: impl Into<Io>) -> Self {
        self.stdio[0] = io.into();
        self
    }

    /// What stdout is.
    pub(crate) fn stdout(mut self, io: impl Into<Io>) -> Self {
        self.stdio[1] = io.into();
        self
    }

    /// What stderr is.
    pub(crate) fn stderr(mut self, io: impl Into<Io>) -> Self {
        self.stdio[2] = io.into();
        self
    }

    /// Sends these bytes from the very start, in the background, then closes stdin.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Kills the run, and fails the test, after this long instead of [`TIMEOUT`](super::TIMEOUT).
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Makes the slave side of a pseudo-terminal the controlling one: `/dev/tty` of the program.
    #[cfg(unix)]
    pub(crate) fn terminal(mut self, pty: &unix::Pty) -> Self {
        self.terminal = Some(pty.slave());
        self
    }

    /// The system refuses it splice(2), by a filter of system calls.
    #[cfg(target_os = "linux")]
    pub(crate) fn without_splice(mut self) -> Self {
        self.refuse_splice = true;
        self
    }

    /// Starts it and waits for its end. Stdin is what [`input`](Program::input) gave, else
    /// empty.
    #[track_caller]
    pub(crate) fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        let home = TempPath::directory("home");
        // The title is for messages: the name alone, a test's output must not depend on places.
        let mut title = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for arg in &self.args {
            title.push(' ');
            title.push_str(&arg.to_string_lossy());
        }

        let link = self.name.as_deref().map(|name| link(&self.path, name));
        let mut command = Command::new(link.as_deref().unwrap_or(&self.path));
        command.args(&self.args).env_clear().env("HOME", &*home);
        // Windows needs SystemRoot for its sockets.
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
            unix::prepare(&mut command, closed, self.terminal, self.refuse_splice);
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
        // The child's ends go with the command: they must not stay open here.
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
        // Closed between fork and exec; until then something has to be there.
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

/// `path` under another file name, in a directory of its own.
fn link(path: &Path, name: &str) -> TempPath {
    let link = TempPath::new(name);
    #[cfg(unix)]
    std::os::unix::fs::symlink(path, &*link).unwrap();
    #[cfg(not(unix))]
    std::fs::copy(path, &*link).map(drop).unwrap();
    link
}

//! Runs one session with a fault, and determines the outcome for the program and for both ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::exchange::{Channel, Ending, HalfClose, Job, Outcome, Pace, exchange};
use crate::kit::set_nonblocking;
use crate::kit::stream::Stream;

/// More data than a pipe holds, so that the relay makes each system call several times.
const UP: Stream = Stream { seed: 1, len: 300_000 };
const DOWN: Stream = Stream { seed: 2, len: 400_000 };

/// These sessions never have to wait for long, so one that makes no progress for this long has
/// hung.
const STALL_TIMEOUT: Duration = Duration::from_secs(8);

/// The connection of the near end to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    /// Through the program's stdin and stdout.
    Pipes,
    /// As the client of a local port.
    Port,
}

/// The behavior of the two ends, and the setup of the program's standard descriptors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behavior {
    /// The near end closes after this many bytes, counting both directions.
    pub(crate) near_closes: Option<u64>,
    /// The target resets the connection after this many bytes, counting both directions.
    pub(crate) target_resets: Option<u64>,
    /// The near end pauses before its first read and after each read.
    pub(crate) near_is_slow: bool,
    pub(crate) descriptors: Descriptors,
}

/// The setup of the program's standard descriptors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Descriptors {
    #[default]
    Blocking,
    NonBlocking,
    /// Stdin is closed, so the near end sends nothing.
    NoStdin,
    /// Stdin and stderr are closed.
    NoStdinNoStderr,
}

/// The result of a session, in the terms of docs/compat.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The program succeeded and all data arrived, or the near end closed the session early, as
    /// planned.
    Ok,
    /// The program reported an error, and neither end mistakes a truncated session for a complete
    /// one.
    Error,
    /// Data is wrong, or it is missing although a clean EOF or the exit code indicates success.
    Loss(String),
    Hang,
    /// This signal killed the program.
    Crash(i32),
    /// The program failed without exactly one error message, or printed a message although it
    /// succeeded.
    Mute(String),
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Loss(_) => "loss",
            Self::Hang => "hang",
            Self::Crash(_) => "crash",
            Self::Mute(_) => "mute",
        }
    }
}

/// The end of a session for the program and for each end.
#[derive(Debug)]
struct Report {
    near: Outcome,
    /// `None` if the program never connected to the target.
    target: Option<Outcome>,
    /// `None` if the program had to be killed.
    status: Option<ExitStatus>,
    /// Lines on stderr, except debug lines.
    messages: Vec<String>,
}

impl Behavior {
    fn near(self) -> Job {
        let slow = Duration::from_millis(if self.near_is_slow { 30 } else { 0 });
        Job {
            send: self.up(),
            receive: DOWN,
            pace: Pace { initial_pause: slow * 5, read_pause: slow },
            abort_after: self.near_closes,
            half_close: HalfClose::AtOnce,
            idle_timeout: STALL_TIMEOUT,
        }
    }

    fn target(self) -> Job {
        Job {
            send: DOWN,
            receive: self.up(),
            pace: Pace::default(),
            abort_after: self.target_resets,
            half_close: HalfClose::AfterEof,
            idle_timeout: STALL_TIMEOUT,
        }
    }

    fn up(self) -> Stream {
        Stream { len: if self.has_stdin() { UP.len } else { 0 }, ..UP }
    }

    fn has_stdin(self) -> bool {
        matches!(self.descriptors, Descriptors::Blocking | Descriptors::NonBlocking)
    }
}

/// Runs a session. `command` builds the command that starts the program with the given arguments.
pub(crate) fn run(
    near: Near,
    behavior: Behavior,
    command: impl FnOnce(&[String]) -> Command,
) -> io::Result<Verdict> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port().to_string();
    let mut args = match near {
        Near::Pipes => vec![],
        Near::Port => vec!["-d".into(), "-p".into(), "0".into()],
    };
    args.extend(["127.0.0.1".into(), port]);
    let mut command = command(&args);
    command.stderr(Stdio::piped());
    let nonblocking = behavior.descriptors == Descriptors::NonBlocking;
    let (input, its_input) = pipe_to_program(nonblocking)?;
    let (its_output, output) = pipe_from_program(nonblocking)?;
    command.stdin(its_input).stdout(its_output);
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let target = scope.spawn(|| serve(&listener, &has_ended, &behavior.target()));
        let child = command.spawn();
        // Drop the command to close its copies of the program's ends of the pipes: otherwise we
        // would get neither EOF nor EPIPE.
        drop(command);
        let report = child.and_then(|child| match near {
            Near::Pipes => through_pipes(child, input, output, &behavior.near()),
            Near::Port => through_port(child, &behavior.near()),
        });
        has_ended.store(true, Ordering::SeqCst);
        let target = target.join().map_err(|_| io::Error::other("the target panicked"))??;
        Ok(Report { target, ..report? }.verdict(near, behavior))
    })
}

/// Creates a pipe for the program's stdin, and returns our end and the program's. Ours is always
/// non-blocking; `nonblocking` applies to the program's end.
fn pipe_to_program(nonblocking: bool) -> io::Result<(PipeWriter, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(&writer, true);
    set_nonblocking(&reader, nonblocking);
    Ok((writer, reader))
}

/// Creates a pipe for the program's stdout, and returns the program's end and ours. Ours is always
/// non-blocking; `nonblocking` applies to the program's end.
fn pipe_from_program(nonblocking: bool) -> io::Result<(PipeWriter, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(&reader, true);
    set_nonblocking(&writer, nonblocking);
    Ok((writer, reader))
}

/// Serves the first connection. Returns `None` if the session ends before a connection arrives.
fn serve(listener: &TcpListener, has_ended: &AtomicBool, job: &Job) -> io::Result<Option<Outcome>> {
    loop {
        // Read the flag before calling accept, so that a connection that arrives in between is not
        // missed.
        let is_last = has_ended.load(Ordering::SeqCst);
        match listener.accept() {
            Ok((stream, _)) => return serve_one(stream, job).map(Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !is_last => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Performs the job on one connection, and resets the connection if the job aborts.
pub(crate) fn serve_one(stream: TcpStream, job: &Job) -> io::Result<Outcome> {
    stream.set_nonblocking(true)?;
    let linger = job.abort_after.map(|_| Duration::ZERO);
    socket2::SockRef::from(&stream).set_linger(linger)?;
    Ok(exchange(&mut Channel::Socket(stream), job))
}

fn through_pipes(mut child: Child, input: PipeWriter, output: PipeReader, job: &Job) -> io::Result<Report> {
    let mut stderr = child.stderr.take().ok_or_else(|| io::Error::other("stderr is no pipe"))?;
    let lines = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text.lines().map(str::to_owned).collect()
    });
    let [input, output] = [OwnedFd::from(input), OwnedFd::from(output)].map(File::from);
    let near = exchange(&mut Channel::Pipes(Some(input), output), job);
    let status = wait(&mut child, STALL_TIMEOUT)?;
    let messages = lines.join().map_err(|_| io::Error::other("the reader of stderr panicked"))?;
    Ok(Report { near, target: None, status, messages })
}

fn through_port(mut child: Child, job: &Job) -> io::Result<Report> {
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("stderr is no pipe"))?;
    let mut lines = BufReader::new(stderr).lines();
    let mut messages = Vec::new();
    let address = listen_address(&mut lines, &mut messages)?;
    let lines = thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let near = match address.map(TcpStream::connect) {
        Some(Ok(stream)) => {
            stream.set_nonblocking(true)?;
            exchange(&mut Channel::Socket(stream), job)
        }
        Some(Err(error)) => Outcome { received: 0, ending: Ending::Failed(error.kind()) },
        None => NOT_CONNECTED,
    };
    let status = wait(&mut child, STALL_TIMEOUT)?;
    messages.extend(lines.join().map_err(|_| io::Error::other("the reader of stderr panicked"))?);
    messages.retain(|line| !line.starts_with("DEBUG: "));
    Ok(Report { near, target: None, status, messages })
}

const NOT_CONNECTED: Outcome = Outcome { received: 0, ending: Ending::Failed(io::ErrorKind::NotConnected) };

/// Reads the listener's address from the `-d` output. Returns `None` if the program ends first.
fn listen_address(
    lines: &mut io::Lines<BufReader<ChildStderr>>,
    messages: &mut Vec<String>,
) -> io::Result<Option<SocketAddr>> {
    for line in lines {
        let line = line?;
        if let Some((_, rest)) = line.split_once("waiting new connection at port ") {
            let address = rest.split_once('(').and_then(|(_, text)| text.strip_suffix(')')?.parse().ok());
            return Ok(address);
        }
        messages.push(line);
    }
    Ok(None)
}

/// Waits for the program to exit. If that takes longer than `limit`, kills the program and returns
/// `None`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Report {
    fn verdict(&self, near: Near, behavior: Behavior) -> Verdict {
        let target = self.target.unwrap_or(NOT_CONNECTED);
        if self.near.ending == Ending::Stalled || target.ending == Ending::Stalled {
            return Verdict::Hang;
        }
        let Some(status) = self.status else { return Verdict::Hang };
        if self.near.ending == Ending::Aborting {
            return Verdict::Ok;
        }
        if let Some(signal) = status.signal() {
            return Verdict::Crash(signal);
        }
        // strace dies of the signal that killed its child; a shell exits with 128 plus the signal
        // number.
        if let Some(code @ 129..160) = status.code() {
            return Verdict::Crash(code - 128);
        }
        let near_complete =
            self.near.received == DOWN.len && (!behavior.has_stdin() || self.near.ending == Ending::Clean);
        let target_complete = (target.ending, target.received) == (Ending::Clean, behavior.up().len);
        // The reader of a pipe can check the exit code; the reader of a socket sees only EOF or a
        // reset.
        let is_misled = |outcome: Outcome, complete: bool| outcome.ending == Ending::Clean && !complete;
        let near_misled = near == Near::Port && is_misled(self.near, near_complete);
        let wrong = [self.near, target].iter().any(|outcome| outcome.ending == Ending::WrongData);
        if wrong
            || near_misled
            || is_misled(target, target_complete)
            || status.success() && !(near_complete && target_complete)
        {
            return Verdict::Loss(format!("{self:?}"));
        }
        match (status.success(), self.messages.as_slice()) {
            (true, []) => Verdict::Ok,
            (false, [line]) if line.starts_with("connect: ") => Verdict::Error,
            (false, []) if behavior.descriptors == Descriptors::NoStdinNoStderr => Verdict::Error,
            _ => Verdict::Mute(format!("{self:?}")),
        }
    }
}

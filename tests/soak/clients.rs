//! The local ends of sessions: clients of listeners, and programs whose stdin and stdout are pipes.

use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::kit::exchange::{Channel, Ending, HalfClose, Job, Outcome, exchange};
use crate::kit::reset_on_close;
use crate::peers::{IDLE_TIMEOUT, Peers, Results};
use crate::scenario::{Interruption, Session, Via};

/// Time limit for a program to exit after its session.
const EXIT_TIMEOUT: Duration = Duration::from_secs(60);

/// An acceptable outcome of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All data arrived.
    Complete,
    /// The session was interrupted, as intended.
    Interrupted,
    /// The proxy refused the session.
    Refused,
}

/// Runs a session through a listener. The error describes the failure.
pub(crate) fn through_listener(
    session: &Session,
    listener: SocketAddr,
    results: &Results,
) -> Result<Verdict, String> {
    let (channel, outcome) = run_client(session, listener).map_err(|error| format!("the client: {error}"))?;
    results.bytes.fetch_add(outcome.received, Ordering::Relaxed);
    if let (Ending::Aborting, Channel::Socket(stream)) = (outcome.ending, channel) {
        reset_on_close(&stream).map_err(|error| error.to_string())?;
    }
    let refused = session.via == Via::ListenerAndProxy && outcome.received == 0;
    match (session.interruption, outcome.ending) {
        (Interruption::None, Ending::Clean) => check_complete(session, outcome, results),
        (Interruption::ClientCloses(_), Ending::Aborting)
        | (Interruption::TargetResets(_), Ending::Failed(_)) => Ok(Verdict::Interrupted),
        // The target had already sent everything, including EOF, before the reset.
        (Interruption::TargetResets(_), Ending::Clean)
            if !session.target_waits_for_eof && outcome.received == session.down.len =>
        {
            Ok(Verdict::Interrupted)
        }
        (_, Ending::Failed(_)) if refused => Ok(Verdict::Refused),
        _ => Err(format!("the client: {outcome:?}")),
    }
}

fn run_client(session: &Session, listener: SocketAddr) -> io::Result<(Channel, Outcome)> {
    let mut stream = TcpStream::connect(listener)?;
    let header_sent = io::Write::write_all(&mut stream, &session.header());
    stream.set_nonblocking(true)?;
    let mut channel = Channel::Socket(stream);
    let outcome = match header_sent {
        Ok(()) => exchange(&mut channel, &job(session)),
        Err(error) => Outcome { received: 0, ending: Ending::Failed(error.kind()) },
    };
    Ok((channel, outcome))
}

fn job(session: &Session) -> Job {
    let abort_after = match session.interruption {
        Interruption::ClientCloses(after) | Interruption::Killed(after) => Some(after),
        Interruption::None | Interruption::TargetResets(_) => None,
    };
    Job {
        send: session.up,
        receive: session.down,
        pace: session.client,
        abort_after,
        half_close: HalfClose::AtOnce,
        idle_timeout: IDLE_TIMEOUT,
    }
}

/// Checks that all data arrived at both ends.
fn check_complete(session: &Session, outcome: Outcome, results: &Results) -> Result<Verdict, String> {
    if outcome.received != session.down.len {
        return Err(format!("the client got EOF after {} of {} bytes", outcome.received, session.down.len));
    }
    let complete = results.await_complete(session.id);
    complete.then_some(Verdict::Complete).ok_or("data is missing at the target".into())
}

/// Runs a session through a process of its own. The error describes the failure.
pub(crate) fn through_program(
    session: &Session,
    program: &Path,
    peers: Peers,
    results: &Results,
) -> Result<Verdict, String> {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", "/nonexistent");
    if session.id.is_multiple_of(2) {
        command.env("CONNECT_RELAY", "copy");
    }
    if session.via == Via::StdioAndProxy {
        command.arg("-S").arg(peers.proxy.to_string());
    }
    command.arg(peers.target.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start the program: {error}"))?;
    let outcome = through_pipes(session, &mut child);
    let code = wait(&mut child)?;
    let mut messages = String::new();
    let read = child.stderr.take().map_or(Ok(0), |mut stderr| stderr.read_to_string(&mut messages));
    read.map_err(|error| format!("reading stderr: {error}"))?;
    let outcome = outcome.map_err(|error| format!("the pipes: {error}, {messages}"))?;
    results.bytes.fetch_add(outcome.received, Ordering::Relaxed);

    let unexpected = || Err(format!("{outcome:?}, exit {code:?}, {messages:?}"));
    if matches!(outcome.ending, Ending::WrongData | Ending::Stalled) {
        return unexpected();
    }
    let one_line = messages.starts_with("connect: ") && messages.matches('\n').count() == 1;
    let no_line = messages.is_empty();
    // A proxy may be at fault if the target sends nothing.
    let warned = session.via == Via::StdioAndProxy && session.down.len == 0 && one_line;
    match (session.interruption, code) {
        (_, Some(5)) if session.via == Via::StdioAndProxy && one_line => Ok(Verdict::Refused),
        (Interruption::None, Some(0)) if (no_line || warned) && outcome.ending == Ending::Clean => {
            check_complete(session, outcome, results)
        }
        (Interruption::TargetResets(_), Some(8)) if one_line => Ok(Verdict::Interrupted),
        // The program may have finished before the interruption, or have noticed that nobody reads
        // its output.
        (Interruption::ClientCloses(_), Some(0 | 8)) | (Interruption::Killed(_), None | Some(0))
            if no_line || warned =>
        {
            Ok(Verdict::Interrupted)
        }
        _ => unexpected(),
    }
}

/// Exchanges data over the program's pipes, then closes them.
fn through_pipes(session: &Session, child: &mut Child) -> io::Result<Outcome> {
    let missing = || io::Error::other("a pipe is missing");
    let mut input = File::from(OwnedFd::from(child.stdin.take().ok_or_else(missing)?));
    let output = File::from(OwnedFd::from(child.stdout.take().ok_or_else(missing)?));
    // Fails if the program has already exited with an error.
    let header_sent = io::Write::write_all(&mut input, &session.header());
    for end in [&input, &output] {
        fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
    }
    let mut channel = Channel::Pipes(Some(input), output);
    let outcome = match header_sent {
        Ok(()) => exchange(&mut channel, &job(session)),
        Err(error) => Outcome { received: 0, ending: Ending::Failed(error.kind()) },
    };
    // Kill the program before its pipes are closed; otherwise it could exit normally.
    if matches!(session.interruption, Interruption::Killed(_)) {
        child.kill()?;
    }
    Ok(outcome)
}

/// Waits until the program exits. Returns its exit code, or `None` if a signal killed it.
fn wait(child: &mut Child) -> Result<Option<i32>, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.code()),
            Ok(None) if start.elapsed() < EXIT_TIMEOUT => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the program did not exit within {EXIT_TIMEOUT:?}"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

//! The near side: clients of listeners, and programs with pipes.

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

use crate::exchange::{Ending, Ends, HalfClose, Job, Outcome, exchange};
use crate::far::{Book, Far, reset};
use crate::plan::{Fate, Session, Way};

/// A program that has nothing left to do ends within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a session came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it arrived.
    Whole,
    /// It was broken, and whoever had to be told was.
    Told,
    /// The proxy would not.
    Refused,
}

/// Runs a session at the listener there; what is wrong, if anything is.
pub(crate) fn at_listener(session: &Session, listener: SocketAddr, book: &Book) -> Result<Verdict, String> {
    let (ends, outcome) = client(session, listener).map_err(|error| format!("the client: {error}"))?;
    book.bytes.fetch_add(outcome.taken, Ordering::Relaxed);
    if let (Ending::ToBreak, Ends::Socket(stream)) = (outcome.ending, ends) {
        reset(stream).map_err(|error| error.to_string())?;
    }
    let refused = session.way == Way::ListenerThroughProxy && outcome.taken == 0;
    match (session.fate, outcome.ending) {
        (Fate::Whole, Ending::Clean) => whole(session, outcome, book),
        (Fate::ClientLeaves(_), Ending::ToBreak) | (Fate::TargetResets(_), Ending::Broken(_)) => {
            Ok(Verdict::Told)
        }
        // It had said all that it had to say.
        (Fate::TargetResets(_), Ending::Clean)
            if !session.target_waits_for_end && outcome.taken == session.down.len =>
        {
            Ok(Verdict::Told)
        }
        (_, Ending::Broken(_)) if refused => Ok(Verdict::Refused),
        _ => Err(format!("the client: {outcome:?}")),
    }
}

fn client(session: &Session, listener: SocketAddr) -> io::Result<(Ends, Outcome)> {
    let mut stream = TcpStream::connect(listener)?;
    let greeted = io::Write::write_all(&mut stream, &session.header());
    stream.set_nonblocking(true)?;
    let mut ends = Ends::Socket(stream);
    let outcome = match greeted {
        Ok(()) => exchange(&mut ends, &job(session)),
        Err(error) => Outcome { taken: 0, ending: Ending::Broken(error.kind()) },
    };
    Ok((ends, outcome))
}

fn job(session: &Session) -> Job {
    let break_after = match session.fate {
        Fate::ClientLeaves(after) | Fate::Killed(after) => Some(after),
        Fate::Whole | Fate::TargetResets(_) => None,
    };
    let (give, take, pace) = (session.up, session.down, session.client);
    Job { give, take, pace, break_after, half_close: HalfClose::AtOnce, patience: PATIENCE }
}

fn whole(session: &Session, outcome: Outcome, book: &Book) -> Result<Verdict, String> {
    if outcome.taken != session.down.len {
        return Err(format!("a clean end after {} of {} bytes", outcome.taken, session.down.len));
    }
    book.is_whole(session.id).then_some(Verdict::Whole).ok_or("not all of it arrived at the target".into())
}

/// Runs a session with a program of its own.
pub(crate) fn with_program(
    session: &Session,
    program: &Path,
    far: Far,
    book: &Book,
) -> Result<Verdict, String> {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", "/nonexistent");
    if session.id.is_multiple_of(2) {
        command.env("CONNECT_RELAY", "copy");
    }
    if session.way == Way::StdioThroughProxy {
        command.arg("-S").arg(far.proxy.to_string());
    }
    command.arg(far.target.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start: {error}"))?;
    let outcome = through(session, &mut child);
    let code = wait(&mut child)?;
    let mut told = String::new();
    let heard = child.stderr.take().map_or(Ok(0), |mut stderr| stderr.read_to_string(&mut told));
    heard.map_err(|error| format!("its messages: {error}"))?;
    let outcome = outcome.map_err(|error| format!("its pipes: {error}, {told}"))?;
    book.bytes.fetch_add(outcome.taken, Ordering::Relaxed);

    let complaint = || Err(format!("{outcome:?}, exit {code:?}, {told:?}"));
    if matches!(outcome.ending, Ending::Wrong | Ending::Hangs) {
        return complaint();
    }
    let one_line = told.starts_with("connect: ") && told.matches('\n').count() == 1;
    match (session.fate, code) {
        (_, Some(5)) if session.way == Way::StdioThroughProxy && one_line => Ok(Verdict::Refused),
        (Fate::Whole, Some(0)) if told.is_empty() && outcome.ending == Ending::Clean => {
            whole(session, outcome, book)
        }
        (Fate::TargetResets(_), Some(8)) if one_line => Ok(Verdict::Told),
        // They may have had the time to end well, or to see that nobody reads.
        (Fate::ClientLeaves(_), Some(0 | 8)) | (Fate::Killed(_), None | Some(0)) if told.is_empty() => {
            Ok(Verdict::Told)
        }
        _ => complaint(),
    }
}

/// The pipes are closed at the end.
fn through(session: &Session, child: &mut Child) -> io::Result<Outcome> {
    let missing = || io::Error::other("a pipe is missing");
    let mut input = File::from(OwnedFd::from(child.stdin.take().ok_or_else(missing)?));
    let output = File::from(OwnedFd::from(child.stdout.take().ok_or_else(missing)?));
    // A program that has given up already takes nothing.
    let greeted = io::Write::write_all(&mut input, &session.header());
    for end in [&input, &output] {
        fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
    }
    let mut ends = Ends::Pipes(Some(input), output);
    let outcome = match greeted {
        Ok(()) => exchange(&mut ends, &job(session)),
        Err(error) => Outcome { taken: 0, ending: Ending::Broken(error.kind()) },
    };
    // Before its pipes end.
    if matches!(session.fate, Fate::Killed(_)) {
        child.kill()?;
    }
    Ok(outcome)
}

/// Its exit code, or none if it was killed.
fn wait(child: &mut Child) -> Result<Option<i32>, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.code()),
            Ok(None) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {PATIENCE:?}"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

//! One session, whatever befalls the program in it, and what came of it for everybody.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::exchange::{Ending, Ends, Job, Outcome, Pace, exchange};
use crate::stream::Stream;

/// More than a pipe holds, so that each call of the relay happens several times.
const UP: Stream = Stream { seed: 1, len: 300_000 };
const DOWN: Stream = Stream { seed: 2, len: 400_000 };

/// Nothing has moved for so long: it hangs. Nobody has to wait for anything in these sessions.
const PATIENCE: Duration = Duration::from_secs(8);

/// What joins the program to the near end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    Pipes,
    Port,
}

/// What the two ends do to the program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// The near end leaves after so many bytes of both directions.
    pub(crate) near_leaves: Option<u64>,
    /// The target resets the connection.
    pub(crate) far_resets: Option<u64>,
    /// The near end takes its time.
    pub(crate) slow: bool,
    /// The program has nothing to read.
    pub(crate) no_input: bool,
    /// The program cannot say anything.
    pub(crate) no_messages: bool,
}

/// How it came out, in the words of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All has arrived everywhere, and the program says so.
    Ok,
    /// Something is missing, and whoever misses it was told.
    Told,
    /// Something is missing, and somebody thinks that all is well.
    Loss(String),
    Hang,
    Crash(i32),
    /// It failed without a word.
    Mute(String),
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Told => "error",
            Self::Loss(_) => "loss",
            Self::Hang => "hang",
            Self::Crash(_) => "crash",
            Self::Mute(_) => "mute",
        }
    }
}

/// What everybody saw.
#[derive(Debug)]
struct Seen {
    near: Outcome,
    /// Nothing if nobody came.
    far: Option<Outcome>,
    /// None if it had to be killed.
    status: Option<ExitStatus>,
    /// Its lines but those of `-d`.
    told: Vec<String>,
}

impl Manners {
    fn near(self) -> Job {
        let slow = Duration::from_millis(if self.slow { 30 } else { 0 });
        let (pace, break_after) = (Pace { silence: slow * 5, slow }, self.near_leaves);
        Job { give: self.up(), take: DOWN, pace, break_after, waits_for_end: false, patience: PATIENCE }
    }

    fn far(self) -> Job {
        let (pace, break_after) = (Pace::default(), self.far_resets);
        Job { give: DOWN, take: self.up(), pace, break_after, waits_for_end: true, patience: PATIENCE }
    }

    fn up(self) -> Stream {
        Stream { len: if self.no_input { 0 } else { UP.len }, ..UP }
    }
}

/// Runs a session: `command` makes the program's command from the words for it.
pub(crate) fn run(
    near: Near,
    manners: Manners,
    command: impl FnOnce(&[String]) -> Command,
) -> io::Result<Verdict> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port().to_string();
    let mut words = match near {
        Near::Pipes => vec![],
        Near::Port => vec!["-d".into(), "-p".into(), "0".into()],
    };
    words.extend(["127.0.0.1".into(), port]);
    let mut command = command(&words);
    command.stderr(Stdio::piped()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let far = scope.spawn(|| target(&listener, &over, &manners.far()));
        let child = command.spawn()?;
        let seen = match near {
            Near::Pipes => through_pipes(child, &manners.near()),
            Near::Port => through_port(child, &manners.near()),
        };
        over.store(true, Ordering::SeqCst);
        let far = far.join().map_err(|_| io::Error::other("the target panicked"))??;
        Ok(seen?.with(far).verdict(near, manners))
    })
}

/// Serves the one connection that comes, if one does.
fn target(listener: &TcpListener, over: &AtomicBool, job: &Job) -> io::Result<Option<Outcome>> {
    loop {
        // Before the look at what has come: nothing can come after it.
        let last = over.load(Ordering::SeqCst);
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                // For who is to break off; closing is an end otherwise.
                let linger = job.break_after.map(|_| Duration::ZERO);
                socket2::SockRef::from(&stream).set_linger(linger)?;
                return Ok(Some(exchange(&mut Ends::Socket(stream), job)));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !last => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn through_pipes(mut child: Child, job: &Job) -> io::Result<Seen> {
    let missing = || io::Error::other("a pipe is missing");
    let input = File::from(OwnedFd::from(child.stdin.take().ok_or_else(missing)?));
    let output = File::from(OwnedFd::from(child.stdout.take().ok_or_else(missing)?));
    for end in [&input, &output] {
        fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
    }
    let mut stderr = child.stderr.take().ok_or_else(missing)?;
    let lines = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text.lines().map(str::to_owned).collect()
    });
    let near = exchange(&mut Ends::Pipes(Some(input), output), job);
    let status = wait(&mut child)?;
    let told = lines.join().map_err(|_| io::Error::other("its messages"))?;
    Ok(Seen { near, far: None, status, told })
}

fn through_port(mut child: Child, job: &Job) -> io::Result<Seen> {
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("a pipe is missing"))?;
    let mut lines = BufReader::new(stderr).lines();
    let mut told = Vec::new();
    let place = place(&mut lines, &mut told)?;
    let lines = thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let near = match place.map(TcpStream::connect) {
        Some(Ok(stream)) => {
            stream.set_nonblocking(true)?;
            exchange(&mut Ends::Socket(stream), job)
        }
        Some(Err(error)) => Outcome { taken: 0, ending: Ending::Broken(error.kind()) },
        None => Outcome { taken: 0, ending: Ending::Broken(io::ErrorKind::NotConnected) },
    };
    let status = wait(&mut child)?;
    told.extend(lines.join().map_err(|_| io::Error::other("its messages"))?);
    told.retain(|line| !line.starts_with("DEBUG: "));
    Ok(Seen { near, far: None, status, told })
}

/// Where it listens, if it says so.
fn place(
    lines: &mut io::Lines<BufReader<ChildStderr>>,
    told: &mut Vec<String>,
) -> io::Result<Option<SocketAddr>> {
    for line in lines {
        let line = line?;
        if let Some((_, rest)) = line.split_once("waiting new connection at port ") {
            let place = rest.split_once('(').and_then(|(_, place)| place.strip_suffix(')')?.parse().ok());
            return Ok(place);
        }
        told.push(line);
    }
    Ok(None)
}

fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Seen {
    fn with(self, far: Option<Outcome>) -> Self {
        Self { far, ..self }
    }

    fn verdict(&self, near: Near, manners: Manners) -> Verdict {
        let far =
            self.far.unwrap_or(Outcome { taken: 0, ending: Ending::Broken(io::ErrorKind::NotConnected) });
        if self.near.ending == Ending::Hangs || far.ending == Ending::Hangs {
            return Verdict::Hang;
        }
        let Some(status) = self.status else { return Verdict::Hang };
        if self.near.ending == Ending::ToBreak {
            return Verdict::Ok;
        }
        if let Some(signal) = status.signal() {
            return Verdict::Crash(signal);
        }
        // strace ends as what it runs has ended, and a shell with 128 and the signal's number.
        if let Some(code @ 129..160) = status.code() {
            return Verdict::Crash(code - 128);
        }
        let is_whole = |outcome: Outcome, len| (outcome.ending, outcome.taken) == (Ending::Clean, len);
        let near_ended =
            self.near.taken == DOWN.len && (manners.no_input || self.near.ending == Ending::Clean);
        let (near_whole, far_whole) = (near_ended, is_whole(far, manners.up().len));
        // Who reads a pipe looks at the exit code, who reads a socket cannot.
        let misled = |outcome: Outcome, whole: bool| outcome.ending == Ending::Clean && !whole;
        let near_misled = near == Near::Port && misled(self.near, near_whole);
        let wrong = [self.near, far].iter().any(|outcome| outcome.ending == Ending::Wrong);
        if wrong || near_misled || status.success() && !(near_whole && far_whole) || misled(far, far_whole) {
            return Verdict::Loss(format!("{self:?}"));
        }
        match (status.success(), self.told.as_slice()) {
            (true, []) => Verdict::Ok,
            (false, [line]) if line.starts_with("connect: ") => Verdict::Told,
            (false, []) if manners.no_messages => Verdict::Told,
            _ => Verdict::Mute(format!("{self:?}")),
        }
    }
}

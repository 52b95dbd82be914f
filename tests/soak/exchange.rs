//! One end of a session: sends its stream, takes the other's and compares it, both at once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::stream::Stream;

/// How an end behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Says and takes nothing for so long.
    pub(crate) silence: Duration,
    /// Pauses after each piece that it takes.
    pub(crate) slow: Duration,
}

/// When an end half-closes its own stream, once it has sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfClose {
    AtOnce,
    /// After it has received everything or EOF. Some proxies close both directions with the first one.
    AfterEverything,
    AfterEof,
}

/// What an end has to do.
pub(crate) struct Job {
    pub(crate) give: Stream,
    pub(crate) take: Stream,
    pub(crate) pace: Pace,
    /// Breaks off after so many bytes of both directions.
    pub(crate) break_after: Option<u64>,
    pub(crate) half_close: HalfClose,
    /// It hangs if nothing has moved for so long.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) taken: u64,
    pub(crate) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both streams have ended, as far as one can see.
    Clean,
    /// An error told that they have not.
    Broken(io::ErrorKind),
    /// This end is to break off now.
    ToBreak,
    /// What came is not what was sent.
    Wrong,
    /// Nothing moves.
    Hangs,
}

/// Where an end reads and writes.
pub(crate) enum Ends {
    Socket(TcpStream),
    /// What a program reads and writes.
    Pipes(Option<File>, File),
}

impl Ends {
    fn reader(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(stream) => stream.as_fd(),
            Self::Pipes(_, output) => output.as_fd(),
        }
    }

    fn writer(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Socket(stream) => Some(stream.as_fd()),
            Self::Pipes(input, _) => input.as_ref().map(AsFd::as_fd),
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.read(buffer),
            Self::Pipes(_, output) => output.read(buffer),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.write(bytes),
            Self::Pipes(Some(input), _) => input.write(bytes),
            Self::Pipes(None, _) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream) => stream.shutdown(Shutdown::Write),
            Self::Pipes(input, _) => {
                *input = None;
                Ok(())
            }
        }
    }
}

/// Does the job on descriptors that do not wait.
pub(crate) fn exchange(ends: &mut Ends, job: &Job) -> Outcome {
    thread::sleep(job.pace.silence);
    let (mut given, mut taken, mut gave_end, mut took_end) = (0, 0, false, false);
    let mut buffer = vec![0; crate::stream::PIECE];
    // A writer that fails may take away the error that the reader would have seen.
    let mut broken = None;
    let ending = loop {
        if job.break_after.is_some_and(|after| given + taken >= after) {
            break Ending::ToBreak;
        }
        if (gave_end || broken.is_some()) && took_end {
            break broken.map_or(Ending::Clean, Ending::Broken);
        }
        let all_given = given == job.give.len;
        let may_end = match job.half_close {
            HalfClose::AtOnce => true,
            HalfClose::AfterEverything => took_end || taken == job.take.len,
            HalfClose::AfterEof => took_end,
        };
        let write = !gave_end && broken.is_none() && (!all_given || may_end);
        let (readable, writable) = match ready(ends, !took_end, write, job.patience) {
            Ok(Some(ready)) => ready,
            Ok(None) => break Ending::Hangs,
            Err(error) => break Ending::Broken(error.kind()),
        };
        if readable {
            match ends.read(&mut buffer) {
                Ok(0) => took_end = true,
                Ok(count) if job.take.has(taken, &buffer[..count]) => {
                    taken += count as u64;
                    thread::sleep(job.pace.slow);
                }
                Ok(_) => break Ending::Wrong,
                Err(error) if is_passing(&error) => {}
                Err(error) => break Ending::Broken(error.kind()),
            }
        }
        if writable {
            let result = if all_given {
                gave_end = true;
                ends.end().map(|()| 0)
            } else {
                ends.write(job.give.at(given))
            };
            match result {
                Ok(count) => given += count as u64,
                Err(error) if is_passing(&error) => {}
                Err(error) => broken = Some(error.kind()),
            }
        }
    };
    Outcome { taken, ending }
}

/// Whether there is something to read or room to write; nothing if neither comes.
fn ready(ends: &Ends, read: bool, write: bool, patience: Duration) -> io::Result<Option<(bool, bool)>> {
    let any = |flags: PollFlags, wanted| flags.intersects(wanted | PollFlags::HUP | PollFlags::ERR);
    let reader = read.then(|| ends.reader());
    let writer = ends.writer().filter(|_| write);
    let mut watches = Vec::with_capacity(2);
    watches.extend(reader.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
    watches.extend(writer.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    if poll(&mut watches, Some(&patience))? == 0 {
        return Ok(None);
    }
    let mut seen = watches.iter().map(PollFd::revents);
    let readable = read && any(seen.next().unwrap_or(PollFlags::empty()), PollFlags::IN);
    let writable = writer.is_some() && any(seen.next().unwrap_or(PollFlags::empty()), PollFlags::OUT);
    Ok(Some((readable, writable)))
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

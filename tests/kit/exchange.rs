//! One end of a session: sends its own stream while it receives and checks the other end's stream.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::stream::{MAX_SLICE, Stream};

/// The speed at which an end sends and receives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Pause before anything is sent or received.
    pub(crate) initial_pause: Duration,
    /// Pause after each read.
    pub(crate) read_pause: Duration,
}

/// The point at which an end that has sent everything half-closes its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfClose {
    AtOnce,
    /// After receiving all expected data, or EOF. Some proxies close both directions on the first
    /// half-close.
    AfterEverything,
    AfterEof,
}

/// The task of one end of a session.
pub(crate) struct Job {
    pub(crate) send: Stream,
    pub(crate) receive: Stream,
    pub(crate) pace: Pace,
    /// Number of bytes, counting both directions, after which this end aborts the session.
    pub(crate) abort_after: Option<u64>,
    pub(crate) half_close: HalfClose,
    /// Maximum time without progress, after which the session ends as [`Ending::Stalled`].
    pub(crate) idle_timeout: Duration,
}

/// The result of an [`exchange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Number of bytes received.
    pub(crate) received: u64,
    pub(crate) ending: Ending,
}

/// The end of an [`exchange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both directions ended with EOF. Data may still be missing.
    Clean,
    /// Reading or writing failed.
    Failed(io::ErrorKind),
    /// The byte count reached [`Job::abort_after`].
    Aborting,
    /// The received bytes differ from the expected ones.
    WrongData,
    /// No progress within the idle timeout.
    Stalled,
}

/// The streams that an end reads and writes. They must be non-blocking.
pub(crate) enum Channel {
    Socket(TcpStream),
    /// Pipes to a program's stdin and from its stdout.
    Pipes(Option<File>, File),
}

impl Channel {
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

    fn half_close(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(stream) => stream.shutdown(Shutdown::Write),
            Self::Pipes(input, _) => {
                *input = None;
                Ok(())
            }
        }
    }
}

/// Sends and receives as `job` describes until the session ends.
pub(crate) fn exchange(channel: &mut Channel, job: &Job) -> Outcome {
    thread::sleep(job.pace.initial_pause);
    let (mut sent, mut received, mut sent_eof, mut received_eof) = (0, 0, false, false);
    let mut buffer = vec![0; MAX_SLICE];
    // Keep reading after a failed write: the kernel reports a socket error only once, and unread
    // data may remain.
    let mut write_error = None;
    let ending = loop {
        if job.abort_after.is_some_and(|after| sent + received >= after) {
            break Ending::Aborting;
        }
        if (sent_eof || write_error.is_some()) && received_eof {
            break write_error.map_or(Ending::Clean, Ending::Failed);
        }
        let all_sent = sent == job.send.len;
        let may_half_close = match job.half_close {
            HalfClose::AtOnce => true,
            HalfClose::AfterEverything => received_eof || received == job.receive.len,
            HalfClose::AfterEof => received_eof,
        };
        let write = !sent_eof && write_error.is_none() && (!all_sent || may_half_close);
        let (readable, writable) = match wait_ready(channel, !received_eof, write, job.idle_timeout) {
            Ok(Some(ready)) => ready,
            Ok(None) => break Ending::Stalled,
            Err(error) => break Ending::Failed(error.kind()),
        };
        if readable {
            match channel.read(&mut buffer) {
                Ok(0) => received_eof = true,
                Ok(count) if job.receive.has(received, &buffer[..count]) => {
                    received += count as u64;
                    thread::sleep(job.pace.read_pause);
                }
                Ok(_) => break Ending::WrongData,
                Err(error) if is_transient(&error) => {}
                Err(error) => break Ending::Failed(error.kind()),
            }
        }
        if writable {
            let result = if all_sent {
                sent_eof = true;
                channel.half_close().map(|()| 0)
            } else {
                channel.write(job.send.at(sent))
            };
            match result {
                Ok(count) => sent += count as u64,
                Err(error) if is_transient(&error) => {}
                Err(error) => write_error = Some(error.kind()),
            }
        }
    };
    Outcome { received, ending }
}

/// Waits until the channel is readable or writable, as requested. Returns `None` after the timeout.
fn wait_ready(
    channel: &Channel,
    read: bool,
    write: bool,
    timeout: Duration,
) -> io::Result<Option<(bool, bool)>> {
    let any = |flags: PollFlags, wanted| flags.intersects(wanted | PollFlags::HUP | PollFlags::ERR);
    let reader = read.then(|| channel.reader());
    let writer = channel.writer().filter(|_| write);
    let mut watches = Vec::with_capacity(2);
    watches.extend(reader.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
    watches.extend(writer.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    if poll(&mut watches, Some(&timeout))? == 0 {
        return Ok(None);
    }
    let mut events = watches.iter().map(PollFd::revents);
    let readable = read && any(events.next().unwrap_or(PollFlags::empty()), PollFlags::IN);
    let writable = writer.is_some() && any(events.next().unwrap_or(PollFlags::empty()), PollFlags::OUT);
    Ok(Some((readable, writable)))
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

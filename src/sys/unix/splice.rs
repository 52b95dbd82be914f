//! Moving bytes from one descriptor to another inside the kernel: splice(2), which Linux has.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

use super::Channel;
use crate::sys::SpliceMode;

/// The most that one call may move.
const MAX_SPLICE: usize = 1 << 20;
/// How much a pipe is to hold into which much is moved from a socket. A larger one is not for everybody: this is the
/// default of `/proc/sys/fs/pipe-max-size`.
const WIDE_SINK: usize = 1 << 20;
/// The same for a pipe whose writer is somebody else: moving its pages into a socket costs least with this many of
/// them, and with 1 MiB up to four times as much (docs/performance.md).
const WIDE_SOURCE: usize = 1 << 18;

/// How bytes can get from one channel to another.
#[must_use]
pub fn splice_mode(from: &Channel, to: &Channel) -> SpliceMode {
    match (from.is_pipe(), to.is_pipe()) {
        (false, true) if from.is_own_socket() => SpliceMode::IntoPipe,
        (true, false) if to.is_own_socket() => SpliceMode::OutOfPipe,
        (false, false) if from.is_own_socket() && to.is_own_socket() => SpliceMode::ThroughPipe,
        _ => SpliceMode::Copy,
    }
}

/// Moves what is there, as much as there is room for, between two channels of which one is a pipe. No bytes are
/// the end of `from`.
///
/// # Errors
/// What splice(2) says; `WouldBlock` if nothing is there, or if there is no room for it.
pub fn splice(from: &Channel, to: &Channel) -> io::Result<usize> {
    move_from(from, to)
}

/// Whether the error says that these descriptors cannot be spliced, and nothing else about them.
#[must_use]
pub fn cannot_be_spliced(error: &io::Error) -> bool {
    let unfit = [Errno::INVAL, Errno::PERM];
    error.kind() == io::ErrorKind::Unsupported
        || Errno::from_io_error(error).is_some_and(|errno| unfit.contains(&errno))
}

/// Lets the one of them that is a pipe hold as much as is best where much is moved, or as the system allows; what that
/// is depends on what else the user has (pipe(7)).
pub fn grow_pipe(from: &Channel, to: &Channel) {
    if from.is_pipe() {
        set_pipe_size(from, WIDE_SOURCE);
    } else {
        set_pipe_size(to, WIDE_SINK);
    }
}

/// A pipe of our own. It carries bytes between descriptors neither of which is a pipe.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    wide: bool,
}

impl Pipe {
    /// Makes an empty one that holds `capacity` bytes or more.
    ///
    /// # Errors
    /// What pipe2(2) says. `QuotaExceeded` if the user has so many pipes that the system makes small ones only.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        if fcntl_getpipe_size(&writer)? < capacity {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(Self { reader, writer, wide: false })
    }

    /// Lets it hold 1 MiB, or as much as the system allows; what that is depends on what else the user has
    /// (pipe(7)).
    pub fn grow(&mut self) {
        if !self.wide {
            self.wide = true;
            set_pipe_size(&self.writer, WIDE_SINK);
        }
    }

    /// Moves what is there from a socket into the pipe. No bytes are the end.
    ///
    /// # Errors
    /// What splice(2) says; `WouldBlock` if nothing is there.
    pub fn fill(&self, from: &Channel) -> io::Result<usize> {
        move_from(from, &self.writer)
    }

    /// Moves up to `most` bytes on to a socket.
    ///
    /// # Errors
    /// What splice(2) says; `WouldBlock` if there is no room.
    pub fn drain(&self, to: &Channel, most: usize) -> io::Result<usize> {
        move_between(&self.reader, to, most)
    }

    /// Reads what the pipe holds.
    ///
    /// # Errors
    /// What read(2) says; `WouldBlock` if it is empty.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.reader, buffer)?)
    }
}

fn set_pipe_size(pipe: &impl AsFd, size: usize) {
    for size in [size, size / 2, size / 4] {
        if fcntl_setpipe_size(pipe, size).is_ok() {
            return;
        }
    }
}

/// A socket also gives no bytes before urgent data (RFC 9293 §3.8.5), which other calls leave out.
fn move_from(from: &Channel, to: &impl AsFd) -> io::Result<usize> {
    match move_between(from, to, MAX_SPLICE)? {
        0 if !from.is_pipe() => match from.peek(&mut [0]) {
            Ok(0) => Ok(0),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "urgent data")),
        },
        count => {
            from.count_read(count as u64);
            Ok(count)
        }
    }
}

fn move_between(from: &impl AsFd, to: &impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, to, None, most, flags)?)
}

//! Moves bytes between descriptors inside the kernel: splice(2), on Linux.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

use super::Channel;
use crate::sys::{SpliceMode, is_out_of_memory};

/// Maximum number of bytes to move per call.
const MAX_SPLICE: usize = 1 << 20;
/// Capacity of a pipe into which a bulk transfer writes. This is the default limit for unprivileged
/// users (`/proc/sys/fs/pipe-max-size`).
const SINK_CAPACITY: usize = 1 << 20;
/// Capacity of a pipe that another process fills. Moving its pages into a socket is cheapest at
/// this size, and up to four times as expensive at 1 MiB (docs/performance.md).
const SOURCE_CAPACITY: usize = 1 << 18;

/// Returns how splice(2) can move bytes from one channel to the other.
#[must_use]
pub fn splice_mode(from: &Channel, to: &Channel) -> SpliceMode {
    match (from.is_pipe(), to.is_pipe()) {
        (false, true) if from.is_own_socket() => SpliceMode::IntoPipe,
        (true, false) if to.is_own_socket() => SpliceMode::OutOfPipe,
        (false, false) if from.is_own_socket() && to.is_own_socket() => SpliceMode::ThroughPipe,
        _ => SpliceMode::Copy,
    }
}

/// Moves available bytes between two channels, one of which must be a pipe. Returns 0 at EOF.
///
/// # Errors
/// splice(2) failed; `WouldBlock` if nothing is available, or if there is no room for it.
pub fn splice(from: &Channel, to: &Channel) -> io::Result<usize> {
    move_from(from, to)
}

/// Returns `true` if the error means that splice(2) does not work between these descriptors, or
/// that the kernel lacks memory for it. Copying needs less memory.
#[must_use]
pub fn cannot_be_spliced(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || is_out_of_memory(error)
        || matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::PERM))
}

/// Grows whichever channel is a pipe to the best size for bulk transfers, or to a smaller size if
/// the kernel refuses. The kernel's limit depends on the user's other pipes (pipe(7)).
pub fn grow_pipe(from: &Channel, to: &Channel) {
    if from.is_pipe() {
        set_pipe_size(from, SOURCE_CAPACITY);
    } else {
        set_pipe_size(to, SINK_CAPACITY);
    }
}

/// A pipe of our own, to move bytes between two descriptors that are not pipes.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    is_grown: bool,
}

impl Pipe {
    /// Creates an empty pipe with room for at least `capacity` bytes.
    ///
    /// # Errors
    /// pipe2(2) failed. `QuotaExceeded` if the user has so many pipes that new ones are small.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        if fcntl_getpipe_size(&writer)? < capacity {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(Self { reader, writer, is_grown: false })
    }

    /// Grows the pipe to 1 MiB, or to a smaller size if the kernel refuses. The kernel's limit
    /// depends on the user's other pipes (pipe(7)).
    pub fn grow(&mut self) {
        if !self.is_grown {
            self.is_grown = true;
            set_pipe_size(&self.writer, SINK_CAPACITY);
        }
    }

    /// Moves available bytes from a socket into the pipe. Returns 0 at EOF.
    ///
    /// # Errors
    /// splice(2) failed; `WouldBlock` if nothing is available.
    pub fn fill(&self, from: &Channel) -> io::Result<usize> {
        move_from(from, &self.writer)
    }

    /// Moves up to `limit` bytes from the pipe to a socket.
    ///
    /// # Errors
    /// splice(2) failed; `WouldBlock` if there is no room.
    pub fn drain(&self, to: &Channel, limit: usize) -> io::Result<usize> {
        move_between(&self.reader, to, limit)
    }

    /// Reads from the pipe into memory.
    ///
    /// # Errors
    /// read(2) failed; `WouldBlock` if the pipe is empty.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.reader, buffer)?)
    }
}

/// Sets the capacity of a pipe to `size`, or to half or a quarter of it if the kernel refuses.
fn set_pipe_size(pipe: &impl AsFd, size: usize) {
    for size in [size, size / 2, size / 4] {
        if fcntl_setpipe_size(pipe, size).is_ok() {
            return;
        }
    }
}

/// Moves bytes, and distinguishes EOF from urgent data (RFC 9293 §3.8.5): splice(2) returns 0 for
/// both, whereas other calls skip urgent data.
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

fn move_between(from: &impl AsFd, to: &impl AsFd, limit: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, to, None, limit, flags)?)
}

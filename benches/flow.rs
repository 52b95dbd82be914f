//! Moves bulk data at the two ends of a relay, as cheaply as possible.

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{SpliceFlags, splice};

/// Chunk size: large enough that system calls cost little, small enough to fit in a core's cache.
pub(crate) const CHUNK: usize = 256 * 1024;

/// The number of bytes that arrived, and how long they took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flow {
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

/// Writes this many bytes.
pub(crate) fn pour(mut to: impl Write, bytes: u64) -> io::Result<()> {
    let chunk = vec![b'.'; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        to.write_all(&chunk[..piece])?;
        left -= piece as u64;
    }
    Ok(())
}

/// Receives up to this many bytes without copying them to user space: the kernel discards them.
pub(crate) fn discard(socket: &TcpStream, bytes: u64) -> Flow {
    let mut buffer = vec![0; 1 << 20];
    count(bytes, || Ok(recv(socket, &mut buffer[..], RecvFlags::TRUNC)?.1))
}

/// Like [`discard`], but from a pipe.
pub(crate) fn discard_pipe(pipe: impl AsFd, bytes: u64) -> io::Result<Flow> {
    let null = File::options().write(true).open("/dev/null")?;
    Ok(count(bytes, || Ok(splice(&pipe, None, &null, None, 1 << 20, SpliceFlags::MOVE)?)))
}

/// Calls `take` until this many bytes have arrived, or until EOF or an error. The caller recognizes
/// a failure by the low count.
fn count(bytes: u64, mut take: impl FnMut() -> io::Result<usize>) -> Flow {
    let started = Instant::now();
    let mut arrived = 0;
    while arrived < bytes {
        match take() {
            Ok(0) => break,
            Ok(length) => arrived += length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Flow { bytes: arrived, elapsed: started.elapsed() }
}

/// Waits until the descriptor is readable. Returns `false` if that takes longer than `limit`.
pub(crate) fn ready_within(descriptor: impl AsFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}

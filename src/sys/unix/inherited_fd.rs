//! Reads from file descriptors inherited from the parent process (`--password-fd`).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, FromRawFd};

use rustix::event::{PollFd, PollFlags, poll};

struct Inherited(File);

/// Returns a reader that owns an inherited descriptor and closes it when dropped.
///
/// # Errors
/// The descriptor is not open.
pub fn read_inherited(number: u32) -> io::Result<impl Read> {
    let number = i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: fcntl with F_GETFD only reads a descriptor's flags, and fails if the descriptor is
    // closed.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and nothing else in this process owns it: we keep no
    // descriptor of our own open before the first session.
    Ok(Inherited(unsafe { File::from_raw_fd(number) }))
}

impl Read for Inherited {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                // The parent may have made the descriptor non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut waiting = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
                    poll(&mut waiting, None)?;
                }
                other => return other,
            }
        }
    }
}

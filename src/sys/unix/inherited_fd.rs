//! Descriptors that whoever started us has left open for us.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, FromRawFd};

use rustix::event::{PollFd, PollFlags, poll};

struct Inherited(File);

/// What comes from the descriptor of this number, which is closed when the reader is dropped.
///
/// # Errors
/// There is no such descriptor.
pub fn read_inherited(number: u32) -> io::Result<impl Read> {
    let number = i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: fcntl with F_GETFD reads one flag of a descriptor; it fails if there is none.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and it is nobody else's here: before there is a session we have opened none that stay open.
    Ok(Inherited(unsafe { File::from_raw_fd(number) }))
}

impl Read for Inherited {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                // Whoever left it may have left it so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut waiting = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
                    poll(&mut waiting, None)?;
                }
                other => return other,
            }
        }
    }
}

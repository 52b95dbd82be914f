//! The standard output of a child process, up to the child's exit.

use std::io::{self, Read};
use std::os::windows::io::AsRawHandle;
use std::process::{Child, ChildStdout, ExitStatus};
use std::ptr;
use std::thread;
use std::time::Duration;

use windows_sys::Win32::System::Pipes::PeekNamedPipe;

/// Shortest and longest sleep between checks for output and exit. Windows cannot wait for data in
/// a pipe without reading it.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The standard output of a child process. Reading returns EOF once the child has exited and its
/// output has been read, even if a process that the child started keeps the pipe open.
#[derive(Debug)]
pub struct ChildOutput {
    pipe: ChildStdout,
    child: Child,
}

impl ChildOutput {
    /// Takes over the child that `start` returns. Its standard output must be a pipe.
    pub(in crate::sys) fn new(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Self> {
        let mut child = start()?;
        let pipe = child.stdout.take().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { pipe, child })
    }

    /// Closes the pipe and blocks until the child exits.
    ///
    /// # Errors
    /// The child's status could not be read.
    pub fn wait(self) -> io::Result<ExitStatus> {
        let Self { pipe, mut child } = self;
        drop(pipe);
        child.wait()
    }

    /// Returns `true` if a read will not block: there is data, EOF, or an error.
    fn is_readable(&self) -> bool {
        let mut available = 0;
        // SAFETY: the handle is open. The pointer to `available` is valid, and the other pointers
        // may be null.
        let peeked = unsafe {
            PeekNamedPipe(
                self.pipe.as_raw_handle(),
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                &raw mut available,
                ptr::null_mut(),
            )
        };
        peeked == 0 || available > 0
    }
}

impl Read for ChildOutput {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut delay = BACKOFF.0;
        loop {
            // The order matters: the child may write and exit between the two checks.
            let has_exited = self.child.try_wait()?.is_some();
            if self.is_readable() {
                return self.pipe.read(bytes);
            }
            if has_exited {
                return Ok(0);
            }
            thread::sleep(delay);
            delay = (delay * 2).min(BACKOFF.1);
        }
    }
}

//! The standard output of a child process, up to the child's exit.

use std::io::{self, PipeReader, Read};
use std::process::{Child, ChildStdout, ExitStatus};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Ready, poll, watch};

/// Stack size of the thread that waits for the child.
const STACK_SIZE: usize = 64 * 1024;

/// The standard output of a child process. Reading returns EOF once the child has exited and its
/// output has been read, even if a process that the child started keeps the pipe open.
#[derive(Debug)]
pub struct ChildOutput {
    pipe: ChildStdout,
    /// Reaches EOF when the child exits.
    exit: PipeReader,
    has_exited: bool,
    /// Waits for the child to exit, because poll(2) does not report that.
    waiter: JoinHandle<io::Result<ExitStatus>>,
}

impl ChildOutput {
    /// Takes over the child that `start` returns. Its standard output must be a pipe.
    pub(in crate::sys) fn new(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Self> {
        // Do everything else that can fail for lack of resources before starting the child.
        let (exit, open_until_exit) = io::pipe()?;
        let (sender, receiver) = mpsc::sync_channel::<Child>(1);
        let waiter = thread::Builder::new().stack_size(STACK_SIZE).spawn(move || {
            let status = receiver.recv().map_err(io::Error::other).and_then(|mut child| child.wait());
            drop(open_until_exit);
            status
        })?;
        let mut child = start()?;
        let pipe = child.stdout.take().ok_or(io::ErrorKind::InvalidInput)?;
        // Fails only if the thread has already ended.
        sender.send(child).map_err(io::Error::other)?;
        Ok(Self { pipe, exit, has_exited: false, waiter })
    }

    /// Closes the pipe and blocks until the child exits.
    ///
    /// # Errors
    /// wait(2) failed.
    pub fn wait(self) -> io::Result<ExitStatus> {
        drop(self.pipe);
        self.waiter.join().unwrap_or_else(|_| Err(io::Error::other("the waiting thread panicked")))
    }
}

impl Read for ChildOutput {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut watches = [watch(&self.pipe, true, false), watch(&self.exit, true, false)];
            // After the exit, read what is left in the pipe, but do not wait for more.
            let (limit, count) = if self.has_exited { (Some(Duration::ZERO), 1) } else { (None, 2) };
            poll(&mut watches[..count], limit)?;
            if Ready::from_watch(&watches[0]).read {
                return self.pipe.read(bytes);
            }
            if self.has_exited {
                return Ok(0);
            }
            self.has_exited = Ready::from_watch(&watches[1]).read;
        }
    }
}

//! A tunnel that failed before it could carry a byte.

use std::io;

use crate::stream::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Ready};

/// A stream whose calls return an error.
#[derive(Debug)]
pub struct Broken(io::Error);

impl Broken {
    /// Creates a stream that returns this error.
    #[must_use]
    pub fn new(error: io::Error) -> Self {
        Self(error)
    }

    fn error<T>(&self) -> io::Result<T> {
        Err(sys::clone_io_error(&self.0))
    }
}

impl Stream for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.error()
    }

    fn peek(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.error()
    }

    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.error()
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        self.error()
    }

    fn reset_on_close(&mut self) {}

    fn set_reset_on_exit(&mut self, _: bool) {}

    fn undelivered(&self) -> usize {
        0
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        if want.any() {
            polls.set_ready();
        }
    }

    fn ready(&self, want: Interest, _: &mut Events) -> Ready {
        Ready { read: want.read, write: want.write, gone: false }
    }
}

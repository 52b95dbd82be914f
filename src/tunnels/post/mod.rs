//! The stream of a POST tunnel.
//!
//! Two threads send the requests, one for each direction, because each request waits for its answer
//! and opening a connection blocks. A socket pair connects them to the user of the stream.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread;

use crate::plan::Dial;
use crate::proto::post::{Broken, Direction, Failure, OpenedTunnel};
use crate::stream::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel, Ready};
use crate::tunnels::aborting::{self, Abort};
use link::Link;
use shared::Shared;
use worker::Worker;

mod link;
mod resuming;
mod shared;
mod worker;

/// Size of the stack of a thread. Connecting to the server needs most of it.
const STACK_SIZE: usize = 256 * 1024;

/// A POST tunnel.
pub struct PostTunnel {
    /// The user's end of the socket pair.
    outer: Channel,
    shared: Arc<Shared>,
    /// Readable once nothing is left to be sent; `None` unless the stream waits for that.
    end: Option<Channel>,
}

impl PostTunnel {
    /// Starts the threads of a tunnel that is open. `connection` has carried its first request.
    ///
    /// # Errors
    /// A thread could not be started, or descriptors are short.
    pub fn start(tunnel: OpenedTunnel, connection: Box<dyn Stream>, dial: Arc<dyn Dial>) -> io::Result<Self> {
        let OpenedTunnel { client, resource, now, keeps_alive, redactor } = tunnel;
        let (outer, inner) = sys::channel_pair()?;
        let shared = Arc::new(Shared::new(client, now, resource, redactor, dial, inner));
        aborting::register(Arc::<Shared>::downgrade(&shared));
        let tunnel = Self { outer, shared, end: None };
        // Most servers speak first, so that the first connection is for the bytes from them.
        let connection = Some(connection).filter(|_| keeps_alive);
        for (direction, connection) in [(Direction::Down, connection), (Direction::Up, None)] {
            let shared = Arc::clone(&tunnel.shared);
            let worker = Worker::new(shared, direction, Link::new(connection));
            thread::Builder::new().name("post".into()).stack_size(STACK_SIZE).spawn(move || worker.run())?;
        }
        Ok(tunnel)
    }

    /// Returns the error of a tunnel that failed. `is_eof` means that the socket pair has reached
    /// EOF, which must not pass for EOF of the target.
    fn failure(&self, is_eof: bool) -> Option<io::Error> {
        let client = self.shared.client();
        let aborted = || (is_eof && !client.has_down_ended()).then_some(Failure::Aborted);
        client.failure().cloned().or_else(aborted).map(|failure| io::Error::other(Broken(failure)))
    }

    fn check_eof(&self, result: io::Result<usize>, length: usize) -> io::Result<usize> {
        match result {
            Ok(0) if length > 0 => self.failure(true).map_or(Ok(0), Err),
            // The pair is cut if the tunnel fails.
            Err(error) if !sys::is_transient(&error) => Err(self.failure(false).unwrap_or(error)),
            result => result,
        }
    }
}

impl Drop for PostTunnel {
    fn drop(&mut self) {
        let is_done = self.shared.client().is_done();
        if !is_done {
            self.shared.abort();
        }
    }
}

impl fmt::Debug for PostTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostTunnel({})", self.shared.client().sid())
    }
}

impl Stream for PostTunnel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.outer.read(buffer);
        self.check_eof(result, buffer.len())
    }

    fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.outer.peek(buffer);
        self.check_eof(result, buffer.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outer.write(bytes)
    }

    fn shut_down_writing(&mut self) -> io::Result<()> {
        self.outer.shut_down_writing()
    }

    /// Waits until the server has received everything. Dropping the stream then aborts the tunnel
    /// if the server has not sent EOF.
    fn finish(&mut self) -> io::Result<()> {
        // An error means that the tunnel is over.
        let _ = self.outer.shut_down_writing();
        let client = self.shared.client();
        if client.is_flushed() {
            return Ok(());
        }
        if self.end.is_none() {
            let (end, signal) = sys::channel_pair()?;
            *self.shared.end_signal.lock().unwrap_or_else(PoisonError::into_inner) = Some(signal);
            self.end = Some(end);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn reset_on_close(&mut self) {
        self.shared.abort();
    }

    /// The server resets the target if the process ends without closing the tunnel.
    fn set_reset_on_exit(&mut self, _: bool) {}

    fn undelivered(&self) -> usize {
        let client = self.shared.client();
        let last = usize::from(!client.is_flushed() && self.end.is_some());
        client.unacknowledged() + self.outer.undelivered().unwrap_or_default() + last
    }

    fn is_resuming(&self) -> bool {
        self.shared.client().lost_for(self.shared.now()).is_some()
    }

    fn lost_data(&self) -> Option<io::Error> {
        let client = self.shared.client();
        let failure = client.failure().filter(|_| client.unacknowledged() > 0);
        failure.map(|failure| io::Error::other(Broken(failure.clone())))
    }

    fn register<'a>(&'a self, want: Interest, polls: &mut PollSet<'a>) {
        match &self.end {
            Some(end) => polls.push(end, Interest::READ),
            None => Stream::register(&self.outer, want, polls),
        }
    }

    fn ready(&self, want: Interest, events: &mut Events) -> Ready {
        match &self.end {
            Some(_) => {
                let is_over = events.take().read;
                Ready { read: is_over, write: is_over, gone: false }
            }
            None => Stream::ready(&self.outer, want, events),
        }
    }
}

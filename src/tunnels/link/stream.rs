//! The stream of a user of a link, to whose thread a socket pair connects it.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::mailbox::{Mailbox, Message};
use super::state::StreamState;
use crate::stream::{Events, Interest, PollSet, Stream};
use crate::sys::{self, Channel, Ready};
use crate::tunnels::aborting::{self, Abort};

/// One stream of a link, at the dest.
pub struct LinkStream {
    /// The user's end of the socket pair.
    pub(super) outer: Channel,
    user: Arc<User>,
    /// Readable once the stream is over; `None` unless the user waits for that.
    end: Option<Channel>,
}

/// The part of a stream with which the process can abort it.
struct User {
    state: Arc<StreamState>,
    mailbox: Arc<Mailbox>,
}

impl Abort for User {
    fn abort(&self) {
        if self.state.abort() {
            self.mailbox.post(Message::Abort(Arc::clone(&self.state)));
        }
    }
}

impl LinkStream {
    /// Creates a stream, and the other end of its socket pair for the thread.
    ///
    /// # Errors
    /// Descriptors are short.
    pub(super) fn new(mailbox: Arc<Mailbox>) -> io::Result<(Self, Arc<StreamState>, Channel)> {
        let (outer, inner) = sys::channel_pair()?;
        let state = Arc::new(StreamState::default());
        let user = Arc::new(User { state: Arc::clone(&state), mailbox });
        aborting::register(Arc::<User>::downgrade(&user));
        Ok((Self { outer, user, end: None }, state, inner))
    }

    fn check_eof(&self, result: io::Result<usize>, length: usize) -> io::Result<usize> {
        match result {
            Ok(0) if length > 0 => self.user.state.error().map_or(Ok(0), Err),
            Err(error) if !sys::is_transient(&error) => Err(self.user.state.error().unwrap_or(error)),
            result => result,
        }
    }
}

impl Drop for LinkStream {
    fn drop(&mut self) {
        self.user.abort();
    }
}

impl fmt::Debug for LinkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkStream")
    }
}

impl Stream for LinkStream {
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

    /// Waits until the origin has received everything.
    fn finish(&mut self) -> io::Result<()> {
        // An error means that the stream is over.
        let _ = self.outer.shut_down_writing();
        if self.end.is_none() {
            self.end = self.user.state.await_end()?;
        }
        if self.user.state.is_over() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn reset_on_close(&mut self) {
        self.user.abort();
    }

    /// The origin resets its target after some time if the process ends without closing the link.
    fn set_reset_on_exit(&mut self, _: bool) {}

    fn undelivered(&self) -> usize {
        let last = usize::from(self.end.is_some() && !self.user.state.is_over());
        self.outer.undelivered().unwrap_or_default() + last
    }

    fn is_resuming(&self) -> bool {
        self.user.mailbox.is_resuming()
    }

    fn lost_data(&self) -> Option<io::Error> {
        self.user.state.error()
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

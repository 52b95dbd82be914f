//! Messages to the thread of a link.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::pipe::Pipe;
use super::state::StreamState;
use crate::proto::link::{Cause, Hello, StreamId};
use crate::proto::post::Reset;
use crate::stream::Stream;
use crate::sys::{self, Channel};

/// The reason why a dest got no pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// Another attempt may succeed. The reason is for messages.
    Temporary(String),
    /// The link cannot be resumed.
    Final(Cause),
}

/// A message to the thread of a link.
#[derive(Debug)]
pub enum Message {
    /// A dest has a new pipe, or could not get one.
    Dialled(Result<Pipe, DialFailure>),
    /// An origin has accepted a pipe that continues the link. The bytes follow the HELLO.
    Resumed(Hello, Pipe, Vec<u8>),
    /// An origin has connected to the target of a stream, or failed.
    Connected(StreamId, Result<Box<dyn Stream>, Reset>),
    /// A dest opens a stream for the user at the other end of this one.
    Open(Arc<StreamState>, Box<dyn Stream>),
    /// Nobody uses the stream of a dest anymore.
    Abort(Arc<StreamState>),
}

/// The messages that the thread has not handled.
pub struct Mailbox {
    messages: Mutex<Vec<Message>>,
    /// Becomes readable for the thread after each message.
    wake: Channel,
    /// The link has lost its pipe and tries to get another one.
    is_resuming: AtomicBool,
}

impl Mailbox {
    /// Creates a mailbox. The channel is readable while messages may be waiting.
    ///
    /// # Errors
    /// Descriptors are short.
    pub fn new() -> io::Result<(Self, Channel)> {
        let (wake, waiting) = sys::channel_pair()?;
        Ok((Self { messages: Mutex::default(), wake, is_resuming: AtomicBool::new(false) }, waiting))
    }

    /// Adds a message.
    pub fn post(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        // If there is no room, the channel is already readable.
        let _ = self.wake.write(&[0]);
    }

    /// Tells the users of the link whether it waits for another pipe.
    pub(super) fn set_resuming(&self, is_resuming: bool) {
        self.is_resuming.store(is_resuming, Ordering::Relaxed);
    }

    pub(super) fn is_resuming(&self) -> bool {
        self.is_resuming.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

//! The local side of one stream of a link.

use std::io;
use std::time::Duration;

use crate::error::os_message;
use crate::proto::link::{Link, StreamId, Turn};
use crate::proto::post::{Reset, ResetCode};
use crate::stream::{Interest, Stream};
use crate::sys::{self, Ready};

/// The local side of a stream: a client of the dest, or the target of the origin.
#[derive(Debug)]
pub(super) struct Local {
    id: StreamId,
    stream: Box<dyn Stream>,
    input: Input,
    output: Output,
}

/// The state of the bytes from the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// A poll reports the next ones.
    Polled,
    /// Some may be available, so that the link gives this stream its turn.
    Ready,
    /// The local side has sent EOF.
    Ended,
}

/// The state of the bytes for the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Open,
    /// The peer has sent EOF, which the local side receives after the unread data.
    Ending,
    /// The local side has received EOF.
    Ended,
}

impl Local {
    pub(super) fn new(id: StreamId, mut stream: Box<dyn Stream>) -> Self {
        stream.set_reset_on_exit(true);
        Self { id, stream, input: Input::Polled, output: Output::Open }
    }

    /// Returns the events to wait for.
    pub(super) fn interest(&self, link: &Link) -> Interest {
        let holds = !link.unread(self.id).is_empty();
        Interest { read: self.input == Input::Polled, write: holds, hangup: false }
    }

    pub(super) fn id(&self) -> StreamId {
        self.id
    }

    /// Returns `true` if both directions have ended with EOF.
    pub(super) fn is_complete(&self) -> bool {
        self.input == Input::Ended && self.output == Output::Ended
    }

    /// Returns `true` if the local side may have bytes.
    pub(super) fn is_ready(&self) -> bool {
        self.input == Input::Ready
    }

    /// Records the peer's EOF.
    pub(super) fn peer_ended(&mut self) {
        self.output = Output::Ending;
    }

    pub(super) fn stream(&self) -> &dyn Stream {
        &*self.stream
    }

    pub(super) fn note(&mut self, ready: Ready) {
        if (ready.read || ready.gone) && self.input == Input::Polled {
            self.input = Input::Ready;
        }
    }

    /// Sends bytes of the local side in its turn.
    pub(super) fn send(&mut self, link: &mut Link, turn: Turn, buffer: &mut [u8]) {
        let room = turn.room.min(buffer.len());
        match self.stream.read(&mut buffer[..room]) {
            Ok(0) => {
                self.input = Input::Ended;
                link.finish(self.id);
            }
            Ok(count) => {
                link.send(self.id, &buffer[..count]);
                link.set_ready(self.id);
            }
            Err(error) if sys::is_transient(&error) => self.input = Input::Polled,
            Err(error) => {
                self.input = Input::Ended;
                self.cut_off(link, &error);
            }
        }
    }

    /// Writes bytes of the peer. Returns the number accepted.
    pub(super) fn write(&mut self, link: &mut Link, bytes: &[u8]) -> usize {
        let mut accepted = 0;
        while accepted < bytes.len() {
            match self.stream.write(&bytes[accepted..]) {
                Ok(count) => accepted += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if sys::is_transient(&error) => break,
                Err(error) => {
                    self.cut_off(link, &error);
                    break;
                }
            }
        }
        accepted
    }

    /// Writes what was not accepted before, and the peer's EOF after it.
    pub(super) fn advance(&mut self, link: &mut Link, now: Duration) {
        while !link.unread(self.id).is_empty() {
            match self.stream.write(link.unread(self.id)) {
                Ok(count) => link.read(self.id, count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if sys::is_transient(&error) => return,
                Err(error) => return self.cut_off(link, &error),
            }
        }
        if self.output == Output::Ending {
            self.output = Output::Ended;
            // An error means that the local side is gone, which the next read reports.
            let _ = self.stream.shut_down_writing();
        }
        // The layers below write what they hold when they are flushed; an error shows later.
        let _ = self.stream.flush();
    }

    fn cut_off(&self, link: &mut Link, error: &io::Error) {
        link.reset(self.id, Reset { code: ResetCode::CutOff, text: os_message(error) });
    }

    /// Closes the local side, which is complete.
    pub(super) fn close(mut self) {
        self.stream.set_reset_on_exit(false);
    }

    /// Ends the local side with a reset, after what it accepts of the rest.
    pub(super) fn reset(mut self, rest: &[u8]) {
        // Bytes that it does not accept at once are lost with the stream.
        let _ = self.stream.write(rest);
        self.stream.reset_on_close();
    }
}

//! The thread for the requests of one direction.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::link::{Failed, Link, Local};
use super::resuming::show_status;
use super::shared::{Shared, log_failure};
use crate::proto::post::{Direction, Next, Response};
use crate::stream::{Interest, PollSet, Stream};
use crate::trace::trace;
use crate::tunnels::aborting::Abort;
use zeroize::Zeroizing;

/// Size of the buffer for local input.
const READ_SIZE: usize = 64 * 1024;

/// The thread's state.
pub(super) struct Worker {
    link: Link,
    local: LocalEnd,
}

/// The thread's view of the socket pair.
struct LocalEnd {
    shared: Arc<Shared>,
    direction: Direction,
    buffer: Vec<u8>,
    /// Local EOF was received.
    has_ended: bool,
    /// The hang-up of the socket pair means nothing new.
    ignores_hangup: bool,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, direction: Direction, link: Link) -> Self {
        let local =
            LocalEnd { shared, direction, buffer: Vec::new(), has_ended: false, ignores_hangup: false };
        Self { link, local }
    }

    /// Sends requests until the tunnel is over.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.local.shared);
        let direction = self.local.direction;
        loop {
            let mut client = shared.client();
            let (next, seen) = (client.next(direction, shared.now()), shared.changes());
            drop(client);
            match next {
                Next::Done => return,
                Next::Wait(until) => self.wait(until, seen),
                Next::Send { body, hold } => {
                    let result = self.link.exchange(&shared, &body, hold, &mut self.local);
                    self.finish(result);
                }
            }
        }
    }

    /// Reports the result of a request, and passes on the bytes of its answer.
    fn finish(&mut self, result: Result<Response, Failed>) {
        let (shared, direction) = (Arc::clone(&self.local.shared), self.local.direction);
        let now = shared.now();
        let mut client = shared.client();
        let response;
        let data: &[u8] = match result {
            Ok(answer) => {
                response = answer;
                client.answered(direction, &response, now)
            }
            Err(Failed { cause, was_kept }) => {
                if !client.abandons(direction) {
                    log_failure(direction, &cause);
                }
                client.broken(direction, &cause, was_kept, now);
                &[]
            }
        };
        let has_ended = direction == Direction::Down && client.has_down_ended();
        shared.announce(&client);
        let needs_token = client.needs_token();
        drop(client);
        if needs_token {
            renew_token(&shared, direction);
        }
        show_status(&shared);
        if self.local.deliver(data).is_err() {
            shared.abort();
        } else if has_ended {
            // An error means that nobody reads anymore.
            let _ = shared.inner.shut_down_writing();
        }
    }

    /// Waits until there is something to send, unless the tunnel has changed after `seen` changes.
    fn wait(&mut self, until: Option<Duration>, seen: u64) {
        let client = self.local.shared.client();
        if self.local.shared.changes() != seen {
            return;
        }
        let is_suspended = client.is_suspended();
        drop(client);
        match self.local.direction {
            Direction::Up if !is_suspended => self.local.wait_for_input(until, seen),
            Direction::Up | Direction::Down => self.local.wait_for_change(until, seen),
        }
    }
}

/// Reads the token again, because the server has rejected the one that the tunnel was opened with.
fn renew_token(shared: &Shared, direction: Direction) {
    let token = shared.dial.token().map(|token| Zeroizing::new(token.expose().to_vec()));
    let mut client = shared.client();
    client.renew(direction, token.unwrap_or_default());
    trace!(
        "POST tunnel: {}",
        client.failure().map_or("sending a new token", |_| "the token has not changed")
    );
    shared.announce(&client);
}

impl LocalEnd {
    fn time_left(&self, until: Option<Duration>) -> Option<Duration> {
        until.map(|until| until.saturating_sub(self.shared.now()).max(Duration::from_millis(1)))
    }

    /// Waits for a change of the tunnel, unless there was one after `seen` changes.
    fn wait_for_change(&self, until: Option<Duration>, seen: u64) {
        let client = self.shared.client();
        if self.shared.changes() != seen
            || client.is_done()
            || self.direction == Direction::Down && client.abandons(self.direction)
        {
            return;
        }
        match self.time_left(until) {
            Some(left) => {
                let waited = self.shared.changed.wait_timeout(client, left);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(self.shared.changed.wait(client).unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Waits for local input, and reads it.
    fn wait_for_input(&mut self, until: Option<Duration>, seen: u64) {
        let want = self.interest();
        if !want.any() {
            return self.wait_for_change(until, seen);
        }
        let mut polls = PollSet::with_capacity(1);
        Stream::register(&self.shared.inner, want, &mut polls);
        let waited = polls.wait(self.time_left(until));
        match waited {
            Ok(Some(_)) => {
                self.advance();
            }
            Ok(None) => {}
            Err(_) => self.shared.abort(),
        }
    }

    /// Writes bytes for the user of the stream. Blocks until all are written.
    fn deliver(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.shared.inner.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut polls = PollSet::with_capacity(1);
                    Stream::register(&self.shared.inner, Interest::WRITE, &mut polls);
                    polls.wait(None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads as many bytes from the user of the stream as there is room for.
    fn read(&mut self) -> io::Result<()> {
        self.buffer.resize(READ_SIZE, 0);
        loop {
            let room = self.shared.client().room().min(READ_SIZE);
            if room == 0 {
                return Ok(());
            }
            match self.shared.inner.read(&mut self.buffer[..room]) {
                Ok(0) => {
                    self.has_ended = true;
                    let mut client = self.shared.client();
                    client.close();
                    self.shared.announce(&client);
                    return Ok(());
                }
                Ok(count) => {
                    let now = self.shared.now();
                    let mut client = self.shared.client();
                    client.push(&self.buffer[..count], now);
                    self.shared.announce(&client);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Local for LocalEnd {
    fn interest(&self) -> Interest {
        let hangup = !self.ignores_hangup;
        let read = self.direction == Direction::Up && !self.has_ended && self.shared.client().room() > 0;
        Interest { read, write: false, hangup: hangup || read }
    }

    fn advance(&mut self) -> bool {
        if self.direction == Direction::Up && !self.has_ended && self.read().is_err() {
            self.shared.abort();
        }
        // The pair also hangs up once both directions have ended.
        self.ignores_hangup = self.has_ended || self.direction == Direction::Down;
        !self.shared.client().abandons(self.direction)
    }
}

//! Drives the server side of a handshake over the connection to a client.

use std::io;
use std::time::{Duration, Instant};

use crate::addr::Endpoint;
use crate::error::Error;
use crate::proto::Limit;
use crate::proto::server::{Filters, Rejection, Server, Step};
use crate::stream::{Interest, PollSet, Stream};
use crate::sys;

/// Time limit for the client to close the connection after a refusal. If we closed the connection
/// first, unread bytes would cause a reset, which could destroy the refusal.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes to receive or peek at in one call.
const PEEK_SIZE: usize = 4096;

/// The next task after the steps of a handshake.
pub(super) enum Next {
    Connect(Endpoint),
    Open,
    Relay,
    Forward(Filters),
}

/// The handshake with one client.
pub(super) struct Handshake<S: Server + ?Sized = dyn Server> {
    pub(super) stream: Box<dyn Stream>,
    /// When the client must have completed the current part of the handshake.
    pub(super) until: Instant,
    /// The rest of a message for the client. Empty if layers hold it.
    unsent: Vec<u8>,
    state: State,
    pub(super) machine: Box<S>,
}

/// The next action of a handshake.
enum State {
    /// Ask the machine. The client has received a message or not.
    Stepping { has_replied: bool },
    /// Send `unsent`.
    Sending,
    /// The client was refused for this reason. It is to close the connection.
    Lingering(Option<Rejection>),
}

impl<S: Server + ?Sized> Handshake<S> {
    /// Starts a handshake that ends at `until`.
    pub(super) fn new(stream: Box<dyn Stream>, machine: Box<S>, until: Instant) -> Self {
        let state = State::Stepping { has_replied: false };
        Self { stream, until, unsent: Vec::new(), state, machine }
    }

    /// Performs the steps until the target is to be connected, or the session begins. Blocks.
    pub(super) fn advance(&mut self) -> Result<Next, Error> {
        if let State::Stepping { has_replied } = &mut self.state {
            *has_replied = false;
        }
        loop {
            if let Some(next) = self.poll()? {
                return Ok(next);
            }
            if !self.wait(self.interest()).map_err(|_| Error::ClientGone)? {
                self.time_out()?;
            }
        }
    }

    /// Performs the steps that are possible now. Returns `None` if the client is not ready: call
    /// this again after a wait for [`interest`](Self::interest), and [`time_out`](Self::time_out)
    /// once `until` has passed.
    pub(super) fn poll(&mut self) -> Result<Option<Next>, Error> {
        loop {
            let is_done = match self.state {
                State::Stepping { .. } => match self.step()? {
                    Progress::Next(next) => return Ok(Some(next)),
                    Progress::Done => true,
                    Progress::Blocked => false,
                },
                State::Sending => self.send().map_err(|_| Error::ClientGone)?,
                State::Lingering(_) => self.linger()?,
            };
            if !is_done {
                return Ok(None);
            }
        }
    }

    /// Returns the events to wait for.
    pub(super) fn interest(&self) -> Interest {
        match self.state {
            State::Sending => Interest::WRITE,
            State::Stepping { .. } | State::Lingering(_) => Interest::READ,
        }
    }

    /// Handles the end of the client's time.
    pub(super) fn time_out(&mut self) -> Result<(), Error> {
        match &mut self.state {
            State::Stepping { .. } => {
                self.machine.timed_out();
                Ok(())
            }
            State::Sending => Err(Error::ClientGone),
            State::Lingering(why) => Err(refused(why.take())),
        }
    }

    /// Tells the client why the target was not connected. Returns the error.
    pub(super) fn refuse(&mut self, error: Error) -> Error {
        if !matches!(error, Error::ClientGone) {
            self.machine.refused(error.refusal());
            // The client may be gone by now. The error of the target is more important.
            let _ = self.advance();
        }
        error
    }

    /// Performs the machine's next step.
    fn step(&mut self) -> Result<Progress, Error> {
        match self.machine.step() {
            Step::Send(message) => {
                self.unsent = message.bytes().to_vec();
                self.state = State::Sending;
                Ok(Progress::Done)
            }
            Step::Receive(limit) => self.receive(limit),
            Step::Connect(target) => Ok(Progress::Next(Next::Connect(target))),
            Step::Open => Ok(Progress::Next(Next::Open)),
            Step::Relay => Ok(Progress::Next(Next::Relay)),
            Step::Forward(filters) => Ok(Progress::Next(Next::Forward(filters))),
            Step::Close(why) => {
                if let State::Stepping { has_replied: false } = self.state {
                    return Err(refused(why));
                }
                self.stream.set_reset_on_exit(false);
                self.until = Instant::now() + LINGER_TIMEOUT;
                if self.stream.shut_down_writing().is_err() {
                    return Err(refused(why));
                }
                self.state = State::Lingering(why);
                Ok(Progress::Done)
            }
        }
    }

    /// Sends as much of a message as there is room for. Returns `true` if all was sent.
    fn send(&mut self) -> io::Result<bool> {
        loop {
            let result = if self.unsent.is_empty() {
                self.stream.flush().map(|()| 0)
            } else {
                self.stream.write(&self.unsent)
            };
            match result {
                Ok(_) if self.unsent.is_empty() => {
                    self.state = State::Stepping { has_replied: true };
                    return Ok(true);
                }
                Ok(count) if count == self.unsent.len() => self.unsent = Vec::new(),
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes received bytes to the machine.
    fn receive(&mut self, limit: Limit) -> Result<Progress, Error> {
        // Check the time first, or a client that keeps sending would never time out.
        if self.until <= Instant::now() {
            self.machine.timed_out();
            return Ok(Progress::Done);
        }
        let mut buffer = zeroize::Zeroizing::new([0; PEEK_SIZE]);
        let size = match limit {
            Limit::Bytes(count) => count.min(PEEK_SIZE),
            Limit::Unknown => PEEK_SIZE,
        };
        let buffer = &mut buffer[..size];
        let result = match limit {
            Limit::Bytes(_) => self.stream.read(buffer),
            Limit::Unknown => self.stream.peek(buffer),
        };
        match result {
            Ok(0) => self.machine.closed(),
            Ok(count) => {
                let consumed = self.machine.receive(&buffer[..count]);
                if limit == Limit::Unknown {
                    self.consume(&mut buffer[..consumed])?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
            // An error without an OS error number comes from the TLS layer.
            Err(error) if error.raw_os_error().is_none() => {
                return Err(Error::ClientRejected(Rejection::Tls(error.to_string())));
            }
            Err(_) => self.machine.closed(),
        }
        Ok(Progress::Done)
    }

    /// Removes bytes that were peeked at.
    fn consume(&mut self, mut rest: &mut [u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            match self.stream.read(rest) {
                Ok(count) if count > 0 => rest = &mut rest[count..],
                // The kernel may return EAGAIN even though a peek has just seen the bytes.
                Err(error) if sys::is_transient(&error) && self.wait(Interest::READ).unwrap_or(false) => {}
                Ok(_) | Err(_) => return Err(Error::ClientGone),
            }
        }
        Ok(())
    }

    /// Waits until the stream is ready. Returns `false` if the time is up.
    fn wait(&self, want: Interest) -> io::Result<bool> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut polls = PollSet::with_capacity(1);
        self.stream.register(want, &mut polls);
        Ok(polls.wait(Some(left))?.is_some())
    }

    /// Discards what a client sends after it was refused. Returns `false` if more may come.
    fn linger(&mut self) -> Result<bool, Error> {
        let State::Lingering(why) = &mut self.state else { return Ok(true) };
        loop {
            match self.stream.read(&mut [0; PEEK_SIZE]) {
                Ok(1..) if Instant::now() < self.until => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Ok(_) | Err(_) => return Err(refused(why.take())),
            }
        }
    }
}

/// The result of a machine's step.
enum Progress {
    Next(Next),
    Done,
    /// The client is not ready.
    Blocked,
}

/// Returns the error for a client that was refused; `None` if it has left.
fn refused(why: Option<Rejection>) -> Error {
    why.map_or(Error::ClientGone, Error::ClientRejected)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::proto::server;
    use crate::sys::Channel;

    /// A client that sends a byte now and then must not postpone the end.
    #[test]
    fn a_slow_client_is_cut_off_at_the_limit() {
        for (scheme, sent, answer) in
            [("http", &b"GET http://host.example/"[..], "HTTP/1.1 408 "), ("socks5", b"\x05\xff", "")]
        {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, _) = listener.accept().unwrap();
            ours.set_nonblocking(true).unwrap();
            let machine = (server::find(scheme).unwrap().make)(None);
            let until = Instant::now() + Duration::from_millis(100);
            let mut handshake = Handshake::new(Box::new(Channel::socket(ours)), machine, until);
            let slow = thread::spawn(move || {
                client.write_all(sent).unwrap();
                for _ in 0..30 {
                    thread::sleep(Duration::from_millis(10));
                    // Without an answer, the connection is already closed.
                    let _ = client.write_all(b"x");
                }
                let mut received = String::new();
                let _ = client.read_to_string(&mut received);
                received
            });
            let started = Instant::now();
            let result = handshake.advance();
            assert!(matches!(result, Err(Error::ClientRejected(Rejection::TimedOut))), "{scheme}");
            assert!(started.elapsed() < Duration::from_secs(10));
            drop(handshake);
            assert!(slow.join().unwrap().starts_with(answer), "{scheme}");
        }
    }
}

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
    pub(super) machine: Box<S>,
    /// When the client must have completed the current part of the handshake.
    pub(super) until: Instant,
}

impl<S: Server + ?Sized> Handshake<S> {
    /// Performs the steps until the target is to be connected, or the session begins.
    pub(super) fn advance(&mut self) -> Result<Next, Error> {
        let mut has_replied = false;
        loop {
            match self.machine.step() {
                Step::Send(message) => {
                    has_replied = true;
                    self.send(message.bytes()).map_err(|_| Error::ClientGone)?;
                }
                Step::Receive(limit) => self.receive(limit)?,
                Step::Connect(target) => return Ok(Next::Connect(target)),
                Step::Open => return Ok(Next::Open),
                Step::Relay => return Ok(Next::Relay),
                Step::Forward(filters) => return Ok(Next::Forward(filters)),
                Step::Close(why) => {
                    if has_replied {
                        self.linger();
                    }
                    return Err(why.map_or(Error::ClientGone, Error::ClientRejected));
                }
            }
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

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let result =
                if bytes.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(bytes) };
            match result {
                Ok(_) if bytes.is_empty() => return Ok(()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(Interest::WRITE)? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes received bytes to the machine.
    fn receive(&mut self, limit: Limit) -> Result<(), Error> {
        let mut buffer = zeroize::Zeroizing::new([0; PEEK_SIZE]);
        let size = match limit {
            Limit::Bytes(count) => count.min(PEEK_SIZE),
            Limit::Unknown => PEEK_SIZE,
        };
        let buffer = &mut buffer[..size];
        loop {
            let ready = self.wait(Interest::READ);
            let result = match (ready, limit) {
                (Ok(false), _) => {
                    self.machine.timed_out();
                    return Ok(());
                }
                (Err(error), _) => Err(error),
                (Ok(true), Limit::Bytes(_)) => self.stream.read(buffer),
                (Ok(true), Limit::Unknown) => self.stream.peek(buffer),
            };
            match result {
                Ok(0) => self.machine.closed(),
                Ok(count) => {
                    let consumed = self.machine.receive(&buffer[..count]);
                    if limit == Limit::Unknown {
                        self.consume(&mut buffer[..consumed])?;
                    }
                }
                Err(error) if sys::is_transient(&error) => continue,
                // An error without an OS error number comes from the TLS layer.
                Err(error) if error.raw_os_error().is_none() => {
                    return Err(Error::ClientRejected(Rejection::Tls(error.to_string())));
                }
                Err(_) => self.machine.closed(),
            }
            return Ok(());
        }
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
        // Check the time first, or a client that keeps sending would never time out.
        if left.is_zero() {
            return Ok(false);
        }
        let mut polls = PollSet::with_capacity(1);
        self.stream.register(want, &mut polls);
        Ok(polls.wait(Some(left))?.is_some())
    }

    /// Closes our direction, and waits until the client has closed its own.
    fn linger(&mut self) {
        self.stream.set_reset_on_exit(false);
        self.until = Instant::now() + LINGER_TIMEOUT;
        if self.stream.shut_down_writing().is_err() {
            return;
        }
        while self.wait(Interest::READ).unwrap_or(false) {
            match self.stream.read(&mut [0; PEEK_SIZE]) {
                Ok(1..) => {}
                Err(error) if sys::is_transient(&error) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
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
            let mut handshake = Handshake {
                stream: Box::new(Channel::socket(ours)),
                machine: (server::find(scheme).unwrap().make)(None),
                until: Instant::now() + Duration::from_millis(100),
            };
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

//! A connected stream whose reads and writes time out at a deadline.

use std::io;

use super::waiting::{Wait, WaitError};
use crate::proto::Limit;
use crate::stream::{Interest, PollSet, Stream};
use crate::sys;

/// Maximum number of bytes to receive or peek at in one call. Well-behaved proxies send shorter
/// messages.
const PEEK_SIZE: usize = 4096;

/// A connection on which every wait times out at a deadline.
#[derive(Debug)]
pub(super) struct Connection(Box<dyn Stream>);

/// Received bytes. If they were only peeked at, they stay in the stream until
/// [`Connection::consume`] removes them.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    peeked: bool,
}

impl Received {
    /// Returns the bytes; the slice is empty at EOF.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Connection {
    /// Wraps a stream.
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self(stream)
    }

    /// Returns the stream for the relay. Peeked bytes that were not consumed are still in it.
    pub(super) fn into_stream(self) -> Box<dyn Stream> {
        self.0
    }

    /// Sends all bytes, including those that layers hold.
    pub(super) fn send(&mut self, mut bytes: &[u8], until: &Wait<'_>) -> Result<(), WaitError> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if sys::is_transient(&error) => self.wait(Interest::WRITE, until)?,
                Err(error) => return Err(error.into()),
            }
        }
        loop {
            match self.0.flush() {
                Err(error) if sys::is_transient(&error) => self.wait(Interest::WRITE, until)?,
                flushed => return Ok(flushed?),
            }
        }
    }

    /// Waits for data and receives at most as many bytes as `limit` allows. With
    /// [`Limit::Unknown`], the bytes are only peeked at, and [`consume`](Self::consume) must remove
    /// them from the stream.
    pub(super) fn receive(&mut self, limit: Limit, until: &Wait<'_>) -> Result<Received, WaitError> {
        let size = match limit {
            Limit::Bytes(limit) => limit.min(PEEK_SIZE),
            Limit::Unknown => PEEK_SIZE,
        };
        // Do not always allocate PEEK_SIZE, because most answers are only a few bytes long.
        let mut bytes = vec![0; size];
        loop {
            // Poll first: the answer cannot have arrived yet, so a read would only return EAGAIN.
            self.wait(Interest::READ, until)?;
            let result = match limit {
                Limit::Bytes(_) => self.0.read(&mut bytes),
                Limit::Unknown => self.0.peek(&mut bytes),
            };
            match result {
                Ok(length) => {
                    bytes.truncate(length);
                    return Ok(Received { bytes, peeked: limit == Limit::Unknown });
                }
                Err(error) if sys::is_transient(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Removes the first `count` bytes from the stream if they were only peeked at.
    pub(super) fn consume(
        &mut self,
        received: &mut Received,
        count: usize,
        until: &Wait<'_>,
    ) -> Result<(), WaitError> {
        if !received.peeked {
            return Ok(());
        }
        let mut rest = &mut received.bytes[..count];
        while !rest.is_empty() {
            match self.0.read(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(length) => rest = &mut rest[length..],
                // The kernel may return EAGAIN even though a peek has just seen the bytes.
                Err(error) if sys::is_transient(&error) => self.wait(Interest::READ, until)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait(&self, want: Interest, until: &Wait<'_>) -> Result<(), WaitError> {
        // Check the deadline before polling, or a peer that keeps sending would never time out.
        let mut polls = PollSet::with_capacity(2);
        self.0.register(want, &mut polls);
        if !until.deadline.has_passed() && (polls.is_ready() || until.poll(polls.watches(), None)?) {
            Ok(())
        } else {
            Err(WaitError::TimedOut)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "that is how a test fails")]

    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::addr::{Endpoint, Host};
    use crate::error::Peer;
    use crate::net::deadline::Deadline;
    use crate::plan::Target;
    use crate::sys::Channel;

    /// Returns a connection and the socket at its other end.
    fn connected() -> (Connection, TcpStream, Peer) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let target = Endpoint { host: Host::Ip(address.ip()), port: address.port().try_into().unwrap() };
        let peer = Peer::target(&Target::Tcp(target));
        (Connection::new(Box::new(Channel::socket(stream))), listener.accept().unwrap().0, peer)
    }

    /// Returns bytes marked as peeked, although none have arrived on the socket yet.
    fn peeked() -> Received {
        Received { bytes: vec![0; 4], peeked: true }
    }

    #[test]
    fn consuming_peeked_bytes_waits_and_retries_when_the_read_would_block() {
        let (mut connection, mut remote, peer) = connected();
        let until = Wait::new(&peer, "a test", &Deadline::start(Some(Duration::from_secs(10))));
        let sender = thread::spawn(move || {
            for byte in b"peek" {
                thread::sleep(Duration::from_millis(20));
                remote.write_all(&[*byte]).unwrap();
            }
        });
        let mut received = peeked();
        connection.consume(&mut received, 4, &until).unwrap();
        assert_eq!(received.bytes(), b"peek");
        sender.join().unwrap();
    }

    #[test]
    fn consuming_peeked_bytes_ends_at_the_deadline() {
        let (mut connection, _remote, peer) = connected();
        let until = Wait::new(&peer, "a test", &Deadline::start(Some(Duration::from_millis(50))));
        let consumed = connection.consume(&mut peeked(), 4, &until);
        assert!(matches!(consumed, Err(WaitError::TimedOut)), "{consumed:?}");
    }
}

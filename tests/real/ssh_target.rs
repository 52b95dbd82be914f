//! Targets on loopback for transfers through SSH servers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use ring::digest::{Context, SHA256};

use crate::kit::{TIMEOUT, data};

/// The seeds of the data for the target and of the data from it.
pub(crate) const UP: u64 = 1;
pub(crate) const DOWN: u64 = 2;

/// A length and a SHA-256 digest.
pub(crate) type Sum = (u64, Vec<u8>);

/// A target that serves one connection.
pub(crate) struct Target<T> {
    pub(crate) port: u16,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Target<T> {
    fn start(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let (connection, _) = listener.accept().unwrap();
            connection.set_read_timeout(Some(TIMEOUT)).unwrap();
            serve(connection)
        });
        Self { port, thread }
    }

    /// Returns the target's result. If nobody connects, the run of the program has failed before.
    pub(crate) fn finish(self) -> T {
        self.thread.join().unwrap()
    }
}

/// Starts a target that sends `length` bytes and receives as many at the same time. Then it closes
/// the connection and returns the digest of the received bytes.
pub(crate) fn exchanging(length: u64) -> Target<Sum> {
    Target::start(move |connection| {
        let mut writer = connection.try_clone().unwrap();
        let sending = thread::spawn(move || io::copy(&mut data(DOWN, length), &mut writer));
        let received = sum(&mut (&connection).take(length));
        let _ = sending.join();
        received
    })
}

/// Starts a target that answers with what it has received, once the client has half-closed.
pub(crate) fn answering_eof() -> Target<()> {
    Target::start(|mut connection| {
        let mut received = Vec::new();
        connection.read_to_end(&mut received).unwrap();
        received.reverse();
        connection.write_all(&received).unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
    })
}

/// Returns the length and the digest of what `source` contains.
pub(crate) fn sum(source: &mut impl Read) -> Sum {
    let (mut digest, mut length, mut buffer) = (Context::new(&SHA256), 0, vec![0; 1 << 16]);
    // The length shows that data is missing.
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        digest.update(&buffer[..count]);
        length += count as u64;
    }
    (length, digest.finish().as_ref().to_vec())
}

//! The services that a target provides on one connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

use crate::flow::{Flow, discard, pour};

/// The greeting that [`Service::Greet`] sends.
pub(crate) const GREETING: &[u8] = b"SSH-2.0-greeting\r\n";

/// Number of round trips before the bulk data.
const HELLOS: usize = 5;
const HELLO: [u8; 32] = [b'.'; 32];

/// The service that a target provides.
#[derive(Clone, Copy)]
pub(crate) enum Service {
    /// Sends this many bytes, and EOF once the target is released.
    Source(u64),
    /// Receives this many bytes and closes.
    Sink(u64),
    /// Echoes everything it receives.
    Echo,
    /// Sends the greeting and closes.
    Greet,
}

/// Serves one connection. A source waits for `released` before it sends EOF.
pub(super) fn serve(service: Service, mut stream: TcpStream, released: &impl AsFd) -> io::Result<Flow> {
    match service {
        Service::Source(bytes) => {
            hello(&stream, &stream)?;
            pour(&mut stream, bytes)?;
            poll(&mut [PollFd::new(released, PollFlags::IN)], None)?;
            close_cleanly(stream)
        }
        Service::Sink(bytes) => {
            hello(&stream, &stream)?;
            Ok(discard(&stream, bytes))
        }
        Service::Echo => {
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(Flow::default()),
                    length => stream.write_all(&buffer[..length])?,
                }
            }
        }
        Service::Greet => {
            stream.write_all(GREETING)?;
            close_cleanly(stream)
        }
    }
}

/// Plays the target's half of a few round trips.
///
/// ssh makes many round trips before it transfers a file. Without round trips, the kernel never
/// measures the round-trip time of a connection. The receive window then grows only by chance, and
/// the cost of a relay varies by a factor of two.
fn hello(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    (0..HELLOS).try_for_each(|_| to.write_all(&HELLO).and_then(|()| from.read_exact(&mut [0; HELLO.len()])))
}

/// Plays the client's half of the round trips in [`hello`].
pub(crate) fn hello_back(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    (0..HELLOS).try_for_each(|_| from.read_exact(&mut [0; HELLO.len()]).and_then(|()| to.write_all(&HELLO)))
}

/// Sends EOF and drains the input, because closing a socket with unread input causes a reset.
fn close_cleanly(mut stream: TcpStream) -> io::Result<Flow> {
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(Flow::default())
}

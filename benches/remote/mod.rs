//! The far side of a relay: targets, and proxies that become the target after the handshake.
//!
//! No second relay is involved, so a tunnel through a proxy can be compared with a direct
//! connection.

mod echo;
mod ready;
mod sessions;
mod tls;

use std::io::{self, BufReader, PipeWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

use crate::competitors::Route;
use crate::flow::{Flow, discard, pour};
use crate::proxy::{self, NO_AUTHENTICATION, SOCKS5_GRANTED};
pub(crate) use echo::EchoSessions;
pub(crate) use sessions::Sessions;

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

/// A target for one connection, on its own thread.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<io::Result<Flow>>,
    /// Dropping this end of a pipe releases the target: its thread stops waiting and ends.
    release: PipeWriter,
}

impl Target {
    /// Starts a target that is reachable through this route.
    pub(crate) fn start(route: Route, service: Service) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (released, release) = io::pipe()?;
        let thread = thread::spawn(move || {
            // Stop waiting for a client if the target is released first.
            let waits = &mut [PollFd::new(&listener, PollFlags::IN), PollFd::new(&released, PollFlags::IN)];
            poll(waits, None)?;
            if waits[0].revents().is_empty() {
                return Ok(Flow::default());
            }
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            accept_tunnel(route, &mut stream)?;
            serve(service, stream, &released)
        });
        Ok(Self { address, thread, release })
    }

    /// Releases the target and returns what it received. Errors are ignored, because the other end
    /// reports them better.
    pub(crate) fn finish(self) -> Flow {
        drop(self.release);
        self.thread.join().expect("a target thread does not panic").unwrap_or_default()
    }
}

/// Grants any tunnel that the client requests.
fn accept_tunnel(route: Route, stream: &mut TcpStream) -> io::Result<()> {
    match route {
        Route::Direct => Ok(()),
        // Only `EchoSessions` have targets that speak TLS.
        Route::Tls => Err(io::ErrorKind::Unsupported.into()),
        Route::Socks5 => {
            proxy::select_method(stream, NO_AUTHENTICATION)?;
            proxy::read_socks5_request(stream)?;
            stream.write_all(&SOCKS5_GRANTED)
        }
        Route::Http => {
            // The buffer cannot swallow tunnel data, because the client sends none before the
            // response.
            proxy::read_head(&mut BufReader::with_capacity(1024, &*stream))?;
            stream.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n")
        }
    }
}

fn serve(service: Service, mut stream: TcpStream, released: &impl AsFd) -> io::Result<Flow> {
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

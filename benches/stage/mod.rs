//! The far side of a relay: targets, and proxies that are the target themselves once they have agreed. So no second
//! relay takes part, and what comes after a negotiation can be compared with the direct way.

mod crowd;
mod proxy;

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{SpliceFlags, splice};

use crate::competitors::Route;
pub(crate) use crowd::Crowd;

/// Large enough that the calls cost little, small enough to stay in a core's cache.
const CHUNK: usize = 256 * 1024;
/// What a target says first.
pub(crate) const GREETING: &[u8] = b"SSH-2.0-greeting\r\n";

/// Round trips before much data goes one way.
const HELLOS: usize = 5;
const HELLO: [u8; 32] = [b'.'; 32];

/// What the target does.
#[derive(Clone, Copy)]
pub(crate) enum Service {
    /// Sends so many bytes, and its end when the stage is released.
    Source(u64),
    /// Takes so many bytes and leaves.
    Sink(u64),
    /// Sends back what comes.
    Echo,
    /// Greets and leaves.
    Greet,
}

/// Bytes that arrived, and the time they took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flow {
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

/// A target for one connection, on a thread of its own.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<io::Result<Flow>>,
    /// Dropped, it releases the thread from its waiting.
    held: PipeWriter,
}

impl Stage {
    pub(crate) fn open(route: Route, service: Service) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (release, held) = io::pipe()?;
        let thread = thread::spawn(move || {
            // Released before anybody came: nobody will.
            let waits = &mut [PollFd::new(&listener, PollFlags::IN), PollFd::new(&release, PollFlags::IN)];
            poll(waits, None)?;
            if waits[0].revents().is_empty() {
                return Ok(Flow::default());
            }
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            proxy::negotiate(route, &mut stream)?;
            serve(service, stream, &release)
        });
        Ok(Self { address, thread, held })
    }

    /// Lets the target end, and tells what it took in. What befell it is seen better at the other end of the relay.
    pub(crate) fn finish(self) -> Flow {
        drop(self.held);
        self.thread.join().expect("the stage's threads do not panic").unwrap_or_default()
    }
}

fn serve(service: Service, mut stream: TcpStream, release: &impl AsFd) -> io::Result<Flow> {
    match service {
        Service::Source(bytes) => {
            hello(&stream, &stream)?;
            pour(&mut stream, bytes)?;
            poll(&mut [PollFd::new(release, PollFlags::IN)], None)?;
            leave(stream)
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
            leave(stream)
        }
    }
}

/// The target's half of some round trips. ssh has many of them before it moves a file; a connection without any never
/// learns its round-trip time, so that its receive window may stay small or grow, as chance will have it, and a relay
/// costs one figure or twice that.
fn hello(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    (0..HELLOS).try_for_each(|_| to.write_all(&HELLO).and_then(|()| from.read_exact(&mut [0; HELLO.len()])))
}

/// The other half.
pub(crate) fn hello_back(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    (0..HELLOS).try_for_each(|_| from.read_exact(&mut [0; HELLO.len()]).and_then(|()| to.write_all(&HELLO)))
}

/// Sends the end, and takes in what is still on its way, so that it is an end and no reset.
fn leave(mut stream: TcpStream) -> io::Result<Flow> {
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(Flow::default())
}

/// Writes so many bytes.
pub(crate) fn pour(mut to: impl Write, bytes: u64) -> io::Result<()> {
    let chunk = vec![b'.'; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        to.write_all(&chunk[..piece])?;
        left -= piece as u64;
    }
    Ok(())
}

/// Takes up to so many bytes from a socket without looking at them: the kernel drops them where they are.
pub(crate) fn discard(socket: &TcpStream, bytes: u64) -> Flow {
    let mut buffer = vec![0; 1 << 20];
    count(bytes, || Ok(recv(socket, &mut buffer[..], RecvFlags::TRUNC)?.1))
}

/// The same from a pipe.
pub(crate) fn discard_pipe(pipe: impl AsFd, bytes: u64) -> io::Result<Flow> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    Ok(count(bytes, || Ok(splice(&pipe, None, &nowhere, None, 1 << 20, SpliceFlags::MOVE)?)))
}

/// Where something breaks, what came until then counts: that more is missing is seen from it.
fn count(bytes: u64, mut take: impl FnMut() -> io::Result<usize>) -> Flow {
    let started = Instant::now();
    let mut arrived = 0;
    while arrived < bytes {
        match take() {
            Ok(0) => break,
            Ok(length) => arrived += length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Flow { bytes: arrived, elapsed: started.elapsed() }
}

/// Whether there is something to read, or an end, within this time.
pub(crate) fn ready_within(descriptor: impl AsFd, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}

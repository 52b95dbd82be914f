//! Round trips in some of the sessions of one listener, while the others are idle. Both ends of
//! each session are in this process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::ready::{TIMEOUT, accept, do_shares};
use super::tls;
use crate::competitors::Route;

/// About the size of the packet that ssh sends for a keystroke.
const SIZE: usize = 32;
const BALL: [u8; SIZE] = [b'.'; SIZE];
/// Round trips of each session before the clock starts.
const WARM_UP: usize = 10;

pub(crate) struct EchoSessions {
    listener: TcpListener,
    /// The targets' TLS configuration; `None` if they speak plain TCP.
    tls: Option<Arc<ServerConfig>>,
    clients: Vec<TcpStream>,
    targets: Vec<Target>,
    /// Both ends of the idle sessions.
    idle: Vec<[TcpStream; 2]>,
}

/// The target's end of a session.
enum Target {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl EchoSessions {
    pub(crate) fn new(route: Route) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let tls = if route == Route::Tls { Some(tls::server_config()?) } else { None };
        Ok(Self { listener, tls, clients: Vec::new(), targets: Vec::new(), idle: Vec::new() })
    }

    /// Returns the address of the target.
    pub(crate) fn target(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Adds this client's session, for round trips.
    pub(crate) fn add_busy(&mut self, client: TcpStream) -> io::Result<()> {
        let (client, target) = self.open(client)?;
        client.set_nonblocking(true)?;
        target.socket().set_nonblocking(true)?;
        self.clients.push(client);
        self.targets.push(target);
        Ok(())
    }

    /// Adds this client's session, which stays idle from now on.
    pub(crate) fn add_idle(&mut self, client: TcpStream) -> io::Result<()> {
        let (client, target) = self.open(client)?;
        // Drop the TLS state of an idle target, which is larger than that of `connect`.
        let target = match target {
            Target::Plain(socket) => socket,
            Target::Tls(stream) => stream.sock,
        };
        self.idle.push([client, target]);
        Ok(())
    }

    /// Makes one round trip, so that the relay allocates all resources for the session.
    fn open(&self, mut client: TcpStream) -> io::Result<(TcpStream, Target)> {
        let socket = accept(&self.listener, self.clients.len() + self.idle.len() + 1)?;
        for end in [&client, &socket] {
            end.set_nodelay(true)?;
            end.set_read_timeout(Some(TIMEOUT))?;
            // Close with a reset: thousands of connections in TIME_WAIT would leave no free ports
            // for the next run.
            set_socket_linger(end, Some(Duration::ZERO))?;
        }
        let mut target = match &self.tls {
            None => Target::Plain(socket),
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                Target::Tls(Box::new(StreamOwned::new(connection, socket)))
            }
        };
        let mut ball = BALL;
        client.write_all(&ball)?;
        target.read_exact(&mut ball)?;
        target.write_all(&ball)?;
        client.read_exact(&mut ball)?;
        Ok((client, target))
    }

    /// Makes this many round trips in each busy session, one after another, and in all sessions at
    /// the same time. Returns the times in microseconds.
    pub(crate) fn round_trips(&mut self, trips: usize) -> io::Result<Vec<f64>> {
        let (clients, targets) = (&mut self.clients, &mut self.targets);
        let share = (WARM_UP + trips) as u64;
        let mut times = Vec::with_capacity(trips * clients.len());
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut arrived = vec![0; targets.len()];
                do_shares(targets, EventFlags::IN, share, |index, target, _| {
                    receive(target, &mut arrived[index])?;
                    target.write_all(&BALL)?;
                    Ok(1)
                })
            });
            let mut arrived = vec![0; clients.len()];
            let mut started = vec![Instant::now(); clients.len()];
            for (client, started) in clients.iter_mut().zip(&mut started) {
                *started = Instant::now();
                client.write_all(&BALL)?;
            }
            do_shares(clients, EventFlags::IN, share, |index, client, left| {
                receive(client, &mut arrived[index])?;
                let now = Instant::now();
                if left <= trips as u64 {
                    times.push((now - started[index]).as_secs_f64() * 1e6);
                }
                if left > 1 {
                    started[index] = now;
                    client.write_all(&BALL)?;
                }
                Ok(1)
            })
        })?;
        Ok(times)
    }
}

/// Receives the rest of a round trip's bytes. Fails with `WouldBlock` if some have not arrived yet.
fn receive(from: &mut impl Read, arrived: &mut usize) -> io::Result<()> {
    let mut ball = BALL;
    while *arrived < SIZE {
        match from.read(&mut ball[*arrived..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => *arrived += length,
        }
    }
    *arrived = 0;
    Ok(())
}

impl Target {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Read for Target {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
